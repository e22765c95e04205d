"""The shares that reach an agent, round by round, without an agent around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agent_cases import agent_config
from message_cases import state_of

from agent_node.in_edge import RoundName
from agent_node.partners import ExchangePlan
from agent_node.sharing import Arrival, Sharing
from broker.errors import ProtocolViolation

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
Arrays = dict[str, np.ndarray]


def said(number: int) -> Arrays:
    return {"number": np.array([number])}


def refuse_negative(source: str, arrays: Any) -> None:
    if arrays["number"][0] < 0:
        raise ProtocolViolation("number: expected none below 0")


def sharing(**exchange: str) -> Sharing:
    """agent-0 of three, in episode 0 before its first round."""
    made = Sharing(agent_config(A0, exchange=exchange), refuse_negative)
    made.begin_episode(0)
    return made


def opened(made: Sharing, number: int, *partners: str, episode: int = 0, silent: tuple[str, ...] = ()) -> None:
    outgoing = [partner for partner in partners or (A1, A2) if partner not in silent]
    made.open(RoundName(episode, number), partners or (A1, A2), outgoing)


def test_a_round_hands_over_what_it_heard_in_the_partners_order_and_counts_it() -> None:
    made = sharing()
    opened(made, 0)
    shares = {A2: said(2), A1: said(1)}
    for source, arrays in shares.items():
        assert not made.complete
        assert made.hear(source, RoundName(0, 0), arrays) is Arrival.HEARD
    assert (made.complete, made.missing) == (True, [])
    closed = made.close()
    assert list(closed.shares) == [A1, A2]
    assert closed.shares == shares
    assert (closed.stale, closed.expected) == ({}, 2)
    assert [(one.heard, one.missing) for one in made.edges.values()] == [(1, 0), (1, 0)]


def test_of_a_neighbors_shares_for_a_round_the_first_is_used() -> None:
    made = sharing()
    opened(made, 0)
    first = said(1)
    for arrays in (first, said(5)):
        made.hear(A1, RoundName(0, 0), arrays)
    assert made.close().shares == {A1: first}


def test_of_a_neighbors_shares_that_come_early_for_a_round_the_first_is_used() -> None:
    made = sharing()
    first = said(1)
    for arrays in (first, said(5)):
        assert made.hear(A1, RoundName(0, 0), arrays) is Arrival.KEPT
    opened(made, 0)
    assert made.hear(A1, RoundName(0, 0), said(7)) is Arrival.HEARD
    assert made.close().shares == {A1: first}


def test_a_share_that_comes_early_is_kept_for_its_round_and_for_no_other() -> None:
    made = sharing()
    early = said(1)
    assert made.hear(A1, RoundName(0, 1), early) is Arrival.KEPT
    opened(made, 0)
    assert made.missing == [A1, A2]
    made.close()
    opened(made, 1)
    assert made.missing == [A2]
    assert made.close().shares == {A1: early}


def test_what_was_kept_for_an_episode_that_is_past_is_forgotten() -> None:
    made = sharing()
    for episode in (0, 1):
        made.hear(A1, RoundName(episode, 2), said(episode))
    made.begin_episode(1)
    opened(made, 2, episode=1)
    assert made.close().shares == {A1: said(1)}
    opened(made, 2)
    assert made.missing == [A1, A2]


def test_a_missing_share_is_late_once_and_any_other_that_comes_afterwards_is_past() -> None:
    made = sharing()
    opened(made, 0)
    made.hear(A2, RoundName(0, 0), said(2))
    made.close()
    fates = [made.hear(source, RoundName(0, 0), said(1)) for source in (A1, A1, A2)]
    assert fates == [Arrival.LATE, Arrival.PAST, Arrival.PAST]
    assert [(one.missing, one.late) for one in made.edges.values()] == [(1, 1), (0, 0)]


def test_what_is_refused_changes_nothing_and_says_whose_it_was() -> None:
    made = sharing()
    opened(made, 0, A1)
    for source, arrays, reason in (
        (A1, said(-1), "share from agent-1: number: expected"),
        (A2, said(1), "agent-2 .* do not"),
    ):
        before = state_of(made)
        with pytest.raises(ProtocolViolation, match=reason):
            made.hear(source, RoundName(0, 0), arrays)
        assert state_of(made) == before


@pytest.mark.parametrize("early", [True, False])
def test_what_is_heard_of_a_neighbor_does_not_hang_on_when_it_came(early: bool) -> None:
    made, good = sharing(), said(2)
    if not early:
        opened(made, 0)
    with pytest.raises(ProtocolViolation, match="share from agent-1: number: expected none below 0"):
        made.hear(A1, RoundName(0, 0), said(-1))
    made.hear(A1, RoundName(0, 0), good)
    if early:
        opened(made, 0)
    assert made.close().shares == {A1: good}


def test_of_a_dead_neighbor_nothing_older_stands_in() -> None:
    """An older share stands in as it is nearly what its sender holds now; the dead hold nothing."""
    made = sharing(late_shares="reuse")
    opened(made, 0)
    for source in (A1, A2):
        made.hear(source, RoundName(0, 0), said(1))
    made.close()
    made.gone.add(A2)
    opened(made, 1)
    closed = made.close()
    assert (closed.shares, closed.stale) == ({}, {A1: said(1)})
    assert [one.missing for one in made.edges.values()] == [1, 1]


def test_partners_without_anything_to_exchange_are_not_expected_and_others_are_skipped() -> None:
    made = sharing()
    opened(made, 0, A1, silent=A1)
    assert made.complete
    made.hear(A1, RoundName(0, 0), said(1))
    closed = made.close()
    assert (closed.shares, closed.expected) == ({}, 0)
    assert [(one.heard, one.missing, one.skipped) for one in made.edges.values()] == [(0, 0, 0), (0, 0, 1)]


def test_a_neighbor_that_is_gone_is_missing_and_not_waited_for() -> None:
    made = sharing()
    opened(made, 0)
    made.hear(A1, RoundName(0, 0), said(1))
    assert not made.complete
    made.gone.add(A2)
    assert (made.complete, made.missing) == (True, [])
    assert made.close().shares == {A1: said(1)}
    assert [one.missing for one in made.edges.values()] == [0, 1]


@pytest.mark.parametrize(("late_shares", "stands_in"), [("drop", False), ("reuse", True)])
def test_the_newest_share_stands_in_for_a_missing_one_only_where_it_is_reused(
    late_shares: str, stands_in: bool
) -> None:
    made = sharing(late_shares=late_shares)
    opened(made, 0)
    newest = said(1)
    made.hear(A1, RoundName(0, 0), newest)
    made.close()
    late = said(2)
    assert made.hear(A2, RoundName(0, 0), late) is Arrival.LATE
    opened(made, 1)
    assert made.close().stale == ({A1: newest, A2: late} if stands_in else {})


def test_a_later_life_knows_what_was_missed_and_what_was_newest() -> None:
    made = sharing(late_shares="reuse")
    opened(made, 0)
    made.hear(A1, RoundName(0, 0), said(1))
    made.close()
    state = made.state()
    again = sharing(late_shares="reuse")
    again.begin_episode(0)
    own = {"actor/parameters": np.zeros(3)}
    assert again.restore(type(state)(state.arrays | own, state.facts)).keys() == own.keys()
    opened(again, 1)
    assert again.hear(A2, RoundName(0, 0), said(2)) is Arrival.LATE
    assert again.close().stale == {A1: said(1), A2: said(2)}


def test_partners_are_found_once_a_round_however_many_shares_ask_and_are_those_of_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, asked = ExchangePlan.partners, list[tuple[int, int]]()

    def counted(self: ExchangePlan, agent: str, episode: int, round_: int) -> tuple[str, ...]:
        asked.append((episode, round_))
        return plain(self, agent, episode, round_)

    monkeypatch.setattr(ExchangePlan, "partners", counted)
    config = agent_config(A0, exchange={"mode": "random-partner"}, rounds=2)
    made = Sharing(config, refuse_negative)
    made.begin_episode(0)
    plan = ExchangePlan(config.link.seed, config.neighbors, config.exchange)
    rounds = [(episode, number) for episode in range(40) for number in range(2)]
    for episode, number in rounds:
        found = {made.partners(RoundName(episode, number)) for _ in range(3)}
        assert found == {plain(plan, A0, episode, number)}
        for source in (A1, A2):
            if source in plain(plan, A0, episode, number):
                made.hear(source, RoundName(episode, number), said(1))
    assert asked == rounds
    made.partners(RoundName(0, 0))
    assert asked == [*rounds, (0, 0)], "rounds of long ago fill no memory"
