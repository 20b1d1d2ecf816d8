"""How a figure is shown: never rounded across a threshold, never with a false precision."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor


def format_percent(value: Fraction | float, *, decimals: int = 2, lift: bool = False) -> str:
    """Return a proportion in per cent, cut off and not rounded: 0.993999 is 99.39 %, not 99.40 %.

    Cutting never lifts a figure to a target of as many decimals that it did not reach. With `lift`
    it is the next higher figure instead, so that a chance of error is never understated.
    """
    scale = 10**decimals
    exact = Fraction(value) if isinstance(value, Fraction) else Fraction(repr(float(value)))
    cut = Fraction((ceil if lift else floor)(exact * 100 * scale), scale)
    return f"{float(cut):.{decimals}f} %"


def format_accuracy(correct: int, total: int) -> str:
    """Return an accuracy in per cent to two decimals, cut off and not rounded."""
    return format_percent(Fraction(correct, total))


def cut_points(value: Fraction | float, *, decimals: int = 3, lift: bool = False) -> str:
    """Return a difference of proportions in percentage points, signed, cut towards minus infinity.

    As with accuracies, cutting never lifts a difference to a margin that it did not reach. With
    `lift` it is the next higher figure instead, as an upper bound has to be.
    """
    scale = 10**decimals
    exact = Fraction(value) if isinstance(value, Fraction) else Fraction(repr(float(value)))
    cut = Fraction((ceil if lift else floor)(exact * 100 * scale), scale)
    return f"{float(cut):+.{decimals}f} points".replace("-", "−")


def format_count(count: int) -> str:
    """Return a count with thin groups of three digits: 7,924."""
    return f"{count:,}"


def format_seconds(seconds: float) -> str:
    """Return a duration as `42 s`, `3 min 20 s` or `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def make_printable(text: str) -> str:
    """Return a stranger's text as one line without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
