"""Whom a document means: where it speaks of agents by their environment's names, it is made to speak of ids.

An id, a pattern of ids and the name of any other participant mean what they say, whatever the environment calls its
agents. Anything else is looked for among its names: word by word first, then as a shell pattern.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from broker.errors import ScenarioError
from broker.wire.messages import ENVIRONMENT, OBSERVER
from scenarios.document.agent_names import AgentNames
from scenarios.document.process_faults import BROKER
from scenarios.document.scenario import AnyFaultConfig, Scenario
from scenarios.document.topology import EdgesConfig, TopologyConfig

_ARROW = "->"
_ONE = ("source", "destination")
_LISTS = ("agents", "participants")


def with_ids(scenario: Scenario, names: AgentNames) -> Scenario:
    """The scenario with ids in its edges and faults, wherever the environment's names stand there.

    Args:
        scenario: The document.
        names: What the environment calls its agents.

    Raises:
        ScenarioError: A name is that of several agents, where only one can be meant.
    """
    if not names.own:
        return scenario
    address = _Addresses(names)
    faults = [address.fault(fault, f"faults[{position}]") for position, fault in enumerate(scenario.faults)]
    return scenario.model_copy(update={"topology": address.topology(scenario.topology), "faults": tuple(faults)})


class _Addresses:
    """Finds out whom a name or pattern means."""

    def __init__(self, names: AgentNames) -> None:
        self._names = names
        self._participants = (*names.by_id, ENVIRONMENT, OBSERVER, BROKER)

    def topology(self, config: TopologyConfig) -> TopologyConfig:
        """The same graph by ids."""
        if not isinstance(config, EdgesConfig):
            return config
        edges = [
            tuple(self._called(end, f"topology.edges[{position}]") for end in ends)
            for position, ends in enumerate(config.edges)
        ]
        return config.model_copy(update={"edges": tuple(edges)})

    def fault(self, fault: AnyFaultConfig, path: str) -> AnyFaultConfig:
        """The same fault by ids."""
        given: Mapping[str, Any] = {name: getattr(fault, name) for name in type(fault).model_fields}
        changed: dict[str, Any] = {}
        for setting in _ONE:
            if setting in given:
                changed[setting] = self._single(given[setting], f"{path}.{setting}")
        for setting in _LISTS:
            if setting in given:
                changed[setting] = self._all(given[setting], f"{path}.{setting}")
        if "edges" in given:
            changed["edges"] = tuple(edge for each in given["edges"] for edge in self._edges(each, f"{path}.edges"))
        if "groups" in given:
            changed["groups"] = tuple(self._all(group, f"{path}.groups") for group in given["groups"])
        return fault.model_copy(update=changed)

    def _edges(self, pattern: str, path: str) -> list[str]:
        source, arrow, destination = pattern.partition(_ARROW)
        if not arrow:
            return [pattern]
        ends = (self._patterns(source, path), self._patterns(destination, path))
        return [f"{one}{_ARROW}{other}" for one in ends[0] for other in ends[1]]

    def _all(self, patterns: tuple[str, ...], path: str) -> tuple[str, ...]:
        return tuple(found for pattern in patterns for found in self._patterns(pattern, path))

    def _single(self, pattern: str, path: str) -> str:
        found = self._patterns(pattern, path)
        if len(found) > 1:
            who = ", ".join(map(self._names.told, found))
            raise ScenarioError(path, f"expected one agent, found {pattern!r} for {who}: use `agents`")
        return found[0]

    def _patterns(self, pattern: str, path: str) -> tuple[str, ...]:
        """What means the same by ids; a pattern that fits nobody stays."""
        if any(fnmatchcase(name, pattern) for name in self._participants):
            return (pattern,)
        called = self._called(pattern, path)
        if called != pattern:
            return (called,)
        fitting = tuple(agent for agent, name in self._names.by_id.items() if fnmatchcase(name, pattern))
        return fitting or (pattern,)

    def _called(self, name: str, path: str) -> str:
        """The id of the agent that is called so; a name that nobody has stays."""
        if name in self._participants:
            return name
        found = [agent for agent, own in self._names.by_id.items() if own == name]
        if len(found) > 1:
            raise ScenarioError(path, f"{name!r} is what the environment calls {', '.join(found)}: say which by its id")
        return found[0] if found else name
