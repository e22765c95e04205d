"""Nodes that live on the hosts of a fleet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from broker.errors import ForetellError, UserError
from scenarios.running.hosts.belongings import told_there
from scenarios.running.hosts.client import LOST, HostClient, HostLost
from scenarios.running.hosts.frames import ContinueNode, EndNodes, KillNodes, StartNode, StopNode
from scenarios.running.nodes import NodeEnd


class RemoteNodes:
    """See `scenarios.running.nodes.Nodes`.

    Args:
        homes: The host of each participant.
        look: Looks at what carries all connections, whenever it is asked who has ended.
    """

    def __init__(self, homes: Mapping[str, HostClient], look: Callable[[], None]) -> None:
        self._homes, self._look = homes, look
        self._hosts = tuple(dict.fromkeys(homes.values()))
        self._unreached: dict[str, NodeEnd] = {}

    def start(self, name: str, slice_json: str) -> None:
        """Start the process of a participant where it lives."""
        self._unreached.pop(name, None)
        home = self._homes[name]
        try:
            home.ask(StartNode(name, told_there(slice_json)))
        except HostLost as error:
            self._unreached[name] = NodeEnd(LOST, f"host {home.name} is lost: {error}", Path())

    def stop(self, name: str) -> int | None:
        """Let a process do nothing."""
        home = self._homes.get(name)
        return None if home is None or home.is_lost else _process_id(home, StopNode(name))

    def go_on(self, name: str) -> None:
        """Let it go on."""
        home = self._homes.get(name)
        if home is not None and not home.is_lost:
            _process_id(home, ContinueNode(name))

    def kill(self, names: Collection[str]) -> dict[str, int]:
        """Kill processes at once; whoever is on a lost host is ended there when its lease is over."""
        by_host: dict[HostClient, list[str]] = defaultdict(list)
        for name in names:
            if (home := self._homes.get(name)) is not None:
                by_host[home].append(name)
        killed: dict[str, int] = {}
        for host, theirs in by_host.items():
            if not host.is_lost:
                try:
                    killed |= host.ask(KillNodes(tuple(theirs)))
                except HostLost:
                    continue
        return killed

    def ended(self) -> Mapping[str, NodeEnd]:
        """Those that have ended.

        Raises:
            UserError: What carries all connections is lost.
        """
        self._look()
        found = dict(self._unreached)
        for host in self._hosts:
            found |= host.ended()
        return found

    def end(self) -> Collection[str]:
        """End whoever still runs, on all hosts that can be reached; who ended in order."""
        in_order: list[str] = []
        for host in self._hosts:
            if not host.is_lost:
                with suppress(HostLost, UserError):
                    in_order += host.ask(EndNodes())
            host.forget()
        self._unreached.clear()
        return in_order


def _process_id(home: HostClient, request: StopNode | ContinueNode) -> int | None:
    try:
        found: int | None = home.ask(request)
    except ForetellError:
        return None
    return found
