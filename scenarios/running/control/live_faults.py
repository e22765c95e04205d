"""Faults of a run that goes on, on the side of the run: orders are taken, kept and put in force.

Whoever wants a change leaves an order, a file in the run's folder (`scenarios.running.control.live_requests`); the loop
of the run takes it, writes it into the store and tells all participants which faults are in force. What was added or
healed after an episode is a fault whose window begins or ends behind that episode, so it strikes the same messages when
episodes are played again: after a crash, when the run is resumed, or in a run of `scenarios.results.played.as_played`.
A fault of processes strikes at once, and is one before the episode under way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from broker.faults.config import FaultConfig, name_of_fault
from broker.text_files import read_file
from scenarios.document.plan import Plan
from scenarios.document.process_faults import PROCESS_FAULTS, LateJoinConfig
from scenarios.document.scenario import ANY_FAULT, AnyFaultConfig
from scenarios.results.answers import LiveFault
from scenarios.results.folder import RunFolder, orders_in
from scenarios.results.observer import Observer
from scenarios.results.played import as_played, with_live_faults
from scenarios.running.control.supervisor import Supervisor

_MOST_BYTES = 1 << 24
_HEAD_BYTES = 1024
"""What stands around a message in a frame, reckoned generously."""


class LiveFaults:
    """Takes orders and knows what is in force.

    Args:
        plan: What runs.
        folder: Where orders are left.
        observer: Keeps them.
        supervisor: Lets faults of processes strike.
    """

    def __init__(self, plan: Plan, folder: RunFolder, observer: Observer, supervisor: Supervisor) -> None:
        self._plan = plan
        self._folder = folder
        self._observer = observer
        self._supervisor = supervisor
        for change in observer.live_faults():
            if change.document is not None:  # it is still to strike if the run was killed before it did
                self._let_strike(ANY_FAULT.validate_json(change.document), at_once=False)

    def plan(self) -> Plan:
        """What runs, with the faults that are in force."""
        faults = (*self._in_force(), *self._plan.scenario.process_faults)
        return replace(self._plan, scenario=self._plan.scenario.model_copy(update={"faults": faults}))

    def changed(self, paused: int | None) -> str | None:
        """Take the orders that were left; all faults of messages in force, as JSON, if that has changed them.

        Args:
            paused: The episode before which the environment waits, if it does.
        """
        changed = False
        for order in orders_in(self._folder):
            try:
                changed |= self._carry_out(json.loads(read_file(order, _MOST_BYTES)), paused)
            except FileNotFoundError:
                continue  # whoever left it has waited for long enough and taken it back
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
                self._observer.tell(f"the order {order.name} makes no sense and was not carried out: {error}")
            order.unlink(missing_ok=True)
        return _document(self._in_force()) if changed else None

    def _carry_out(self, order: dict[str, Any], paused: int | None) -> bool:
        """Do what an order says; whether that changes which faults of messages are in force."""
        if "heal" in order:
            name = str(order["heal"])
            if not self._fits(name, LiveFault(name, None, None, self._observer.played - 1)):
                return False
            self._observer.heal_fault(name)
            return True
        return self._add(ANY_FAULT.validate_json(json.dumps(order["add"])), paused)

    def _add(self, fault: AnyFaultConfig, paused: int | None) -> bool:
        name = name_of_fault(fault)
        if name in with_live_faults(self._plan.scenario, self._observer.live_faults()).fault_names:
            self._observer.tell(f"a second fault called {name} was not added")
            return False
        if isinstance(fault, PROCESS_FAULTS) and not isinstance(fault, LateJoinConfig):
            before = self._observer.played if paused is None else paused
            if before >= self._plan.scenario.episodes:
                self._observer.tell(
                    f"{name} was not added: the last of all episodes is over, and nothing would meet it"
                )
                return False
            fault = fault.model_copy(update={"at_s": (), "every_s": None, "at_episodes": (before,)})
        document = fault.model_dump_json(exclude_defaults=True)
        if not self._fits(name, LiveFault(name, document, self._observer.played - 1, None)):
            return False
        self._observer.add_fault(name, document)
        self._let_strike(fault, at_once=True)
        return not isinstance(fault, PROCESS_FAULTS)

    def _fits(self, name: str, change: LiveFault) -> bool:
        """Whether all faults in force can still be told in one message behind a change; says so if not."""
        live = [each for each in self._observer.live_faults() if each.name != name]
        faults = as_played(self._plan.scenario, [*live, change]).message_faults
        size, most = len(_document(faults).encode()), self._plan.scenario.transport.max_message_bytes - _HEAD_BYTES
        if size <= most:
            return True
        self._observer.tell(
            f"{name} was not changed: the faults in force would take {size} bytes in a message, "
            f"expected at most {most} (transport.max_message_bytes)"
        )
        return False

    def _let_strike(self, fault: AnyFaultConfig, *, at_once: bool) -> None:
        if isinstance(fault, PROCESS_FAULTS) and not isinstance(fault, LateJoinConfig):
            self._supervisor.add(fault, at_once=at_once)

    def _in_force(self) -> tuple[FaultConfig, ...]:
        return as_played(self._plan.scenario, self._observer.live_faults()).message_faults


def _document(faults: Sequence[FaultConfig]) -> str:
    return "[" + ",".join(fault.model_dump_json() for fault in faults) + "]"
