"""Values that a stranger wrote, held against the annotations of the types they are for.

Iteration files and recipe files share these checks, so that what one refuses the other does too.
"""

from __future__ import annotations

import math
import re
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from bench.limits import MOST_ENTRIES, MOST_TEXT
from models.recipe import Recipe

_LONGEST_VALUE = 60
"""Characters of a wrong value that an error shows."""

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What moves a terminal's cursor, and halves of characters, which no file can hold."""


def shorten(value: object) -> str:
    """Return a value as an error shows it, whatever a stranger wrote."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return f"a value of type {type(value).__name__}"
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."


def find_fault(value: object, most: float) -> str | None:
    """Say what keeps a value from being computed with or shown, and what would do instead."""
    if isinstance(value, tuple):
        if len(value) > MOST_ENTRIES:
            return f"{len(value):,} entries; write {MOST_ENTRIES:,} at most"
        return next(filter(None, (find_fault(each, most) for each in value)), None)
    if isinstance(value, str):
        if len(value) > MOST_TEXT:
            return f"{len(value):,} characters; write {MOST_TEXT:,} at most"
        return "characters that cannot be shown; leave them out" if _UNSEEN.search(value) else None
    if isinstance(value, int | float) and not -most <= value <= most:
        return f"a size that nobody needs; write {most:,.0f} at most"
    return None


def find_schedule_fault(recipe: Recipe) -> str | None:
    """Say what is wrong with a schedule whose numbers give no learning rate for some epoch."""
    try:
        rates = recipe.schedule.table(epochs=recipe.epochs, steps_per_epoch=1)
    except ValueError as error:
        return f"{error}"
    except ArithmeticError:
        rates = [math.nan]
    if not all(map(math.isfinite, rates)):
        return "gives learning rates that are no numbers; correct its values"
    return "gives negative learning rates; correct its values" if min(rates) < 0 else None


def fits(value: object, hint: Any) -> bool:
    """Say whether a value is of an annotated type; an int is a float, a bool is neither."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        of = arguments[:1] * len(value) if Ellipsis in arguments else arguments
        return len(value) == len(of) and all(map(fits, value, of))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
