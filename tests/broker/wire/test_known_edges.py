"""Which frames are known: those of the graph, in one run or in every run of a scenario."""

from __future__ import annotations

import pytest

from broker.run_name import ID_LENGTH, every_run, new_run_name
from broker.wire.known_edges import KnownEdge, KnownEdges, edge_prefix

EDGES = [("a", "b"), ("b", "a"), ("a", "agent-10")]
FOREIGN = [("a", "c"), ("c", "a"), ("a", "agent-1"), ("a", "agent-100")]


def test_no_two_runs_have_one_name_and_all_names_are_as_long():
    names = {new_run_name("toy") for _ in range(1000)}
    assert len(names) == 1000
    assert {len(name) for name in names} == {len("toy-") + ID_LENGTH}
    assert len(every_run("toy")) == len("toy-") + ID_LENGTH


@pytest.mark.parametrize("scenario", ["t", "toy", "a-scenario-with-a-name-of-some-length", "x" * 64])
@pytest.mark.parametrize("edge", EDGES)
def test_every_run_of_a_scenario_is_told_from_the_others(scenario, edge):
    known, names = KnownEdges(every_run(scenario), EDGES), [new_run_name(scenario) for _ in range(3)]
    for name in names:
        prefix = edge_prefix(name, *edge)
        assert (
            known.beginning(prefix) == known.of_frame(prefix + b"more") == KnownEdge(*edge, name[-ID_LENGTH:].encode())
        )
        assert known.longest >= len(prefix)


@pytest.mark.parametrize("run", ["toy-aaaaaaaa", every_run("toy")])
def test_frames_of_other_edges_and_scenarios_are_of_none(run):
    known = KnownEdges(run, EDGES)
    for name in ("toy", "toy-aaaaaaa", "toy-aaaaaaaaa", "boy-aaaaaaaa", "toy.aaaaaaaa"):
        assert known.of_frame(edge_prefix(name, "a", "b")) is None
    for edge in FOREIGN:
        assert known.beginning(edge_prefix("toy-aaaaaaaa", *edge)) is None
    for junk in (b"", b"\x96", b"garbage" * 9, edge_prefix("toy-aaaaaaaa", "a", "b")[:-1]):
        assert known.of_frame(junk) is None


def test_one_run_is_all_that_a_forwarder_of_one_run_knows():
    known = KnownEdges("toy-aaaaaaaa", EDGES)
    assert known.beginning(edge_prefix("toy-aaaaaaaa", "a", "b")) == KnownEdge("a", "b")
    assert known.beginning(edge_prefix("toy-bbbbbbbb", "a", "b")) is None
