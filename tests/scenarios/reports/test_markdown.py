"""Tables and numbers of pages."""

from __future__ import annotations

import pytest

from scenarios.reports.made import Made
from scenarios.reports.markdown import interval, markdown_table, number
from scenarios.reports.statistics import Estimate


def test_a_cell_ends_where_it_ends_whatever_is_in_it():
    assert markdown_table(("a", "b"), [("x|y", 1), (2.5, "")]) == "| a | b |\n| --- | --- |\n| x/y | 1 |\n| 2.5 |  |"


@pytest.mark.parametrize(
    ("value", "digits", "shown"), [(-0.001, 2, "0.00"), (-0.006, 2, "-0.01"), (1234.5, 0, "1234"), (None, 2, "")]
)
def test_a_number_is_rounded_and_nothing_is_below_zero_by_rounding(value, digits, shown):
    assert number(value, digits) == shown


def test_an_estimate_without_an_interval_is_a_number():
    assert interval(Estimate(1.0, 0.5, 1.5)) == "1.00 [0.50, 1.50]"
    assert interval(Estimate(1.0, None, None), 1) == "1.0"
    assert interval(Estimate(1.0, None, None, "all 5 equal"), 1) == "1.0 (all 5 equal)"


def test_how_a_page_was_made_is_a_command_and_versions():
    made = Made("foretell study fig1", {"python": "3", "numpy": "2"})
    assert made.told("One.", "Two.") == "```\nforetell study fig1\n```\n\nVersions: python 3, numpy 2. One. Two."
