"""What the tests of the gate in CI share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workspaces import GOLDEN

Compare = Callable[[str, str], None]


@pytest.fixture
def compare_golden(request: pytest.FixtureRequest) -> Compare:
    """Return a function that holds a text against a golden file, or writes it with the option."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path: Path = GOLDEN / name
        if update:
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8")

    return compare
