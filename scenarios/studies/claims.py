"""What somebody claims about a study, and what the runs say to it. Pure: no I/O, no clock.

A claim is a list of comparisons, each between two groups. A comparison is decided by the 95% interval of the
difference of their normalized final returns and by nothing else:

| expectation | holds when                     | fails when                     |
|-------------|--------------------------------|--------------------------------|
| above       | the whole interval is above 0  | the whole interval is below 0  |
| not below   | the whole interval is >= -m    | the whole interval is < -m     |
| not above   | the whole interval is <= m     | the whole interval is > m      |
| near        | it lies within [-m, m]         | it lies wholly outside         |

m is the comparison's margin, ours: `MARGIN` unless it says otherwise. In between a comparison is undecided, and so it
is without an interval (one run, or runs that are all equal). A claim holds when all its comparisons hold and fails as
soon as one fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

from scenarios.reports.statistics import Estimate
from scenarios.running.batch.cell import Group

MARGIN = 0.1
"""Differences of normalized returns up to this count as none: a tenth of the way between the two references."""


class Expectation(Enum):
    """What is expected of the difference between two groups."""

    ABOVE = "above"
    NOT_BELOW = "not below"
    NOT_ABOVE = "not above"
    NEAR = "near"


class Verdict(Enum):
    """What the runs say."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Comparison:
    """One group against another.

    Attributes:
        group: The one.
        other: The other.
        expectation: Of the one's final return minus the other's.
        from_start: Take the other's return at the start of training instead of its final one; where both are one group,
            run by run.
        any_number: Normalize both by a behavior that earns each agent as much whatever their number, as the two tasks
            differ in it.
        margin: Differences up to this count as none.
    """

    group: Group
    other: Group
    expectation: Expectation = Expectation.ABOVE
    from_start: bool = False
    any_number: bool = False
    margin: float = MARGIN

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return (
            self.expectation.value
            if self.margin == MARGIN
            else f"{self.expectation.value} by more than {self.margin:g}"
        )


@dataclass(frozen=True)
class MapComparison:
    """What one axis of a map changes against what the other one changes, run by run.

    The standard deviation of normalized final returns along each line of the map, mean over all lines of one
    direction, minus the same of the other direction.

    Attributes:
        rows: Groups of a whole map: along a row the one axis varies, from row to row the other.
        one: The axis along a row, in words.
        other: The other axis, in words.
        expectation: Of the one's mean deviation minus the other's.
        margin: Differences up to this count as none.
    """

    rows: tuple[tuple[Group, ...], ...]
    one: str
    other: str
    expectation: Expectation = Expectation.ABOVE
    margin: float = MARGIN

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return self.expectation.value


@dataclass(frozen=True)
class Claim:
    """A sentence that can be right or wrong.

    Attributes:
        text: The sentence.
        source: Where it stands in the paper, or "ours".
        comparisons: What it says about groups of runs.
        not_comparable: Why the study has no runs that could decide it, a sentence; then there are no comparisons.
    """

    text: str
    source: str
    comparisons: tuple[Comparison | MapComparison, ...]
    not_comparable: str = ""


@dataclass(frozen=True)
class Decided:
    """A comparison with its outcome; the estimate is None where a group was not run."""

    comparison: Comparison | MapComparison
    estimate: Estimate | None
    verdict: Verdict


def expected_range(expectation: Expectation, margin: float) -> tuple[float, float]:
    """The least and the most that a difference may be; above is above 0, and 0 itself is not."""
    match expectation:
        case Expectation.ABOVE:
            return 0.0, inf
        case Expectation.NOT_BELOW:
            return -margin, inf
        case Expectation.NOT_ABOVE:
            return -inf, margin
        case Expectation.NEAR:
            return -margin, margin


def decide(expectation: Expectation, found: Estimate | None, margin: float = MARGIN) -> Verdict:
    """What the interval of a difference says about an expectation."""
    if found is None:
        return Verdict.NOT_RUN
    low, high = found.low, found.high
    if low is None or high is None:
        return Verdict.UNDECIDED
    least, most = expected_range(expectation, margin)
    begins_within = low > least if expectation is Expectation.ABOVE else low >= least
    holds, fails = begins_within and high <= most, high < least or low > most
    return Verdict.HOLDS if holds else Verdict.FAILS if fails else Verdict.UNDECIDED


def conclude(decided: tuple[Decided, ...]) -> Verdict:
    """What the comparisons of a claim say together; those that were not run have no say."""
    verdicts = [each.verdict for each in decided if each.verdict is not Verdict.NOT_RUN]
    if not verdicts:
        return Verdict.NOT_RUN
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    if Verdict.UNDECIDED in verdicts or len(verdicts) < len(decided):
        return Verdict.UNDECIDED
    return Verdict.HOLDS
