"""What the tests of the page share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from page_reader import Element, read_page


@pytest.fixture
def read() -> Callable[[str], Element]:
    """Parse a page, failing when its elements are not nested properly."""
    return read_page


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are to be written."""
    return bool(request.config.getoption("--update-golden"))
