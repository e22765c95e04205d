"""Nodes on two hosts of a Ray cluster, and what all nodes do, seen on them."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import test_nodes
from hosted_nodes import HOMES, HostedNodes
from test_nodes import Stage

from broker.arithmetic.version import ARITHMETIC
from broker.release import FORETELL
from scenarios.running.cluster.connected import RayCluster, connected
from scenarios.running.cluster.ray_hosts import ActorCarrier
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.frames import OpenRun
from scenarios.running.hosts.remote_nodes import RemoteNodes

CLAIMS = [claim for name, claim in vars(test_nodes).items() if name.startswith("test_")]


class NodesOnRay(HostedNodes):
    """Two hosts, a node of the cluster each.

    Args:
        root: For all that they need.
        cluster: At least two nodes.
    """

    def __init__(self, root: Path, cluster: RayCluster) -> None:
        self._root, self._stack = root, ExitStack()
        nodes = sorted(cluster.nodes(), key=lambda node: node.address)
        clients = {}
        for name, node in zip(dict.fromkeys(HOMES.values()), nodes, strict=False):
            there, log = str(root / "there" / name), root / f"{name}.log"
            begin = partial(ActorCarrier, cluster, node, there, log)
            opening = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {})
            clients[name] = HostClient(name, begin, opening, log, try_for_s=10.0)
            clients[name].dial()
            self._stack.callback(clients[name].close)
            clients[name].greet()
        RemoteNodes.__init__(self, {name: clients[home] for name, home in HOMES.items()})


def see_claims(root: Path) -> int:
    """See every claim of `test_nodes` on the cluster that RAY_ADDRESS names.

    Args:
        root: A folder that is empty.

    Returns:
        How many there are.
    """
    with connected("ray") as there:
        nodes = NodesOnRay(root, there)
        try:
            for number, claim in enumerate(CLAIMS):
                folder = root / str(number)
                folder.mkdir()
                claim(Stage(nodes, folder))
                nodes.end()
        finally:
            nodes.close()
    return len(CLAIMS)
