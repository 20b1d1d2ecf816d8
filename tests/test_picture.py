"""The pictures of the page in docs show the committed evidence, and are light."""

from __future__ import annotations

import pytest
from evidence_digest import PICTURES, digest_evidence
from PIL import Image

SCHEMES = ("light", "dark")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_picture_shows_the_committed_evidence(scheme: str) -> None:
    """A picture of other verdicts is stale: `nox -s picture` takes it anew."""
    with Image.open(PICTURES / f"page-{scheme}.png") as picture:
        assert picture.info["Evidence"] == digest_evidence(), "stale: run nox -s picture"
        assert picture.size == (1_920, 1_500)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_picture_is_light(scheme: str) -> None:
    """A reader of README on a phone loads it as well."""
    assert (PICTURES / f"page-{scheme}.png").stat().st_size < 300_000
