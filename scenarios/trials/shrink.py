"""`foretell shrink`: a smallest set of faults, in the smallest windows, with which a condition still holds.

First whole faults are left out, then the windows of those that are left are narrowed, each as far as the condition
holds; and so again until nothing changes, since a fault may be needed beside a wide window and not beside a narrow one.
Nothing can be taken away from what is found: neither a fault, nor an episode at either end of a window. Where a
condition does not hold of more whenever it holds of less, what is much smaller may do as well, and was not tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.counting import counted
from broker.faults.config import name_of_fault
from scenarios.document.scenario import AnyFaultConfig, Scenario

Faults = tuple[AnyFaultConfig, ...]
Holds = Callable[[Scenario], bool]
Say = Callable[[str], None]


@dataclass
class Shrunk:
    """What is left.

    Attributes:
        scenario: With the faults that are needed.
        trials: How many scenarios were tried.
    """

    scenario: Scenario
    trials: int


def shrink(scenario: Scenario, holds: Holds, say: Say) -> Shrunk | None:
    """Take away from the faults of a scenario whatever is not needed.

    Args:
        scenario: With all of them.
        holds: Whether the condition holds in a run of a scenario.
        say: Told of each step.

    Returns:
        None if the condition does not even hold with all faults.
    """
    trials = _Trials(scenario, holds)
    if not trials.holds(scenario.faults):
        return None
    if trials.holds(()):
        say("the condition holds without any fault")
        return Shrunk(trials.with_faults(()), trials.count)
    faults: Faults = ()
    smaller = scenario.faults
    while smaller != faults:
        faults = smaller
        smaller = _fewest(faults, trials.holds, say)
        for position in range(len(smaller)):
            smaller = _narrowed(smaller, position, scenario.episodes, trials.holds, say)
    return Shrunk(trials.with_faults(faults), trials.count)


class _Trials:
    """Runs what has not been tried yet."""

    def __init__(self, scenario: Scenario, holds: Holds) -> None:
        self.count = 0
        self._scenario = scenario
        self._holds = holds
        self._known: dict[str, bool] = {}

    def with_faults(self, faults: Faults) -> Scenario:
        return self._scenario.model_copy(update={"faults": faults})

    def holds(self, faults: Faults) -> bool:
        scenario = self.with_faults(faults)
        key = scenario.model_dump_json()
        if key not in self._known:
            self.count += 1
            self._known[key] = self._holds(scenario)
        return self._known[key]


def _fewest(faults: Faults, holds: Callable[[Faults], bool], say: Say) -> Faults:
    """Leave out as many as possible: halves first, then ever smaller parts (Zeller's ddmin)."""
    parts = 2
    while len(faults) > 1:
        size = -(-len(faults) // parts)
        for begin in range(0, len(faults), size):
            fewer = faults[:begin] + faults[begin + size :]
            if fewer and holds(fewer):
                say(f"{len(fewer)} of {counted(len(faults), 'fault')} {'is' if len(fewer) == 1 else 'are'} enough")
                faults, parts = fewer, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(faults))
    return faults


def _narrowed(faults: Faults, position: int, episodes: int, holds: Callable[[Faults], bool], say: Say) -> Faults:
    """Narrow the window, or the occasions, of one fault."""

    def replaced(**changes: Any) -> Faults:
        fault = faults[position].model_copy(update=changes)
        return (*faults[:position], fault, *faults[position + 1 :])

    fault = faults[position]
    if occasions := getattr(fault, "at_episodes", ()):
        kept = _fewest_of(occasions, lambda left: holds(replaced(at_episodes=left)))
        if kept != occasions:
            say(f"fault {name_of_fault(fault)}: before episodes {', '.join(map(str, kept))}")
        return replaced(at_episodes=kept)
    if not hasattr(fault, "episodes"):
        return faults
    first, end = window = fault.episodes or (0, episodes)
    end = _least(first + 1, end, lambda to: holds(replaced(episodes=(first, to))))
    first = -_least(1 - end, -first, lambda less: holds(replaced(episodes=(-less, end))))
    if (first, end) != window:
        say(f"fault {name_of_fault(fault)}: episodes {first} to {end - 1}")
    return replaced(episodes=(first, end))


def _fewest_of(occasions: tuple[int, ...], holds: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    for occasion in occasions:
        fewer = tuple(each for each in occasions if each != occasion)
        if fewer and holds(fewer):
            occasions = fewer
    return occasions


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """A number from `low` to `high` for which it holds and not for the one below; for `high` it does."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return high
