"""The summary of a run, on records made by hand."""

from __future__ import annotations

import hashlib
import json
import math
import random
import struct
from pathlib import Path

import pytest

from broker.arithmetic.chosen import kernels
from broker.arithmetic.version import ARITHMETIC
from broker.wire.records import (
    EdgeRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    Fate,
    FaultRecord,
    FinishedRecord,
    RoundRecord,
)
from scenarios.document.agent_names import AgentNames
from scenarios.results.store import Store
from scenarios.results.summary import RunTotals, Summary

AGENTS = ("agent-0", "agent-1")
FINISHED = [FinishedRecord(agent, f"digest of {agent}") for agent in AGENTS]


def episodes(count, first=0):
    """Agent 0 returns the episode's number, agent 1 a quarter."""
    return [EpisodeRecord(episode, (float(episode), 0.25), 20, 1) for episode in range(first, first + count)]


@pytest.fixture
def summarize(tmp_path):
    stores = iter(range(1000))

    def make(records, ledger=(), *, expected=None, wall_s=2.0):
        path = tmp_path / f"{next(stores)}.sqlite"
        store = Store(path, AGENTS)
        store.introduce(AgentNames.of(2, ()))
        store.write([*ledger, *records])
        for record in records:
            if isinstance(record, EventRecord) and record.kind is EventKind.GONE:
                store.leave(record.peer, 0)
        store.close()
        totals = RunTotals(AGENTS, 3)
        for record in records:
            totals.add([record])
        count = len(totals.returns) if expected is None else expected
        return totals.summary("hand-made", 7, count, substrate="simulate", wall_s=wall_s, store=path)

    return make


def test_a_summary_says_what_was_computed_and_by_what(summarize):
    summary = summarize(episodes(1))
    assert (summary.arithmetic, summary.kernels) == (ARITHMETIC, kernels.name)
    older = json.dumps({name: value for name, value in summary if name not in ("arithmetic", "kernels")})
    assert Summary.model_validate_json(older).arithmetic == 0


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [
        (1, [0], [0]),
        (9, [0], [8]),
        (10, [0], [9]),
        (19, [0], [18]),
        (20, [0, 1], [18, 19]),
        (25, [0, 1], [23, 24]),
        (40, [0, 1, 2, 3], [36, 37, 38, 39]),
    ],
)
def test_first_and_last_are_means_over_a_tenth_of_the_episodes(summarize, count, first, last):
    summary = summarize(episodes(count))
    assert summary.team_return_first == sum(first) / len(first) + 0.25
    assert summary.team_return_last == sum(last) / len(last) + 0.25
    assert summary.per_agent_return_last == {"agent-0": sum(last) / len(last), "agent-1": 0.25}


def test_a_run_without_an_episode_has_no_returns(summarize):
    summary = summarize([], expected=5, wall_s=0.0)
    assert (summary.team_return_first, summary.team_return_last, summary.per_agent_return_last) == (None, None, {})
    assert (summary.episodes, summary.env_steps, summary.env_steps_per_s, summary.complete) == (0, 0, 0.0, False)


def test_counts_add_up(summarize):
    rounds = [RoundRecord(agent, 0, number, 1, 1, {}) for agent in AGENTS for number in range(3)]
    summary = summarize([*episodes(4), *rounds])
    assert (summary.episodes, summary.env_steps, summary.missing_actions, summary.rounds) == (4, 80, 4, 3)
    assert summary.env_steps_per_s == 40.0
    assert (summary.scenario, summary.seed, summary.substrate, summary.wall_s) == ("hand-made", 7, "simulate", 2.0)


