"""Which node of a cluster a host gets."""

from __future__ import annotations

import pytest

from broker.errors import UserError
from scenarios.running.cluster.placing import RayNode, node_for

HEAD = RayNode("h", "10.0.0.1", frozenset({"memory"}), 0.0)
ONE = RayNode("1", "10.0.0.2", frozenset({"CPU", "gpu"}), 4.0)
TWO = RayNode("2", "10.0.0.3", frozenset({"CPU"}), 4.0)


def test_hosts_spread_over_the_nodes_that_compute():
    taken: list[str] = []
    for _ in range(5):
        taken.append(node_for("", [TWO, HEAD, ONE], taken).id)
    assert taken == ["1", "2", "1", "2", "1"]


@pytest.mark.parametrize(("wanted", "found"), [("10.0.0.1", HEAD), ("gpu", ONE), ("CPU", ONE)])
def test_a_host_gets_the_node_whose_address_or_resource_it_names(wanted, found):
    assert node_for(wanted, [TWO, HEAD, ONE], []) == found


@pytest.mark.parametrize(
    ("wanted", "nodes", "said"),
    [
        (
            "rack-2",
            [ONE],
            "expected `node` = 'rack-2', an address or a resource of a node of the Ray cluster, found 10.0.0.2",
        ),
        ("", [HEAD], "expected a node with cores of the Ray cluster, found 10.0.0.1"),
        ("", [], "expected a node with cores of the Ray cluster, found no node at all"),
    ],
)
def test_a_node_that_is_not_there_is_told_beside_those_that_are(wanted, nodes, said):
    with pytest.raises(UserError) as raised:
        node_for(wanted, nodes, [])
    assert str(raised.value) == said
