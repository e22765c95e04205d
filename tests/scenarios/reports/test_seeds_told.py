"""What pages and pictures say of so many seeds."""

from __future__ import annotations

import pytest

from scenarios.reports.seeds_told import seed_count, seeds_told, which_seeds
from scenarios.reports.statistics import RESAMPLED

ALL = [(least, most) for most in range(1, RESAMPLED + 3) for least in range(1, most + 1)]


@pytest.mark.parametrize(
    ("least", "most", "said", "unsaid"),
    [
        (1, 1, "no interval", "95%"),
        (3, 3, "range of the runs", "bootstrap"),
        (2, 3, "different numbers of runs", "bootstrap"),
        (3, 5, "Welch's t interval", "range of the runs"),
        (4, 5, "bootstrap intervals", "Welch"),
        (5, 5, "bootstrap intervals", "Welch"),
    ],
)
def test_a_page_tells_which_intervals_so_many_seeds_have(least, most, said, unsaid):
    assert said in seeds_told(least, most).intervals
    assert unsaid not in seeds_told(least, most).intervals


@pytest.mark.parametrize(("least", "most"), ALL)
def test_page_curves_and_final_returns_tell_of_the_same_statistics(least, most):
    told = seeds_told(least, most)
    every = (told.intervals, told.curves, told.finals)
    assert {"bootstrap" in each for each in every} == {most >= RESAMPLED}
    assert {"95%" in each for each in (told.curves, told.finals)} == {most >= RESAMPLED}
    some_few = least < RESAMPLED <= most
    assert ("Two and three" in told.intervals) is ("Of up to three seeds" in told.finals) is some_few


def test_seeds_are_named_where_all_groups_have_the_same_and_counted_where_not():
    assert which_seeds([[1, 2], [1, 2]]) == "2 seeds (1, 2)"
    assert which_seeds([[1], [1]]) == "1 seed (1)"
    assert which_seeds([[1], [3]]) == "1 seed a group, not the same in all (1, 3)"
    assert which_seeds([[1], [1, 2]]) == "1 to 2 seeds, as the table of final returns says"
    assert (seed_count(1, 1), seed_count(3, 3), seed_count(1, 3)) == ("1 seed", "3 seeds", "1 to 3 seeds")
