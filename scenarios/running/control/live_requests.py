"""What a user asks of a run that goes on, from another process: to add a fault, show all, or heal one."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from broker.counting import listed
from broker.errors import ScenarioError, UserError
from broker.faults.config import name_of_fault
from broker.own_clock import OwnClock
from scenarios.document.loading import parse_settings
from scenarios.document.planning import make_plan
from scenarios.document.process_faults import PROCESS_FAULTS
from scenarios.document.scenario import ANY_FAULT, AnyFaultConfig, Scenario
from scenarios.document.text.explained import explained
from scenarios.results.answers import LiveFault, struck
from scenarios.results.document import read_document
from scenarios.results.folder import RunFolder, is_held, open_run_folder
from scenarios.results.played import as_played, window_of, with_live_faults
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_summary

ALL = "all"
_TAKEN_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.05
_TOLD = 8
_TIMES = ("at_episodes", "at_s", "every_s")


def add(root: Path, settings: Sequence[str]) -> str:
    """Leave the order to add a fault, and wait until it is in force.

    Args:
        root: The run's folder.
        settings: Of the fault, `path=value`.

    Raises:
        UserError: The run has ended, or the fault makes no sense.
    """
    folder, scenario, live = _running(root)
    values = parse_settings(settings)
    fault = _parsed(values)
    name = name_of_fault(fault)
    whole = with_live_faults(scenario, live)
    if name in whole.fault_names:
        raise ScenarioError("name", f"the run has a fault called {name!r} already; give this one another name")
    _require_future(folder, fault)
    fault = make_plan(whole.model_copy(update={"faults": (*whole.faults, fault)})).scenario.faults[-1]
    _order(folder, {"add": fault.model_dump(mode="json", exclude_defaults=True)})
    if name not in {change.name for change in _live(folder)}:
        raise _not_done(root, f"{name} was not added")
    return f"fault {name} is {_when(fault, _newest(folder))} in {root}"


def heal(root: Path, name: str) -> str:
    """Leave the order to end a fault of messages, or all, and wait until it is carried out.

    Raises:
        UserError: The run has ended, or has no such fault.
    """
    folder, scenario, live = _running(root)
    healed = _healed(live)
    names = [name_of_fault(one) for one in with_live_faults(scenario, live).message_faults]
    ill = [one for one in names if one not in healed]
    if name != ALL and name not in ill:
        msg = f"{root} has no fault of messages called {name!r} in force; it has {', '.join(ill) or 'none'}"
        raise UserError(msg)
    chosen = ill if name == ALL else [name]
    for one in chosen:
        _order(folder, {"heal": one})
    healed = _healed(_live(folder))
    if still := [one for one in chosen if one not in healed]:
        raise _not_done(root, f"not healed: {listed(still, _TOLD)}")
    return f"healed in {root}: {', '.join(chosen) or 'nothing was in force'}"


def played_scenario(root: Path) -> Scenario:
    """The scenario of a run with what was added and healed meanwhile, each in its episodes.

    Raises:
        UserError: The folder holds no run.
    """
    folder = open_run_folder(root)
    return as_played(read_document(folder), _live(folder))


def describe_faults(root: Path) -> Iterator[str]:
    """A line for each fault of a run.

    Raises:
        UserError: The folder holds no run.
    """
    folder = open_run_folder(root)
    scenario, live = read_document(folder), _live(folder)
    with read_store(folder.store) as store:
        changed = store.changes_by_fault()
        strikes, newest = Counter(strike.fault for strike in struck(store.strikes())), store.newest_episode()
    ended = "" if read_summary(folder) is None else "over with its run"
    begun = dict.fromkeys((name_of_fault(fault) for fault in scenario.faults), "of the scenario")
    ends = {change.name: change.healed_after for change in live if change.healed_after is not None}
    for fault in with_live_faults(scenario, live).faults:
        name = name_of_fault(fault)
        state = f"healed after episode {ends[name]}" if name in ends else ended or _when(fault, newest)
        settings = fault.model_dump(mode="json", exclude_defaults=True, exclude={"name", "kind"})
        count = strikes[name] or changed.get(name)
        seen = f", struck {count}" if count else ""
        yield f"{name}: {fault.kind} {json.dumps(settings)}, {begun.get(name, 'added')}, {state}{seen}"


def _parsed(values: dict[str, Any]) -> AnyFaultConfig:
    kinds = {get_args(kind.model_fields["kind"].annotation)[0] for kind in PROCESS_FAULTS}
    if values.get("kind") in kinds:
        if values["kind"] == "late-join":
            raise ScenarioError("kind", "expected a fault that can happen to a run that goes on, found late-join")
        if timed := [name for name in _TIMES if name in values]:
            raise ScenarioError(timed[0], "a fault of processes that is added to a run strikes at once: leave it out")
        values = values | {"at_s": [0.0]}
    try:
        return ANY_FAULT.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise explained(error, AnyFaultConfig) from None


def _when(fault: AnyFaultConfig, newest: int | None) -> str:
    """Whether a fault is in force in the episode after the newest one, as an adjective; seconds play no part."""
    window = window_of(fault)
    now = 0 if newest is None else newest + 1
    if window is not None and now < window[0]:
        return f"waiting for episode {window[0]}"
    return "over" if window is not None and window[1] <= now else "in force"


def _newest(folder: RunFolder) -> int | None:
    with read_store(folder.store) as store:
        return store.newest_episode()


def _require_future(folder: RunFolder, fault: AnyFaultConfig) -> None:
    """Refuse a window that is over already."""
    window, newest = window_of(fault), _newest(folder)
    if window is not None and newest is not None and window[1] <= newest + 1:
        found = list(window)
        raise ScenarioError("episodes", f"expected a window that ends behind episode {newest}, the last, found {found}")


def _running(root: Path) -> tuple[RunFolder, Scenario, list[LiveFault]]:
    folder = open_run_folder(root)
    if not is_held(folder):
        msg = f"{root} does not go on: faults can be changed while somebody works on it"
        raise UserError(msg)
    return folder, read_document(folder), _live(folder)


def _live(folder: RunFolder) -> list[LiveFault]:
    with read_store(folder.store) as store:
        return store.live_faults()


def _healed(live: Sequence[LiveFault]) -> set[str]:
    return {change.name for change in live if change.healed_after is not None}


def _not_done(root: Path, what: str) -> UserError:
    msg = (
        f"{what} in {root}: the run says why where it runs (kept in the table events of {root / 'run.sqlite'}), unless "
        "it began anew just then, and the order was forgotten. If so, give it again"
    )
    return UserError(msg)


def _order(folder: RunFolder, content: dict[str, Any]) -> None:
    """Leave an order and wait until the launcher has taken it."""
    try:
        folder.orders.mkdir(exist_ok=True)
        path = folder.orders / f"{time.monotonic_ns():020}.json"
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.rename(path)
    except OSError as error:
        msg = f"cannot leave an order in {folder.orders}: {error.strerror}"
        raise UserError(msg) from None
    clock = OwnClock()
    give_up_at = clock() + _TAKEN_WITHIN_S
    while path.exists():
        ended = not is_held(folder)
        if (ended or clock() > give_up_at) and path.exists():
            path.unlink(missing_ok=True)
            why = "it has ended" if ended else f"it hangs, or plays an episode for more than {_TAKEN_WITHIN_S:.0f} s"
            msg = f"the run in {folder.root} did not take the order: {why}"
            raise UserError(msg)
        time.sleep(_LOOK_EVERY_S)
