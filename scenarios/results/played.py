"""The scenario that a run really played, with the faults that were added or healed while it went on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broker.faults.config import StaleConfig, name_of_fault
from scenarios.document.process_faults import PROCESS_FAULTS, LateJoinConfig, StrikingConfig
from scenarios.document.scenario import ANY_FAULT, AnyFaultConfig, Scenario
from scenarios.results.answers import LiveFault


def with_live_faults(scenario: Scenario, live: Iterable[LiveFault]) -> Scenario:
    """A scenario with the faults that were added to its run, healed ones included.

    Args:
        scenario: As it began.
        live: What was added or healed.
    """
    added = tuple(ANY_FAULT.validate_json(fault.document) for fault in live if fault.document is not None)
    return scenario.model_copy(update={"faults": (*scenario.faults, *added)})


def window_of(fault: AnyFaultConfig) -> tuple[int, int] | None:
    """The episodes in which a fault may strike, [first, end); None for all. Seconds are those of each receiver."""
    return None if isinstance(fault, PROCESS_FAULTS) else fault.episodes


def as_played(scenario: Scenario, live: Sequence[LiveFault]) -> Scenario:
    """The scenario that was really played: what was added or healed strikes in its episodes alone.

    Args:
        scenario: As it began.
        live: What was added or healed.
    """
    changes = {fault.name: fault for fault in live}
    faults = [
        _in_its_episodes(fault, changes.get(name_of_fault(fault)), scenario.episodes)
        for fault in with_live_faults(scenario, live).faults
    ]
    return scenario.model_copy(update={"faults": tuple(fault for fault in faults if fault is not None)})


def _in_its_episodes(fault: AnyFaultConfig, change: LiveFault | None, episodes: int) -> AnyFaultConfig | None:
    """A fault with the window in which it was in force; None if that holds no episode."""
    if change is None or isinstance(fault, LateJoinConfig):
        return fault
    if isinstance(fault, PROCESS_FAULTS):
        return fault if change.added_after is None else _before_its_episode(fault, change.added_after + 1, episodes)
    first, end = fault.episodes or (0, episodes)
    if change.added_after is not None:
        first = max(first, change.added_after + 1)
    if change.healed_after is not None:
        end = min(end, change.healed_after + 1)
    update: dict[str, object] = {"episodes": (first, end)}
    if isinstance(fault, StaleConfig) and change.added_after is not None:
        update["from_episode"] = max(fault.from_episode, change.added_after + 1)
    return fault.model_copy(update=update) if first < end else None


def _before_its_episode(fault: StrikingConfig, episode: int, episodes: int) -> StrikingConfig | None:
    """A fault of processes that was added, before the episode that it struck; None if there is none.

    A run of an earlier version of Foretell has kept that it struck at second 0, whenever it did.
    """
    if fault.at_s:
        fault = fault.model_copy(update={"at_s": (), "at_episodes": (episode,)})
    return fault if all(each < episodes for each in fault.at_episodes) else None
