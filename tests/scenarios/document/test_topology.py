from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from itertools import combinations
from typing import Any, get_args

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.stats import binomtest

from broker.errors import ScenarioError
from scenarios.document import topology
from scenarios.document.graph import Graph, build_graph
from scenarios.document.topology import TopologyConfig

ADAPTER: TypeAdapter[TopologyConfig] = TypeAdapter(TopologyConfig)
RANDOM = [
    {"kind": "k-regular", "degree": 4},
    {"kind": "k-regular", "degree": 7},
    {"kind": "small-world", "neighbors": 4, "rewire_probability": 0.3},
    {"kind": "erdos-renyi", "edge_probability": 0.3},
]
seeds = st.integers(0, 2**63)
sizes = st.integers(2, 14)


def build(document: dict[str, Any], agents: int, seed: int = 7) -> Graph:
    return build_graph(ADAPTER.validate_python(document), agents, seed)


def named(*numbers: int) -> tuple[str, ...]:
    return tuple(f"agent-{number}" for number in numbers)


def degrees(graph: Graph) -> list[int]:
    return [len(others) for others in graph.neighbors.values()]


def as_networkx(graph: Graph) -> nx.Graph[str]:
    result: nx.Graph[str] = nx.Graph()
    result.add_nodes_from(graph.neighbors)
    result.add_edges_from(graph.edges)
    return result


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A topology of any kind with a number of agents that it can serve."""
    kind = draw(st.sampled_from(KINDS))
    agents = draw(sizes)
    match kind:
        case "ring":
            return {"kind": kind}, agents + 1
        case "star":
            return {"kind": kind, "center": draw(st.integers(0, agents - 1))}, agents
        case "grid":
            rows, columns = draw(st.integers(1, 5)), draw(st.integers(2, 5))
            return {"kind": kind, "rows": rows, "columns": columns}, rows * columns
        case "k-regular":
            valid = [degree for degree in range(1, agents) if agents * degree % 2 == 0]
            return {"kind": kind, "degree": draw(st.sampled_from(valid))}, agents
        case "small-world":
            half = draw(st.integers(1, agents // 2))
            probability = draw(st.floats(0, 1))
            return {"kind": kind, "neighbors": 2 * half, "rewire_probability": probability}, agents + 1
        case "erdos-renyi":
            return {"kind": kind, "edge_probability": draw(st.floats(0.5, 1))}, agents
        case "edges":
            pairs = [pair for pair in combinations(range(agents), 2) if draw(st.booleans())]
            joined = {number for pair in pairs for number in pair}
            pairs += [((number + 1) % agents, number) for number in range(agents) if number not in joined]
            written = {frozenset(pair): list(named(*pair)) for pair in pairs}
            return {"kind": kind, "edges": draw(st.permutations(list(written.values())))}, agents
        case "proximity":
            return {"kind": kind, "distance": draw(st.floats(0.1, 10))}, agents
        case _:
            return {"kind": kind}, agents


KINDS = [get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(TopologyConfig)[0])]


def test_the_ten_kinds_are_those_of_the_document() -> None:
    listed = "complete, ring, star, line, grid, k-regular, small-world, erdos-renyi, edges, proximity"
    assert ", ".join(KINDS) == listed


@settings(deadline=None, max_examples=200)
@given(documents(), seeds)
def test_every_graph_is_undirected_without_self_loops_and_names_all_agents_in_numeric_order(
    case: tuple[dict[str, Any], int], seed: int
) -> None:
    document, agents = case
    neighbors = build(document, agents, seed).neighbors
    assert list(neighbors) == [f"agent-{number}" for number in range(agents)]
    for agent, others in neighbors.items():
        assert others, f"{agent} is isolated"
        assert agent not in others
        numbers = [int(other.removeprefix("agent-")) for other in others]
        assert numbers == sorted(set(numbers))
        assert all(agent in neighbors[other] for other in others)


@settings(deadline=None)
@given(documents(), seeds)
def test_edges_are_all_directed_pairs_in_numeric_order(case: tuple[dict[str, Any], int], seed: int) -> None:
    document, agents = case
    graph = build(document, agents, seed)
    expected = [
        (f"agent-{source}", f"agent-{destination}")
        for source in range(agents)
        for destination in range(agents)
        if f"agent-{destination}" in graph.neighbors[f"agent-{source}"]
    ]
    assert list(graph.edges) == expected


@settings(deadline=None)
@given(documents(), seeds)
def test_components_counts_the_parts(case: tuple[dict[str, Any], int], seed: int) -> None:
    document, agents = case
    graph = build(document, agents, seed)
    assert graph.components() == nx.number_connected_components(as_networkx(graph))


@settings(deadline=None)
@given(documents(), seeds)
def test_equal_arguments_give_equal_graphs(case: tuple[dict[str, Any], int], seed: int) -> None:
    document, agents = case
    assert build(document, agents, seed) == build(document, agents, seed)


@settings(deadline=None)
@given(documents(), seeds, seeds)
def test_only_random_kinds_use_the_seed(case: tuple[dict[str, Any], int], one: int, other: int) -> None:
    document, agents = case
    if document["kind"] not in {"k-regular", "small-world", "erdos-renyi"}:
        assert build(document, agents, one) == build(document, agents, other)


@given(sizes)
def test_in_a_complete_graph_everybody_has_all_others(agents: int) -> None:
    assert degrees(build({"kind": "complete"}, agents)) == [agents - 1] * agents


def test_a_single_agent_in_a_complete_graph_has_no_neighbors() -> None:
    graph = build({"kind": "complete"}, 1)
    assert (graph.neighbors, graph.edges, graph.components()) == ({"agent-0": ()}, (), 1)


@given(st.integers(3, 30))
def test_in_a_ring_neighbors_stand_one_before_and_one_behind(agents: int) -> None:
    graph = build({"kind": "ring"}, agents)
    for number in range(agents):
        expected = named(*sorted({(number - 1) % agents, (number + 1) % agents}))
        assert graph.neighbors[f"agent-{number}"] == expected
    assert degrees(graph) == [2] * agents


@given(sizes, st.data())
def test_in_a_star_the_center_has_all_and_the_others_the_center(agents: int, data: st.DataObject) -> None:
    center = data.draw(st.integers(0, agents - 1))
    graph = build({"kind": "star", "center": center}, agents)
    for number in range(agents):
        others = [other for other in range(agents) if other != center] if number == center else [center]
        assert graph.neighbors[f"agent-{number}"] == named(*others)


@given(st.integers(2, 30))
def test_in_a_line_the_ends_have_one_neighbor_and_the_others_two(agents: int) -> None:
    graph = build({"kind": "line"}, agents)
    assert degrees(graph) == [1, *[2] * (agents - 2), 1]
    for number in range(agents - 1):
        assert f"agent-{number + 1}" in graph.neighbors[f"agent-{number}"]


@given(st.integers(1, 6), st.integers(2, 6))
def test_in_a_grid_neighbors_are_one_step_apart(rows: int, columns: int) -> None:
    graph = build({"kind": "grid", "rows": rows, "columns": columns}, rows * columns)
    places = [(row, column) for row in range(rows) for column in range(columns)]
    for number, (row, column) in enumerate(places):
        near = [other for other, (r, c) in enumerate(places) if abs(r - row) + abs(c - column) == 1]
        assert graph.neighbors[f"agent-{number}"] == named(*near)


def test_a_grid_of_one_column_is_a_line() -> None:
    assert build({"kind": "grid", "rows": 5, "columns": 1}, 5) == build({"kind": "line"}, 5)


@settings(deadline=None)
@given(sizes, st.data(), seeds)
def test_in_a_k_regular_graph_everybody_has_k_neighbors(agents: int, data: st.DataObject, seed: int) -> None:
    degree = data.draw(st.sampled_from([degree for degree in range(1, agents) if agents * degree % 2 == 0]))
    assert degrees(build({"kind": "k-regular", "degree": degree}, agents, seed)) == [degree] * agents


@pytest.mark.parametrize("degree", [2, 5])
def test_in_a_k_regular_graph_every_pair_is_as_likely(degree: int) -> None:
    """Sparse graphs are drawn, dense ones are what a sparse one leaves out."""
    draws = 400
    counts = Counter(
        edge for seed in range(draws) for edge in build({"kind": "k-regular", "degree": degree}, 8, seed).edges
    )
    for pair in combinations(named(*range(8)), 2):
        assert binomtest(counts[pair], draws, degree / 7).pvalue > 1e-7


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 8), st.floats(0, 1), seeds)
def test_a_small_world_keeps_its_number_of_edges_and_is_connected(
    half: int, more: int, probability: float, seed: int
) -> None:
    agents = 2 * half + more
    graph = build({"kind": "small-world", "neighbors": 2 * half, "rewire_probability": probability}, agents, seed)
    assert len(graph.edges) == 2 * agents * half
    assert graph.components() == 1


def test_a_small_world_in_which_no_edge_moves_is_a_ring_of_near_neighbors() -> None:
    graph = build({"kind": "small-world", "neighbors": 4, "rewire_probability": 0}, 12)
    for number in range(12):
        expected = named(*sorted((number + step) % 12 for step in (-2, -1, 1, 2)))
        assert graph.neighbors[f"agent-{number}"] == expected


def test_a_small_world_moves_its_edges_as_often_as_asked() -> None:
    moved = 0
    for seed in range(50):
        graph = build({"kind": "small-world", "neighbors": 4, "rewire_probability": 0.2}, 60, seed)
        ring = build({"kind": "small-world", "neighbors": 4, "rewire_probability": 0}, 60)
        moved += len(set(graph.edges) - set(ring.edges)) // 2
    assert binomtest(moved, 50 * 120, 0.2).pvalue > 1e-4  # a moved edge rarely lands on a place of the ring


@settings(deadline=None)
@given(st.integers(6, 16), seeds)
def test_an_erdos_renyi_graph_is_connected_even_where_few_draws_are(agents: int, seed: int) -> None:
    assert build({"kind": "erdos-renyi", "edge_probability": 2.4 / agents}, agents, seed).components() == 1


def test_an_erdos_renyi_graph_has_its_share_of_all_pairs() -> None:
    edges = sum(len(build({"kind": "erdos-renyi", "edge_probability": 0.4}, 30, seed).edges) // 2 for seed in range(50))
    assert binomtest(edges, 50 * 30 * 29 // 2, 0.4).pvalue > 1e-6


def test_written_edges_are_the_graph_whichever_end_stands_first() -> None:
    graph = build({"kind": "edges", "edges": [["agent-10", "agent-2"], *[["agent-2", f"agent-{n}"] for n in RIM]]}, 11)
    assert graph == build({"kind": "star", "center": 2}, 11)
    assert graph.neighbors["agent-2"] == named(0, 1, 3, 4, 5, 6, 7, 8, 9, 10)


RIM = (9, 0, 1, 3, 4, 5, 6, 7, 8)


def test_a_graph_in_parts_is_allowed_and_told() -> None:
    graph = build({"kind": "edges", "edges": [["agent-0", "agent-3"], ["agent-1", "agent-2"]]}, 4)
    assert graph.components() == 2
    assert build({"kind": "k-regular", "degree": 1}, 8).components() == 4


@given(sizes, st.floats(0.1, 100))
def test_under_proximity_anybody_may_become_a_neighbor(agents: int, distance: float) -> None:
    graph = build({"kind": "proximity", "distance": distance}, agents)
    assert graph.neighbors == build({"kind": "complete"}, agents).neighbors
    assert graph.proximity_distance == distance


@pytest.mark.parametrize("document", [{"kind": "complete"}, {"kind": "line"}, *RANDOM])
def test_only_proximity_sets_a_distance(document: dict[str, Any]) -> None:
    assert build(document, 10).proximity_distance is None


@pytest.mark.parametrize("document", RANDOM)
def test_random_graphs_differ_between_seeds(document: dict[str, Any]) -> None:
    assert len({build(document, 10, seed).edges for seed in range(20)}) > 15


@pytest.mark.parametrize(
    ("document", "bits"),
    [*zip(RANDOM, ["b429bdc2be9c14b4", "b0fa378763b7e2eb", "a9fae72ec62bd9e6", "fd4fe1671c94ddea"], strict=True)],
)
def test_random_graphs_are_these_on_every_machine(document: dict[str, Any], bits: str) -> None:
    assert sha256(repr(build(document, 40, 7).edges).encode()).hexdigest()[:16] == bits


@pytest.mark.processes
def test_graphs_do_not_depend_on_the_hash_seed() -> None:
    script = (
        "from pydantic import TypeAdapter; "
        "from scenarios.document.graph import *; from scenarios.document.topology import *; "
        "adapter = TypeAdapter(TopologyConfig)\n"
        f"for document in {RANDOM!r}: print(build_graph(adapter.validate_python(document), 10, 7).edges)"
    )
    outputs = [run_python(script, hash_seed) for hash_seed in ("0", "1", "4242")]
    here = "".join(f"{build(document, 10, 7).edges}\n" for document in RANDOM)
    assert outputs == [here] * 3


@pytest.mark.processes
def test_graphs_need_no_networkx() -> None:
    script = (
        "import sys; from pydantic import TypeAdapter; "
        "from scenarios.document.graph import *; from scenarios.document.topology import *\n"
        f"for each in {RANDOM!r}: build_graph(TypeAdapter(TopologyConfig).validate_python(each), 10, 7)\n"
        "print('networkx' in sys.modules, 'torch' in sys.modules)"
    )
    assert run_python(script, "0") == "False False\n"


def run_python(script: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


REFUSALS = [
    ({"kind": "ring"}, 2, "topology.kind: a ring needs at least 3 agents, found 2; use kind 'line'"),
    ({"kind": "star", "center": 4}, 4, "topology.center: expected the number of an agent, 0 to 3, found 4"),
    (
        {"kind": "grid", "rows": 2, "columns": 3},
        5,
        "topology.rows: 2 rows of 3 columns hold 6 agents, expected exactly 5",
    ),
    (
        {"kind": "grid", "rows": 2, "columns": 3},
        7,
        "topology.rows: 2 rows of 3 columns hold 6 agents, expected exactly 7",
    ),
    (
        {"kind": "k-regular", "degree": 4},
        4,
        "topology.degree: expected less than the number of agents (4), found 4",
    ),
    (
        {"kind": "k-regular", "degree": 3},
        5,
        "topology.degree: 5 agents with 3 neighbors each is an odd number of ends; make one of the two even",
    ),
    (
        {"kind": "small-world", "neighbors": 4, "rewire_probability": 0.1},
        4,
        "topology.neighbors: expected less than the number of agents (4), found 4",
    ),
    (
        {"kind": "erdos-renyi", "edge_probability": 0.01},
        50,
        "topology.edge_probability: none of 100 graphs of 50 agents drawn with 0.01 was connected; raise it",
    ),
    (
        {"kind": "edges", "edges": [["agent-0", "agent-1"], ["agent-1", "agent-2"], ["agent-2", "agent-9"]]},
        4,
        "topology.edges[2]: there is no 'agent-9'; the agents are agent-0 to agent-3",
    ),
    (
        {"kind": "edges", "edges": [["agent-0", "agent-01"]]},
        2,
        "topology.edges[0]: there is no 'agent-01'; the agents are agent-0 to agent-1",
    ),
    (
        {"kind": "edges", "edges": [["agent-0", "agent-1"], ["agent-1", "agent-1"]]},
        2,
        "topology.edges[1]: agent-1 is joined with itself; expected two different agents",
    ),
    (
        {"kind": "edges", "edges": [["agent-0", "agent-1"], ["agent-1", "agent-2"], ["agent-1", "agent-0"]]},
        3,
        "topology.edges[2]: agent-1 and agent-0 are joined already by edges[0]; an edge carries both ways",
    ),
    (
        {"kind": "edges", "edges": [["agent-0", "agent-1"]]},
        3,
        "topology.edges: every agent needs a neighbor, found none for agent-2",
    ),
    (
        {"kind": "edges", "edges": [["agent-0", "agent-3"]]},
        5,
        "topology.edges: every agent needs a neighbor, found none for agent-1 and 2 more",
    ),
    (
        {"kind": "edges", "edges": []},
        2,
        "topology.edges: every agent needs a neighbor, found none for agent-0 and 1 more",
    ),
]


@pytest.mark.parametrize(("document", "agents", "sentence"), REFUSALS)
def test_what_cannot_be_built_is_refused_with_its_path(document: dict[str, Any], agents: int, sentence: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        build(document, agents)
    assert str(refusal.value) == sentence
    assert refusal.value.path == sentence.split(":")[0]


def test_a_small_world_is_drawn_again_until_connected_and_refused_when_no_draw_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = {"kind": "small-world", "neighbors": 2, "rewire_probability": 0.7}
    monkeypatch.setattr(topology, "DRAWS", 1)
    refused = {}
    for seed in range(20):
        try:
            build(document, 200, seed)
        except ScenarioError as refusal:
            refused[seed] = str(refusal)
    sentence = "none of 1 graphs drawn was connected; raise topology.neighbors or lower rewire_probability"
    assert set(refused.values()) == {f"topology.rewire_probability: {sentence}"}
    monkeypatch.undo()
    assert all(build(document, 200, seed).components() == 1 for seed in refused)


ALONE: list[dict[str, Any]] = [
    {"kind": "ring"},
    {"kind": "star"},
    {"kind": "line"},
    {"kind": "grid", "rows": 1, "columns": 1},
    {"kind": "k-regular", "degree": 1},
    {"kind": "small-world", "neighbors": 2, "rewire_probability": 0},
    {"kind": "erdos-renyi", "edge_probability": 1},
    {"kind": "edges", "edges": []},
    {"kind": "proximity", "distance": 1},
]


@pytest.mark.parametrize("document", ALONE, ids=lambda document: str(document["kind"]))
def test_a_single_agent_is_refused_by_every_kind_but_complete(document: dict[str, Any]) -> None:
    kind = document["kind"]
    with pytest.raises(ScenarioError) as refusal:
        build(document, 1)
    assert str(refusal.value) == (
        f"topology.kind: kind '{kind}' needs at least 2 agents, found 1: it has no neighbors; use kind 'complete'"
    )


def test_every_kind_but_complete_is_tried_alone() -> None:
    assert [document["kind"] for document in ALONE] == [kind for kind in KINDS if kind != "complete"]


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "hypercube"},
        {"kind": "complete", "degree": 3},
        {"kind": "star", "center": -1},
        {"kind": "grid", "rows": 0, "columns": 4},
        {"kind": "grid", "rows": 2},
        {"kind": "k-regular", "degree": 0},
        {"kind": "small-world", "neighbors": 3, "rewire_probability": 0.1},
        {"kind": "small-world", "neighbors": 0, "rewire_probability": 0.1},
        {"kind": "small-world", "neighbors": 2, "rewire_probability": 1.1},
        {"kind": "erdos-renyi", "edge_probability": 0},
        {"kind": "erdos-renyi", "edge_probability": 1.5},
        {"kind": "edges", "edges": [["agent-0"]]},
        {"kind": "edges", "edges": [["agent-0", "agent-1", "agent-2"]]},
        {"kind": "proximity", "distance": 0},
        {"kind": "proximity", "distance": float("inf")},
    ],
)
def test_settings_out_of_range_never_become_a_config(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(document)


def test_every_setting_tells_its_meaning() -> None:
    for model in get_args(get_args(TopologyConfig)[0]):
        for name, setting in model.model_fields.items():
            assert name == "kind" or len(setting.description or "") > 40, f"{model.__name__}.{name}"


def test_the_documented_number_of_draws_is_the_real_one() -> None:
    description = topology.ErdosRenyiConfig.model_fields["edge_probability"].description or ""
    assert f"{topology.DRAWS} are tried" in description
