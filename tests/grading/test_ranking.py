"""Laws of the ranking: it is the order that the page states, whatever the grades."""

from __future__ import annotations

import random

from grades import make_grade
from hypothesis import given
from hypothesis import strategies as st

from bench.grading.marks import Grade, Mark
from bench.grading.ranking import merit, rank

ORDER = [Mark.HOLDS, Mark.UNDECIDED, Mark.FAILS, Mark.BROKEN]

grades = st.builds(
    make_grade,
    st.sampled_from(Mark),
    file=st.text("abc", min_size=1, max_size=3),
    lower=st.none() | st.sampled_from([0.0, 0.2, 0.7]),
    parameters=st.none() | st.sampled_from([400, 7_924, 9_999]),
)
classes = st.lists(grades, max_size=8)


@given(classes, st.randoms())
def test_a_ranking_does_not_depend_on_the_order_of_the_grades(
    listed: list[Grade], randomness: random.Random
):
    """Shuffled, they come out as they did; none is lost."""
    shuffled = list(listed)
    randomness.shuffle(shuffled)
    ranked = rank(listed)

    assert [(p, g.submission.file, merit(g)) for p, g in rank(shuffled)] == [
        (p, g.submission.file, merit(g)) for p, g in ranked
    ]
    assert len(ranked) == len(listed)


@given(classes)
def test_places_count_those_that_are_better(listed: list[Grade]):
    """A rank is one more than the number of submissions above it: 1, 2, 2, 4."""
    for place, grade in rank(listed):
        assert place == 1 + sum(merit(other) < merit(grade) for other in listed)


@given(grades, grades)
def test_of_two_the_better_mark_the_higher_bound_and_fewer_parameters_win(one: Grade, two: Grade):
    """The rule in the page's words, spelled out."""
    places = {id(grade): place for place, grade in rank([one, two])}
    if ORDER.index(one.mark) < ORDER.index(two.mark):
        assert places[id(one)] < places[id(two)]
    elif one.mark is two.mark and one.mark in (Mark.UNDECIDED, Mark.FAILS):
        bounds = [grade.measured.lower if grade.measured else 0.0 for grade in (one, two)]
        if bounds[0] > bounds[1]:
            assert places[id(one)] < places[id(two)]


def test_among_those_that_hold_fewer_parameters_win_whatever_the_bound():
    """How many seeds it took to decide is no merit."""
    light = make_grade(Mark.HOLDS, parameters=400, lower=0.91)
    heavy = make_grade(Mark.HOLDS, parameters=9_000, lower=0.95)

    assert [grade for _, grade in rank([heavy, light])] == [light, heavy]


def test_all_that_are_broken_share_the_last_rank():
    """There is no better way to be broken."""
    listed = [
        make_grade(Mark.BROKEN, file="b.py", parameters=None, lower=None),
        make_grade(Mark.FAILS, file="z.py"),
        make_grade(Mark.BROKEN, file="a.py", parameters=400, lower=0.9),
    ]

    assert [(p, g.submission.file) for p, g in rank(listed)] == [
        (1, "z.py"),
        (2, "a.py"),
        (2, "b.py"),
    ]
