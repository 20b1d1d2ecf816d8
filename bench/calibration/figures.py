"""How the page shows a share: never better than it is."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor


def cut_percent(share: Fraction | float) -> str:
    """Return a coverage in per cent, cut off: it never looks better than it is."""
    return f"{floor(Fraction(share) * 10_000) / 100:.2f} %"


def lift_percent(share: Fraction | float) -> str:
    """Return an error rate in per cent, rounded up: it never looks better than it is."""
    return f"{ceil(Fraction(share) * 10_000) / 100:.2f} %"


def format_share(share: Fraction | float) -> str:
    """Return a planted share in per cent without needless zeros."""
    return f"{round(float(share) * 100, 1):g} %"
