"""Take the pictures of README: `nox -s picture` writes docs/page-light.png and docs/page-dark.png.

The first screen of the committed ledger's page. Each file carries the digest of the verdicts that
it shows, so that a test without a browser can tell when it no longer shows them.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from evidence_digest import LEDGER, PICTURES, digest_evidence
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser

from bench.challenges import MNIST
from bench.commands.report import write_report
from bench.errors import BenchError
from browser.chromium import start_chromium
from browser.pages import SCHEMES

WIDTH, HEIGHT, DENSITY = 1280, 1000, 1.5
COLOURS = 128
LARGEST = 300_000


def main() -> None:
    """Write both pictures."""
    digest = digest_evidence()
    with tempfile.TemporaryDirectory() as name, start_chromium() as browser:
        page = write_report(LEDGER, MNIST, Path(name) / "index.html", Path(name))
        for scheme in SCHEMES:
            path = PICTURES / f"page-{scheme}.png"
            content = compress(photograph(browser, page, scheme), digest)
            if len(content) > LARGEST:
                raise BenchError(f"{path.name}: {len(content):,} bytes, more than {LARGEST:,}")
            path.write_bytes(content)
            sys.stdout.write(f"{path}: {len(content):,} bytes\n")


def photograph(browser: Browser, path: Path, scheme: str) -> bytes:
    """Return the first screen of a page once its charts are drawn."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT},
        device_scale_factor=DENSITY,
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page.goto(path.as_uri())
    page.locator("figure[data-chart][data-drawn]").first.wait_for()
    page.wait_for_timeout(500)
    content = page.screenshot()
    page.close()
    return content


def compress(content: bytes, digest: str) -> bytes:
    """Return a PNG with fewer colours, and with the digest of the evidence inside."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    few = picture.quantize(colors=COLOURS, dither=Image.Dither.NONE)
    told = PngInfo()
    told.add_text("Evidence", digest)
    written = io.BytesIO()
    few.save(written, "PNG", optimize=True, pnginfo=told)
    return written.getvalue()


if __name__ == "__main__":
    main()
