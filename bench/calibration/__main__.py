"""`python -m bench.calibration --output docs/calibration.md`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.calibration.page import Sizes, calibrate, render


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate every table at full size and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibration", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="where to write the page")
    output: Path = parser.parse_args(arguments).output
    output.write_text(render(calibrate(Sizes())), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
