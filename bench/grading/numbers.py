"""Numbers as people write them into a table of claims: `7,924`, `7.9k`, `99.42 %`, `0.9942`."""

from __future__ import annotations

import re
from fractions import Fraction

from msgspec import Struct

from bench.limits import MOST_EPOCHS, MOST_OPERATIONS

_SPACES = dict.fromkeys(map(ord, "\u00a0\u2009\u202f\t"), " ")
_GROUPED = re.compile(r"[0-9]{1,3}(?P<mark>[ ,._'’])[0-9]{3}(?:(?P=mark)[0-9]{3})*")
_ROUNDED = re.compile(r"(?P<whole>[0-9]{1,12})(?:[.,](?P<part>[0-9]{1,6}))? ?(?P<unit>[kKmM])")
_WHOLE = re.compile(r"([0-9]{1,15})(?:\.0)?")
_DECIMAL = re.compile(r"([0-9]{1,3})(?:[.,]([0-9]{0,12}))?|[.,]([0-9]{1,12})")
_UNITS = {"k": 1_000, "m": 1_000_000}
_NOUN = re.compile(r" ?(?:params?|parameters?)\.?$", re.IGNORECASE)


class ClaimedCount(Struct, frozen=True, kw_only=True):
    """A number of parameters as it was written, and the numbers that it can stand for.

    `7,924` stands for itself, `7.9k` for whatever rounds to it.
    """

    text: str
    least: int
    most: int

    def fits(self, count: int) -> bool:
        """Say whether a count is one that was claimed."""
        return self.least <= count <= self.most


def parse_count(text: str) -> ClaimedCount:
    """Read a number of parameters, with or without separators of thousands, or as `7.9k`.

    Raises:
        ValueError: it is none; the message goes on after the value.
    """
    bare = _NOUN.sub("", text.translate(_SPACES).strip())
    rounded = _ROUNDED.fullmatch(bare)
    if rounded:
        unit = _UNITS[rounded["unit"].lower()]
        decimals = len(rounded["part"] or "")
        value = Fraction(f"{rounded['whole']}.{rounded['part'] or 0}") * unit
        half = Fraction(unit, 2 * 10**decimals)
        count = ClaimedCount(
            text=text.strip(), least=-((half - value) // 1), most=(value + half) // 1
        )
    else:
        digits = re.sub(r"\D", "", bare) if _GROUPED.fullmatch(bare) else bare
        whole = _WHOLE.fullmatch(digits)
        if whole is None:
            raise ValueError("is not a number of parameters; write 7924, 7,924 or 7.9k")
        count = ClaimedCount(text=text.strip(), least=int(whole[1]), most=int(whole[1]))
    if not 0 < count.most <= MOST_OPERATIONS:
        raise ValueError("is not a number of parameters that a network has; correct it")
    return count


def parse_accuracy(text: str) -> Fraction:
    """Read an accuracy in per cent, with or without its sign; up to 1 without one, a proportion.

    Raises:
        ValueError: it is none; the message goes on after the value.
    """
    bare = text.translate(_SPACES).replace(" ", "")
    percent = bare.endswith(("%", "％"))
    match = _DECIMAL.fullmatch(bare.rstrip("%％"))
    if match is None:
        raise ValueError("is not an accuracy; write 99.42, 99.42 % or 0.9942")
    value = Fraction(f"{match[1] or 0}.{match[2] or match[3] or 0}")
    proportion = value if value <= 1 and not percent else value / 100
    if proportion > 1:
        raise ValueError("is more than 100 %; write 99.42, 99.42 % or 0.9942")
    return proportion


def parse_epoch(text: str) -> int:
    """Read an epoch, counted from 1.

    Raises:
        ValueError: it is none; the message goes on after the value.
    """
    match = _WHOLE.fullmatch(text.strip())
    if match is None:
        raise ValueError("is not an epoch; write a whole number such as 14")
    epoch = int(match[1])
    if not 1 <= epoch <= MOST_EPOCHS:
        raise ValueError(f"is not an epoch; epochs count from 1 to at most {MOST_EPOCHS:,}")
    return epoch