def test_shares_are_counted_on_neighbor_edges_from_both_ends_and_rejected_and_lost_everywhere(summarize):
    edges = [
        EdgeRecord("agent-0", "agent-1", sent=10, sent_bytes=1000, dropped=1),
        EdgeRecord("agent-0", "agent-1", heard=6, late=2, missing=3, rejected=1),
        EdgeRecord("agent-1", "agent-0", sent=5, sent_bytes=500, heard=5, lost=2),
        EdgeRecord("environment", "agent-0", sent=99, sent_bytes=9999, dropped=9, heard=9, late=9, missing=9),
        EdgeRecord("agent-0", "environment", sent=99, sent_bytes=9999, rejected=4, lost=5),
        EdgeRecord("unknown", "agent-0", rejected=8),
        RoundRecord("agent-0", 0, 0, 4, 3, {}),
        RoundRecord("agent-1", 0, 0, 10, 8, {}),
    ]
    summary = summarize(edges)
    assert (summary.shares_sent, summary.edge_bytes, summary.dropped) == (15, 1500, 1)
    assert (summary.shares_heard, summary.shares_late, summary.shares_missing) == (11, 2, 3)
    assert (summary.rejected, summary.lost) == (13, 7)


@pytest.mark.parametrize(
    ("records", "expected", "complete"),
    [
        ([*episodes(3), *FINISHED], 3, True),
        ([*FINISHED, *episodes(3), FinishedRecord("environment", "")], 3, True),
        ([*episodes(2), *FINISHED], 3, False),
        ([*episodes(3), FINISHED[0]], 3, False),
        ([*episodes(3), FINISHED[0], FinishedRecord("environment", "")], 3, False),
        ([*episodes(3), FINISHED[0], FINISHED[0]], 3, False),
        (episodes(3), 3, False),
    ],
)
def test_complete_means_every_episode_and_every_agents_weights(summarize, records, expected, complete):
    assert summarize(records, expected=expected).complete is complete


def test_the_curve_digest_is_sha256_of_the_returns_in_little_endian(summarize):
    numbers = [0.0, 0.25, 1.0, 0.25, 2.0, 0.25]
    assert summarize(episodes(3)).curve_digest == hashlib.sha256(struct.pack("<6d", *numbers)).hexdigest()


@pytest.mark.parametrize("place", [(0, 0), (7, 1), (11, 0)])
def test_one_bit_of_one_return_changes_the_curve_digest(summarize, place):
    records = episodes(12)
    episode, agent = place
    returns = list(records[episode].returns)
    returns[agent] = math.nextafter(returns[agent], math.inf)
    changed = [*records]
    changed[episode] = EpisodeRecord(episode, tuple(returns), 20, 1)
    assert summarize(records).curve_digest == summarize(episodes(12)).curve_digest
    assert summarize(records).curve_digest != summarize(changed).curve_digest


def test_the_curve_digest_tells_agents_and_episodes_apart(summarize):
    digests = {
        summarize([EpisodeRecord(number, returns, 1, 0) for number, returns in enumerate(curve)]).curve_digest
        for curve in ([(1, 2), (3, 4)], [(2, 1), (3, 4)], [(3, 4), (1, 2)], [(1, 2)])
    }
    assert len(digests) == 4


def test_the_weights_digest_does_not_depend_on_who_finished_first(summarize):
    one, other = FINISHED
    digest = summarize([one, other]).weights_digest
    assert summarize([other, FinishedRecord("environment", ""), one]).weights_digest == digest
    swapped = [FinishedRecord("agent-0", other.weights_digest), FinishedRecord("agent-1", one.weights_digest)]
    assert summarize(swapped).weights_digest != digest


def test_there_is_no_weights_digest_before_all_that_live_are_through(summarize):
    one, other = FINISHED
    dead = EventRecord("agent-1", EventKind.GONE, "agent-1", "exit code 1")
    assert [summarize(records).weights_digest for records in ([], [one], [other])] == [None] * 3
    alone = summarize([one, dead]).weights_digest
    assert alone is not None
    assert alone != summarize([one, other]).weights_digest


def ledger(count):
    return [
        FaultRecord(fault, "agent-0", agent, "share", number, round_, 0, delays, Fate.DELAYED)
        for number in range(count)
        for fault, delays in (("rain", ()), ("lag", (0.1 * number,)))
        for agent in AGENTS
        for round_ in (0, 10, 9)
    ]


