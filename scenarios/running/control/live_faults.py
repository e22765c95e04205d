"""Faults of a run that goes on: added, shown and healed from another terminal.

Whoever wants a change leaves an order, a file in the run's folder; the launcher takes it ten times a second, writes it
into the store and tells all participants which faults are in force. What was added stays in force after a crash and
when the run is resumed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from broker.faults.config import FaultConfig, name_of_fault
from scenarios.document.plan import Plan
from scenarios.document.process_faults import PROCESS_FAULTS, LateJoinConfig
from scenarios.document.scenario import AnyFaultConfig, Scenario
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.control.supervisor import Supervisor

_ANY: TypeAdapter[AnyFaultConfig] = TypeAdapter(AnyFaultConfig)


class LiveFaults:
    """The launcher's side: takes orders and knows what is in force.

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
        for order in _orders(folder):  # of a launcher that is no more; nobody waits for them
            order.unlink()

    def plan(self) -> Plan:
        """What runs, with the faults that are in force."""
        faults = (*self._in_force(), *self._plan.scenario.process_faults)
        return replace(self._plan, scenario=self._plan.scenario.model_copy(update={"faults": faults}))

    def changed(self) -> str | None:
        """Take the orders that were left; all faults of messages in force, as JSON, if that has changed them."""
        changed = False
        for order in _orders(self._folder):
            try:
                changed |= self._carry_out(json.loads(order.read_bytes()))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._observer.tell(f"the order {order.name} makes no sense and was not carried out: {error}")
            order.unlink()
        return _document(self._in_force()) if changed else None

    def _carry_out(self, order: dict[str, Any]) -> bool:
        """Do what an order says; whether that changes which faults of messages are in force."""
        if "heal" in order:
            self._observer.heal_fault(str(order["heal"]))
            return True
        return self._add(_ANY.validate_json(json.dumps(order["add"])))

    def _add(self, fault: AnyFaultConfig) -> bool:
        name = name_of_fault(fault)
        if name in _names(with_live_faults(self._plan.scenario, self._observer.live_faults())):
            self._observer.tell(f"a second fault called {name} was not added")
            return False
        self._observer.add_fault(name, fault.model_dump_json(exclude_defaults=True))
        if isinstance(fault, PROCESS_FAULTS):
            if not isinstance(fault, LateJoinConfig):
                self._supervisor.add(fault)
            return False
        return True

    def _in_force(self) -> list[FaultConfig]:
        healed = {name for name, _, healed_after in self._observer.live_faults() if healed_after is not None}
        faults = with_live_faults(self._plan.scenario, self._observer.live_faults()).message_faults
        return [fault for fault in faults if name_of_fault(fault) not in healed]


def with_live_faults(scenario: Scenario, live: Sequence[tuple[str, str | None, int | None]]) -> Scenario:
    """A scenario with the faults that were added to its run, healed ones included.

    Args:
        scenario: As it began.
        live: Name, document and end of what was added or healed.
    """
    added = tuple(_ANY.validate_json(document) for _, document, _ in live if document is not None)
    return scenario.model_copy(update={"faults": (*scenario.faults, *added)})


def _names(scenario: Scenario) -> set[str]:
    return {name_of_fault(fault) for fault in scenario.faults}


def _orders(folder: RunFolder) -> list[Path]:
    return sorted(folder.orders.glob("*.json"))


def _document(faults: Sequence[FaultConfig]) -> str:
    return "[" + ",".join(fault.model_dump_json() for fault in faults) + "]"
