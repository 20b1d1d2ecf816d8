"""Which of several networks no other one beats, when cost and accuracy both count."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from msgspec import Struct


class Point(Struct, frozen=True, kw_only=True):
    """What one network costs and how accurate it is."""

    name: str
    cost: int
    accuracy: Fraction


def find_front(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points that no other one beats, the cheapest first; equal ones are all kept.

    A point is beaten by one that is no costlier and no less accurate, and better in one of both.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy or _are_equal(point, front[-1]):
            front.append(point)
    return tuple(front)


def _are_equal(one: Point, other: Point) -> bool:
    return (one.cost, one.accuracy) == (other.cost, other.accuracy)
