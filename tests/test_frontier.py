"""The networks that no other one beats, by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

from bench.findings import Point, find_front


def point(name: str, cost: int, accuracy: str) -> Point:
    return Point(name=name, cost=cost, accuracy=Fraction(accuracy))


SMALL = point("small", 5_000, "0.990")
MIDDLE = point("middle", 7_000, "0.994")
LARGE = point("large", 9_000, "0.995")


def names_of(*points: Point) -> list[str]:
    return [each.name for each in find_front(points)]


def test_who_pays_more_and_gets_more_is_on_the_front():
    """Three that trade cost for accuracy are all kept, the cheapest first, in whatever order."""
    for points in permutations([SMALL, MIDDLE, LARGE]):
        assert names_of(*points) == ["small", "middle", "large"]


def test_a_costlier_network_of_no_more_accuracy_is_beaten():
    """Equal accuracy at a higher cost is beaten, and so is less accuracy."""
    assert names_of(MIDDLE, point("equal", 8_000, "0.994"), LARGE) == ["middle", "large"]
    assert names_of(MIDDLE, point("worse", 8_000, "0.993")) == ["middle"]


def test_of_equal_cost_the_more_accurate_one_wins():
    """Both cost 7,000 parameters."""
    assert names_of(point("worse", 7_000, "0.993"), MIDDLE) == ["middle"]


def test_equal_networks_are_all_kept_in_the_order_given():
    """Neither is better in anything."""
    twin = point("twin", 7_000, "0.994")
    assert names_of(twin, SMALL, MIDDLE) == ["small", "twin", "middle"]


def test_accuracies_are_compared_exactly():
    """One image of 30,000 is a difference, and a float's noise is none."""
    better = Point(name="better", cost=9_000, accuracy=Fraction(29_821, 30_000))
    same = Point(name="same", cost=9_000, accuracy=Fraction(29_820, 30_000))
    assert names_of(MIDDLE, better) == ["middle", "better"]
    assert names_of(MIDDLE, same) == ["middle"]


def test_one_network_is_its_own_front_and_none_has_none():
    """Nothing to compare."""
    assert names_of(SMALL) == ["small"]
    assert names_of() == []
