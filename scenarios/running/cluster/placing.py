"""Which node of a Ray cluster a host of a run gets. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from broker.errors import UserError

_SHOWN = 8


class RayNode(NamedTuple):
    """A node that is alive.

    Attributes:
        id: Ray's own name for it.
        address: Its IP address.
        resources: The names of what it has, custom resources among them.
        cores: As many as Ray may use there.
    """

    id: str
    address: str
    resources: frozenset[str]
    cores: float


def node_for(wanted: str, nodes: Sequence[RayNode], taken: Sequence[str]) -> RayNode:
    """The node that a host gets: one that is meant, with the fewest other hosts, the first by address.

    Args:
        wanted: The address of a node or one of its resources; empty for any that may compute.
        nodes: Those that are alive.
        taken: The ids of the nodes of the other hosts.

    Raises:
        UserError: No such node is alive.
    """
    if wanted:
        meant = [node for node in nodes if wanted == node.address or wanted in node.resources]
    else:
        meant = [node for node in nodes if node.cores > 0]
    if not meant:
        shown = ", ".join(sorted(node.address for node in nodes)[:_SHOWN]) or "no node at all"
        what = f"`node` = {wanted!r}, an address or a resource of a node" if wanted else "a node with cores"
        msg = f"expected {what} of the Ray cluster, found {shown}"
        raise UserError(msg)
    return min(meant, key=lambda node: (taken.count(node.id), node.address, node.id))