def test_the_ledger_digest_does_not_depend_on_the_order_in_which_faults_struck(summarize):
    lines = ledger(5)
    shuffled = random.Random(3).sample(lines, len(lines))
    in_order, out_of_order = summarize([], lines), summarize([], shuffled)
    assert in_order.ledger_digest == out_of_order.ledger_digest
    assert in_order.faults_applied == out_of_order.faults_applied == len(lines) == 60


@pytest.mark.parametrize(
    "change",
    [
        {"fault": "snow"},
        {"source": "agent-1"},
        {"destination": "agent-0"},
        {"kind": "action"},
        {"episode": 3},
        {"number": 4},
        {"attempt": 1},
        {"delays_s": (0.5,)},
        {"delays_s": (0.0, 0.5)},
    ],
    ids=str,
)
def test_every_word_of_the_ledger_counts(summarize, change):
    line = {"fault": "rain", "source": "agent-0", "destination": "agent-1", "kind": "share", "episode": 1}
    line |= {"number": 2, "attempt": 0, "delays_s": (), "fate": Fate.DELAYED}
    before = summarize([], [FaultRecord(**line)]).ledger_digest
    assert summarize([], [FaultRecord(**line | change)]).ledger_digest != before
    assert summarize([], [FaultRecord(**line)] * 2).ledger_digest != before


def test_it_is_written_as_json_with_all_its_figures(summarize, tmp_path):
    summary = summarize([*episodes(3), *FINISHED])
    summary.write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text()) == summary.model_dump()


def test_an_episode_is_recorded_although_an_agent_has_missed_its_end():
    totals = RunTotals(AGENTS, 2)
    one, other = AGENTS

    def rounds(agent, episode, count=2):
        return [RoundRecord(agent, episode, number, 1, 1, {}) for number in range(count)]

    totals.add([*episodes(3), *rounds(one, 0), *rounds(other, 0), *rounds(one, 1)])
    assert totals.recorded == 1  # the other may still be sharing
    totals.add(rounds(other, 2, 1))
    assert totals.recorded == 2  # it has gone on without
    totals.add(rounds(one, 2))
    assert totals.recorded == 2
    totals.add([FinishedRecord(other, "digest")])
    assert totals.recorded == 3


def test_of_an_agent_that_died_rounds_count_and_what_others_heard_of_it_was_sent(summarize):
    one, other = AGENTS
    summary = summarize(
        [
            *episodes(4),
            *(RoundRecord(one, 0, number, 1, 1, {}) for number in range(3)),
            *(RoundRecord(one, episode, number, 1, 0, {}) for episode in range(1, 4) for number in range(3)),
            *(RoundRecord(other, 0, number, 1, 1, {}) for number in range(3)),
            EventRecord(other, EventKind.GONE, other, "killed"),
            EdgeRecord(one, other, sent=3, sent_bytes=300),
            EdgeRecord(other, one, heard=3, missing=9),
        ]
    )
    assert summary.rounds == 12
    assert (summary.shares_sent, summary.shares_heard, summary.shares_missing) == (6, 6, 9)
    assert summary.edge_bytes is None, "it died before it had told how many bytes its shares had"


def test_no_more_was_heard_than_sent_where_the_dead_have_heard_each_other(summarize):
    summary = summarize(
        [
            *episodes(1),
            *(RoundRecord(agent, 0, 0, 1, 1, {}) for agent in AGENTS),
            *(EventRecord(agent, EventKind.GONE, agent, "killed") for agent in AGENTS),
        ]
    )
    assert (summary.shares_sent, summary.shares_heard) == (2, 2)


def test_what_came_of_a_run_is_its_summary_for_figures_are_pictures():
    scenarios = Path(__file__).parents[3] / "scenarios"
    rooms = ("api", "commands", "document", "results", "running", "trials", "watching")
    paths = [path for room in rooms for path in (scenarios / room).rglob("*.py") if path.parent.name != "bench"]
    assert [path for path in paths if "figures" in path.read_text(encoding="utf-8")] == []
