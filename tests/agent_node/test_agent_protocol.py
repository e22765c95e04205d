from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from agent_cases import agent_config
from message_cases import action_of, state_of, timestep_of
from msgspec.structs import astuple
from recording_learner import RecordingLearner, bad, stamp

from agent_node.partners import ExchangePlan
from agent_node.protocol import AgentPhase, AgentProtocol
from broker.errors import PeerLost, ProtocolViolation, WrongRun
from broker.participants.link import LifeConfig
from broker.participants.participant import Command, Report, Save, Send
from broker.wire.counters import BarrierTime
from broker.wire.messages import ENVIRONMENT, Action, Hello, Message, Metrics, Share, Stop, Timestep
from broker.wire.records import EdgeRecord, FinishedRecord, JoinedRecord, RoundRecord

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
PATIENCE, GIVE_UP = 2.0, 50.0


def timestep(step: int, episode: int = 0, *, last: bool = False, attempt: int = 0, **other: Any) -> Timestep:
    shapes = {"observation": (2, 3), "reward": (2,), "ended": (2,), "neighbors": None} | other
    dtypes = {"observation": np.float32, "reward": np.float32, "ended": np.uint8, "neighbors": np.uint8}
    arrays: dict[str, Any] = {
        name: None if shape is None else np.zeros(shape, dtypes[name]) for name, shape in shapes.items()
    }
    return timestep_of(episode, step, attempt, last, **arrays)


def share(source: str, round_: int, episode: int = 0) -> Share:
    return Share.of(episode, round_, stamp(source, A0, episode, round_))


class Bench:
    """agent-0 of three, T = 3 steps, K = 2 rounds, 2 episodes."""

    def __init__(self, silent_towards: tuple[str, ...] = (), **settings: Any) -> None:
        self.config = agent_config(**{"steps": 3, "rounds": 2, "give_up_s": GIVE_UP, **settings})
        self.learner = RecordingLearner(A0, self.config.parallel_episodes, silent_towards)
        self.agent = AgentProtocol(self.config, self.learner)

    def hear(self, source: str, message: Message, now: float = 0.0) -> list[Command]:
        return self.agent.receive(source, message, now)

    def see(self, step: int, episode: int = 0, now: float = 0.0, **other: Any) -> list[Command]:
        return self.hear(ENVIRONMENT, timestep(step, episode, **other), now)

    def join(self) -> Bench:
        self.agent.start(0.0)
        for peer in self.agent.peers:
            self.hear(peer, Hello(0, wants_reply=False))
        return self

    def play(self, episode: int = 0, end: float = 0.0) -> list[Command]:
        for step in range(3):
            self.see(step, episode, end)
        return self.see(3, episode, end, last=True)

    def finish_episode(self, episode: int = 0, now: float = 0.0) -> list[Command]:
        """Hear everybody in every round still open."""
        commands: list[Command] = []
        for k in range(2):
            for source in (A1, A2):
                commands = self.hear(source, share(source, k, episode), now)
        return commands

    def counted(self) -> dict[str, tuple[int, int, int, int]]:
        totals = self.agent.totals()
        assert all(isinstance(record, EdgeRecord) and record.destination == A0 for record in totals)
        return {
            record.source: (record.heard, record.late, record.missing, record.rejected)
            for record in totals
            if isinstance(record, EdgeRecord)
        }

    def closed(self) -> list[tuple[int, int, tuple[str, ...]]]:
        return [(episode, k, tuple(heard)) for episode, k, heard in self.learner.closed]

    def refuses(self, source: str, message: Message, now: float = 0.0) -> str:
        """The reason for which it refuses, after a look that nothing was changed."""
        before = state_of(self.agent.__dict__)
        with pytest.raises(ProtocolViolation) as violation:
            self.hear(source, message, now)
        assert state_of(self.agent.__dict__) == before
        return str(violation.value)


def sent(commands: Sequence[Command]) -> list[tuple[str, str, int, int]]:
    """(destination, kind, episode, step or round) of all messages."""
    out = []
    for command in commands:
        if isinstance(command, Send):
            message = command.message
            assert isinstance(message, Action | Share)
            number = message.step if isinstance(message, Action) else message.round
            out.append((command.destination, type(message).__name__, message.episode, number))
    return out


def records(commands: Sequence[Command]) -> list[Any]:
    return [command.record for command in commands if isinstance(command, Report)]


def action(commands: Sequence[Command]) -> Action:
    (command,) = commands
    assert isinstance(command, Send)
    assert isinstance(command.message, Action)
    assert command.destination == ENVIRONMENT
    return command.message


# Joining


def test_joining_asks_all_peers_and_ends_when_all_have_answered() -> None:
    bench = Bench()
    hellos = bench.agent.start(0.0)
    asked = [command.destination for command in hellos if isinstance(command, Send)]
    assert asked == [ENVIRONMENT, A1, A2]
    assert bench.hear(A1, Hello(0, wants_reply=True)) == [Send(A1, Hello(0, wants_reply=False))]
    assert bench.hear(ENVIRONMENT, Hello(0, wants_reply=False)) == []
    assert bench.agent.phase is AgentPhase.JOINING
    assert bench.agent.waits_for().endswith(f"HELLO from {A2} and for an answer from {A1}, heard but not hearing it")
    assert bench.hear(A1, Hello(0, wants_reply=False)) == []
    assert bench.hear(A2, Hello(0, wants_reply=False)) == [Report(JoinedRecord(A0))]
    assert bench.agent.phase is AgentPhase.ACTING


def test_joining_asks_the_silent_again_and_gives_up_naming_them() -> None:
    bench = Bench()
    bench.agent.start(0.0)
    bench.hear(ENVIRONMENT, Hello(0, wants_reply=False))
    bench.hear(A1, Hello(0, wants_reply=False))
    assert bench.agent.deadline == 0.5
    assert bench.agent.expire(0.5) == [Send(A2, Hello(0, wants_reply=True))]
    with pytest.raises(PeerLost, match=A2):
        bench.agent.expire(5.0)


def test_a_hello_that_wants_an_answer_gets_one_in_any_phase() -> None:
    bench = Bench().join()
    for go_on in (lambda: None, bench.play, bench.finish_episode):
        go_on()
        assert bench.hear(A1, Hello(3, wants_reply=True)) == [Send(A1, Hello(0, wants_reply=False))]


def test_a_timestep_that_comes_while_joining_is_answered_after_it() -> None:
    bench = Bench()
    bench.agent.start(0.0)
    bench.hear(ENVIRONMENT, Hello(0, wants_reply=False))
    assert bench.see(0) == []
    bench.hear(A1, Hello(0, wants_reply=False))
    commands = bench.hear(A2, Hello(0, wants_reply=False))
    assert records(commands) == [JoinedRecord(A0)]
    assert sent(commands) == [(ENVIRONMENT, "Action", 0, 0)]


# Acting


def test_every_timestep_gets_an_action_and_the_last_opens_round_0() -> None:
    bench = Bench().join()
    for step in range(3):
        assert sent(bench.see(step)) == [(ENVIRONMENT, "Action", 0, step)]
    assert sent(bench.see(3, last=True)) == [(A1, "Share", 0, 0), (A2, "Share", 0, 0)]
    assert bench.agent.phase is AgentPhase.SHARING
    assert bench.learner.calls == [
        ("begin_episode", 0),
        ("act", 0),
        ("act", 1),
        ("act", 2),
        ("see", 3),
        ("end_episode",),
        ("open_round", (A1, A2)),
    ]


def test_an_episode_may_end_before_its_time_limit() -> None:
    bench = Bench().join()
    bench.see(0)
    bench.see(1, last=True)
    assert bench.agent.phase is AgentPhase.SHARING


@pytest.mark.parametrize("phase", [AgentPhase.JOINING, AgentPhase.ACTING, AgentPhase.SHARING])
@pytest.mark.parametrize(("step", "last"), [(2, False), (2, True), (3, True)])
def test_a_timestep_behind_the_end_of_its_episode_is_refused_and_changes_nothing(
    phase: AgentPhase, step: int, *, last: bool
) -> None:
    bench = Bench()
    bench.agent.start(0.0)
    if phase is not AgentPhase.JOINING:
        bench.join()
    bench.see(0)
    bench.see(1, last=True)
    if phase is AgentPhase.ACTING:
        bench.finish_episode()
    assert bench.agent.phase is phase
    reason = bench.refuses(ENVIRONMENT, timestep(step, last=last), 1.0)
    assert reason == f"timestep {step} of episode 0, which ended at 1"


def test_a_timestep_behind_the_end_of_an_episode_that_waits_to_be_played_is_refused() -> None:
    bench = Bench().join()
    bench.play()
    bench.see(0, episode=1)
    bench.see(1, episode=1, last=True)
    reason = bench.refuses(ENVIRONMENT, timestep(2, 1), 1.0)
    assert reason.endswith("timestep 2 of episode 1, which ended at 1")
    assert bench.see(1, episode=1, last=True) == []


def test_a_timestep_seen_twice_gets_the_same_action_with_the_attempt_of_the_question() -> None:
    bench = Bench().join()
    bench.see(0)
    first = action(bench.see(1))
    for attempt in (0, 1, 7):
        again = action(bench.see(1, attempt=attempt))
        assert (again.episode, again.step, again.attempt) == (0, 1, attempt)
        assert again.arrays["actions"].tolist() == first.arrays["actions"].tolist()
    assert bench.learner.calls.count(("act", 1)) == 1


def test_an_older_timestep_gets_no_answer_and_changes_nothing() -> None:
    bench = Bench().join()
    bench.see(0)
    bench.see(2)
    calls = list(bench.learner.calls)
    assert bench.see(0) == bench.see(1) == []
    assert bench.learner.calls == calls


def test_the_last_timestep_seen_again_gets_no_answer_before_the_agent_is_ready_and_readiness_after() -> None:
    bench = Bench().join()
    bench.play()
    assert bench.see(3, last=True, attempt=1) == []
    bench.finish_episode()
    again = action(bench.see(3, last=True, attempt=2))
    assert (again.step, again.attempt, len(again.data)) == (3, 2, 0)
    assert bench.learner.calls.count(("end_episode",)) == 1


def test_timesteps_that_come_while_sharing_are_answered_in_order_after_it() -> None:
    """An environment that goes on without an agent sends the next episode's timesteps early, some of them twice."""
    bench = Bench().join()
    bench.play()
    for step in (0, 0, 1, 0):
        assert bench.see(step, episode=1) == []
    commands = bench.finish_episode()
    assert [message for message in sent(commands) if message[1] == "Action"] == [
        (ENVIRONMENT, "Action", 0, 3),
        (ENVIRONMENT, "Action", 1, 0),
        (ENVIRONMENT, "Action", 1, 1),
    ]
    assert bench.learner.calls[-3:] == [("begin_episode", 1), ("act", 0), ("act", 1)]


@pytest.mark.parametrize("stopped", [False, True])
def test_any_number_of_episodes_that_wait_is_played_one_after_the_other(stopped: bool) -> None:
    """An environment that goes on without an agent that still shares may be far ahead of it."""
    episodes = 600
    bench = Bench(episodes=episodes, environment_waits=False, exchange={"skip_probability": 0.5}).join()
    while bench.agent.phase is AgentPhase.ACTING:
        bench.play(first := bench.learner.episode + 1)
    for episode in range(first + 1, episodes - 1):
        for round_ in range(2):
            for source in ExchangePlan(7, bench.config.neighbors, bench.config.exchange).partners(A0, episode, round_):
                bench.hear(source, share(source, round_, episode))
        assert bench.see(1, episode, last=True) == []
    assert bench.see(0, episodes - 1) == []
    if stopped:
        assert bench.hear(ENVIRONMENT, Stop("")) == []
    commands = bench.agent.expire(2.0)
    while bench.agent.phase is AgentPhase.SHARING:
        commands = bench.agent.expire(4.0)
    ready = [(ENVIRONMENT, "Action", episode, 1) for episode in range(first + 1, episodes - 1)]
    told = [each for each in sent(commands) if each[1] == "Action"]
    assert told == [(ENVIRONMENT, "Action", first, 3), *ready, (ENVIRONMENT, "Action", episodes - 1, 0)]
    assert saved(commands) == [(each, (each + 1) % 20 == 0) for each in range(first, episodes - 1 + stopped)]
    assert bench.agent.done is stopped
    assert (commands[-1] == FINISHED) is stopped


# Sharing


def test_a_round_closes_when_all_were_heard_and_the_next_opens_at_once() -> None:
    bench = Bench().join()
    bench.play()
    assert bench.hear(A2, share(A2, 0)) == []
    commands = bench.hear(A1, share(A1, 0))
    assert records(commands) == [RoundRecord(A0, 0, 0, 2, 2, {"gain": 0.0})]
    assert sent(commands) == [(A1, "Share", 0, 1), (A2, "Share", 0, 1)]
    assert bench.learner.closed == [(0, 0, {A1: [1, 0, 0, 0], A2: [2, 0, 0, 0]})]


def test_each_neighbor_gets_the_share_made_for_it() -> None:
    bench = Bench().join()
    commands = [command for command in bench.play() if isinstance(command, Send)]
    said = {command.destination: command.message for command in commands}
    for number, neighbor in enumerate((A1, A2), 1):
        message = said[neighbor]
        assert isinstance(message, Share)
        assert message.arrays["stamp"].tolist() == [0, number, 0, 0]


def test_after_the_last_round_the_agent_is_ready_and_acts_again() -> None:
    bench = Bench().join()
    bench.play()
    commands = bench.finish_episode()
    assert sent(commands) == [(ENVIRONMENT, "Action", 0, 3)]
    (ready,) = [command.message for command in commands if isinstance(command, Send)]
    assert isinstance(ready, Action)
    assert ready.layout == "actions int32 0"
    assert bench.agent.phase is AgentPhase.ACTING
    assert sent(bench.see(0, episode=1)) == [(ENVIRONMENT, "Action", 1, 0)]
    assert bench.closed() == [(0, 0, (A1, A2)), (0, 1, (A1, A2))]


def test_a_share_that_comes_twice_counts_once_and_the_first_is_used() -> None:
    bench = Bench().join()
    bench.play()
    bench.hear(A1, share(A1, 0))
    bench.hear(A1, Share.of(0, 0, stamp(A2, A2, 9, 9)))
    bench.hear(A2, share(A2, 0))
    assert bench.learner.closed[0][2][A1] == [1, 0, 0, 0]
    assert bench.counted()[A1] == (1, 0, 0, 0)


@pytest.mark.parametrize("early", [A1, A2])
def test_a_share_of_the_next_round_is_kept_for_it(early: str) -> None:
    other = A2 if early == A1 else A1
    bench = Bench().join()
    bench.play()
    assert bench.hear(early, share(early, 1)) == []
    bench.hear(early, share(early, 0))
    bench.hear(other, share(other, 0))
    commands = bench.hear(other, share(other, 1))
    assert sent(commands) == [(ENVIRONMENT, "Action", 0, 3)]
    assert bench.learner.closed[1] == (0, 1, {A1: [1, 0, 0, 1], A2: [2, 0, 0, 1]})


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_share_that_comes_before_the_episode_ended_is_kept_for_its_round(seen: int) -> None:
    bench = Bench().join()
    for step in range(seen):
        bench.see(step)
    assert bench.hear(A1, share(A1, 0)) == []
    bench.play()
    bench.hear(A2, share(A2, 0))
    assert bench.closed() == [(0, 0, (A1, A2))]


def test_a_share_of_the_next_episode_is_kept_for_it() -> None:
    bench = Bench().join()
    bench.play()
    bench.hear(A1, share(A1, 0, episode=1))
    bench.finish_episode()
    bench.play(episode=1)
    bench.hear(A2, share(A2, 0, episode=1))
    assert bench.learner.closed[2] == (1, 0, {A1: [1, 0, 1, 0], A2: [2, 0, 1, 0]})


@pytest.mark.parametrize("seen", [0, 1, 4])
def test_a_share_of_more_than_one_episode_ahead_is_refused_where_the_environment_waits(seen: int) -> None:
    """Nobody can be so far ahead of an agent that the environment waits for; what is kept stays little."""
    bench = Bench(episodes=20).join()
    for step in range(seen):
        bench.see(step, last=step == 3)
    latest = 0 if seen else -1
    for ahead in (2, 3, 9, 15):
        assert f"share of round 0 of episode {latest + ahead} from {A1}" in bench.refuses(
            A1, share(A1, 0, episode=latest + ahead)
        )
    assert bench.hear(A1, share(A1, 0, episode=latest + 1)) == []


def test_a_round_in_which_all_shares_came_early_needs_no_waiting() -> None:
    bench = Bench().join()
    for source in (A1, A2):
        for k in range(2):
            bench.hear(source, share(source, k))
    commands = bench.play()
    assert sent(commands)[-1] == (ENVIRONMENT, "Action", 0, 3)
    assert bench.closed() == [(0, 0, (A1, A2)), (0, 1, (A1, A2))]


def test_round_k_closes_k_plus_1_times_patience_after_the_episodes_end() -> None:
    """Both rounds count from the end of the episode, whenever the one before was closed."""
    bench = Bench().join()
    bench.play(end=10.0)
    assert bench.agent.deadline == 10.0 + PATIENCE
    bench.hear(A1, share(A1, 0), 10.5)
    assert bench.agent.deadline == 10.0 + PATIENCE
    bench.hear(A2, share(A2, 0), 11.0)
    assert bench.agent.deadline == 10.0 + 2 * PATIENCE


def test_the_time_that_rounds_wait_for_shares_is_counted() -> None:
    bench = Bench().join()
    bench.play(end=10.0)
    bench.hear(A1, share(A1, 0), 10.5)
    bench.hear(A2, share(A2, 0), 11.5)
    bench.agent.expire(14.0)
    assert bench.agent.barriers.totals() == {"share": BarrierTime(2, 1.5 + 2.5)}


def test_a_share_missing_at_the_deadline_is_done_without() -> None:
    bench = Bench().join()
    bench.play(end=10.0)
    bench.hear(A2, share(A2, 0), 10.5)
    commands = bench.agent.expire(12.0)
    assert records(commands) == [RoundRecord(A0, 0, 0, 2, 1, {"gain": 0.0})]
    assert sent(commands) == [(A1, "Share", 0, 1), (A2, "Share", 0, 1)]
    assert bench.closed() == [(0, 0, (A2,))]
    assert bench.counted() == {A1: (0, 0, 1, 0), A2: (1, 0, 0, 0)}
    assert bench.agent.deadline == 10.0 + 2 * PATIENCE


def test_deadlines_passed_in_one_go_close_one_round_each() -> None:
    bench = Bench().join()
    bench.play(end=10.0)
    bench.agent.expire(20.0)
    assert bench.agent.deadline == 14.0
    assert sent(bench.agent.expire(20.0)) == [(ENVIRONMENT, "Action", 0, 3)]
    assert bench.closed() == [(0, 0, ()), (0, 1, ())]


@pytest.mark.parametrize("when", ["next round", "acting", "next episode"])
def test_a_share_that_comes_after_its_round_is_late_once_and_never_used(when: str) -> None:
    bench = Bench().join()
    bench.play()
    bench.hear(A2, share(A2, 0))
    bench.agent.expire(2.0)
    if when != "next round":
        bench.hear(A1, share(A1, 1), 2.0)
        bench.hear(A2, share(A2, 1), 2.0)
    if when == "next episode":
        bench.play(episode=1, end=3.0)
    closed = bench.closed()
    [told] = bench.hear(A1, share(A1, 0), 3.0)
    assert astuple(told.record)[:7] == (A1, A0, "share", 0, 0, 0, "late")
    assert bench.hear(A1, share(A1, 0), 3.0) == []
    heard = 0 if when == "next round" else 1
    assert bench.counted()[A1] == (heard, 1, 1, 0)
    assert bench.closed() == closed


def test_a_second_copy_of_a_share_that_was_heard_is_not_late() -> None:
    bench = Bench().join()
    bench.play()
    bench.finish_episode()
    assert bench.hear(A1, share(A1, 0)) == []
    assert bench.counted()[A1] == (2, 0, 0, 0)


def test_a_bad_share_is_refused_and_a_good_one_after_it_is_still_heard() -> None:
    bench = Bench().join()
    bench.play()
    assert "share from agent-1: stamp: expected a stamp" in bench.refuses(A1, Share.of(0, 0, bad()))
    bench.hear(A1, share(A1, 0))
    bench.hear(A2, share(A2, 0))
    assert bench.closed() == [(0, 0, (A1, A2))]


def test_a_bad_share_in_place_of_a_good_one_leaves_it_missing() -> None:
    bench = Bench().join()
    bench.play()
    bench.refuses(A1, Share.of(0, 0, bad()))
    bench.hear(A2, share(A2, 0))
    bench.agent.expire(2.0)
    assert bench.closed() == [(0, 0, (A2,))]
    assert bench.counted()[A1] == (0, 0, 1, 0)


def test_a_bad_share_that_comes_early_is_rejected_at_once_and_a_good_one_may_follow() -> None:
    bench = Bench().join()
    bench.refuses(A1, Share.of(0, 0, bad()))
    bench.hear(A1, share(A1, 0))
    bench.play()
    bench.hear(A2, share(A2, 0))
    assert bench.closed() == [(0, 0, (A1, A2))]
    assert bench.counted()[A1] == (1, 0, 0, 0)


def test_a_share_heard_stands_in_for_later_ones_that_are_missing_until_a_newer_one_came() -> None:
    bench = Bench(rounds=5, exchange={"late_shares": "reuse"}).join()
    bench.play()
    bench.hear(A2, share(A2, 0))
    bench.agent.expire(2.0)  # agent-1 has never been heard
    bench.hear(A1, share(A1, 0), 2.0)  # late
    bench.agent.expire(4.0)
    bench.hear(A1, share(A1, 1), 4.0)  # late
    bench.hear(A1, share(A1, 0), 4.0)  # older than what is known
    bench.agent.expire(6.0)
    bench.hear(A1, share(A1, 3), 6.0)
    bench.agent.expire(8.0)
    commands = bench.agent.expire(10.0)
    assert bench.learner.stale == [
        {},
        {A1: [1, 0, 0, 0], A2: [2, 0, 0, 0]},
        {A1: [1, 0, 0, 1], A2: [2, 0, 0, 0]},
        {A2: [2, 0, 0, 0]},
        {A1: [1, 0, 0, 3], A2: [2, 0, 0, 0]},
    ]
    assert [record.losses for record in records(commands)] == [{"gain": 4.0, "stale": 2.0}]
    assert bench.counted() == {A1: (1, 2, 4, 0), A2: (1, 0, 4, 0)}


def test_parameters_of_an_earlier_episode_stand_in_too() -> None:
    bench = Bench(exchange={"late_shares": "reuse"}).join()
    bench.play()
    bench.finish_episode()
    bench.play(episode=1, end=9.0)
    bench.agent.expire(11.0)
    assert bench.learner.stale == [{}, {}, {A1: [1, 0, 0, 1], A2: [2, 0, 0, 1]}]


@pytest.mark.parametrize("late_shares", ["drop", "reuse"])
def test_a_late_share_that_is_bad_is_refused_and_neither_late_nor_reused(late_shares: str) -> None:
    bench = Bench(exchange={"late_shares": late_shares}).join()
    bench.play()
    bench.agent.expire(2.0)
    assert "share from agent-1: stamp: expected a stamp" in bench.refuses(A1, Share.of(0, 0, bad()), 2.0)
    bench.agent.expire(4.0)
    assert bench.learner.stale == [{}, {}]
    assert bench.counted()[A1] == (0, 0, 2, 0)


def test_a_share_of_a_round_without_exchange_is_never_reused() -> None:
    bench, stranger = bench_with_a_stranger({"late_shares": "reuse"})
    bench.play()
    bench.agent.expire(2.0)
    assert stranger in bench.agent.waits_for()
    refused = bench.refuses(stranger, share(stranger, 0), 2.0)
    assert f"{stranger} shares in a round in which the two do not exchange" in refused
    bench.agent.expire(4.0)
    assert bench.learner.stale == [{}, {}]


def test_without_reuse_no_share_outlives_its_round() -> None:
    bench = Bench().join()
    bench.play()
    bench.hear(A1, share(A1, 0))
    bench.agent.expire(2.0)
    bench.hear(A2, share(A2, 0))
    commands = bench.agent.expire(4.0)
    assert bench.learner.stale == [{}, {}]
    assert "stale" not in records(commands)[0].losses


def test_a_skipped_round_sends_and_awaits_nothing() -> None:
    bench = Bench(exchange={"skip_probability": 1.0}).join()
    commands = bench.play()
    assert sent(commands) == [(ENVIRONMENT, "Action", 0, 3)]
    assert records(commands) == [RoundRecord(A0, 0, k, 0, 0, {"gain": float(k)}) for k in range(2)]
    assert bench.learner.calls[-4:] == [
        ("open_round", ()),
        ("close_round", ()),
        ("open_round", ()),
        ("close_round", ()),
    ]
    assert bench.counted() == {A1: (0, 0, 0, 0), A2: (0, 0, 0, 0)}


def test_partners_are_those_of_the_plan_in_every_round() -> None:
    bench = Bench(rounds=3, seed=11, agents=4, exchange={"mode": "random-partner"}).join()
    bench.play()
    for deadline in (2.0, 4.0, 6.0):
        bench.agent.expire(deadline)
    opened = [call[1] for call in bench.learner.calls if call[0] == "open_round"]
    plan = ExchangePlan(11, bench.config.neighbors, bench.config.exchange)
    assert opened == [plan.partners(A0, 0, k) for k in range(3)]
    assert len(set(opened)) > 1
    missing = {name: counts[2] for name, counts in bench.counted().items()}
    assert missing == {name: sum(name in partners for partners in opened) for name in missing}


def test_a_partner_with_nothing_to_exchange_is_not_awaited() -> None:
    bench = Bench(silent_towards=(A1,)).join()
    assert sent(bench.play()) == [(A2, "Share", 0, 0)]
    (record,) = records(bench.hear(A2, share(A2, 0)))
    assert record == RoundRecord(A0, 0, 0, 1, 1, {"gain": 0.0})
    assert bench.counted()[A1] == (0, 0, 0, 0)


# What no correct peer can say


def bench_with_a_stranger(exchange: dict[str, str] | None = None) -> tuple[Bench, str]:
    """With random partners, and with a neighbor that is agent-0's partner in the second round and not in the first."""
    for seed in range(100):
        bench = Bench(exchange={"mode": "random-partner", **(exchange or {})}, seed=seed)
        plan = ExchangePlan(seed, bench.config.neighbors, bench.config.exchange)
        strangers = set(plan.partners(A0, 0, 1)) - set(plan.partners(A0, 0, 0))
        if strangers:
            return bench.join(), strangers.pop()
    raise AssertionError("agent-0 meets in the second round nobody but those of the first, whatever the seed")


def test_a_share_in_a_round_without_exchange_is_refused() -> None:
    bench, stranger = bench_with_a_stranger()
    bench.play()
    assert stranger in bench.refuses(stranger, share(stranger, 0))


def test_a_share_that_only_the_other_end_expects_is_neither_used_nor_refused() -> None:
    """One end missed the only samples at which the two were in range; the other end cannot know."""
    bench = Bench(silent_towards=(A1,)).join()
    bench.play()
    assert bench.hear(A1, share(A1, 0)) == []
    assert bench.counted()[A1] == (0, 0, 0, 0)


def test_a_share_for_a_round_without_exchange_is_rejected_although_it_comes_early() -> None:
    bench, stranger = bench_with_a_stranger()
    bench.refuses(stranger, share(stranger, 0))


@pytest.mark.parametrize("phase", list(AgentPhase))
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("agent-9", share(A1, 0)),
        (ENVIRONMENT, share(A1, 0)),
        (A1, share(A1, 2)),
        (A1, share(A1, -1)),
        (A1, share(A1, 0, episode=3)),
        (A1, share(A1, 0, episode=-1)),
        (A1, timestep(0)),
        (A1, Stop("")),
        (A1, Stop("enough")),
        (A1, Metrics(b"")),
        (ENVIRONMENT, action_of(0, 0, 0, np.zeros(2, np.int32))),
        (A1, action_of(0, 0, 0, np.zeros(2, np.int32))),
    ],
)
def test_what_no_correct_peer_can_say_is_refused_and_changes_nothing(
    phase: AgentPhase, source: str, message: Message
) -> None:
    bench = in_phase(phase)
    reason = bench.refuses(source, message, 1.0)
    assert reason.startswith(f"{A0} in {phase.value}")


@pytest.mark.parametrize(
    "message",
    [
        timestep(1, observation=(2, 4)),
        timestep(1, observation=(3, 3)),
        timestep(1, reward=(3,)),
        timestep(1, reward=(2, 1)),
        timestep(1, ended=(1,)),
        timestep(1, neighbors=(2, 2)),
        timestep(3),
        timestep(4, last=True),
        timestep(-1),
        timestep(0, episode=2),
        timestep(0, episode=-1),
    ],
)
def test_a_timestep_that_no_environment_sends_is_refused_for_the_same_reason_in_every_phase(message: Timestep) -> None:
    assert len({in_phase(phase).refuses(ENVIRONMENT, message, 1.0) for phase in AgentPhase}) == 1


def in_phase(phase: AgentPhase) -> Bench:
    bench = Bench()
    if phase is AgentPhase.JOINING:
        bench.agent.start(0.0)
    else:
        bench.join()
    if phase in {AgentPhase.ACTING, AgentPhase.SHARING}:
        bench.see(0)
    if phase is AgentPhase.SHARING:
        bench.play()
    if phase in {AgentPhase.LEAVING, AgentPhase.DONE}:
        for episode in range(2):
            bench.play(episode)
            bench.finish_episode(episode)
    if phase is AgentPhase.DONE:
        bench.hear(ENVIRONMENT, Stop(""))
    assert bench.agent.phase is phase
    return bench


def test_ranges_of_neighbors_are_part_of_a_timestep_where_the_graph_is_a_matter_of_distance() -> None:
    bench = Bench(proximity=True).join()
    bench.refuses(ENVIRONMENT, timestep(0))
    bench.refuses(ENVIRONMENT, timestep(0, neighbors=(2, 1)))
    assert sent(bench.see(0, neighbors=(2, 2))) == [(ENVIRONMENT, "Action", 0, 0)]


# Leaving


def test_after_the_last_episode_the_agent_waits_for_stop_and_is_done() -> None:
    bench = in_phase(AgentPhase.LEAVING)
    assert not bench.agent.done
    assert "Stop" in bench.agent.waits_for()
    commands = bench.hear(ENVIRONMENT, Stop(""), 1.0)
    assert commands == [Report(FinishedRecord(A0, "digest of agent-0"))]
    assert bench.agent.done
    assert bench.agent.waits_for() == f"{A0} in DONE (episode 1) waits for nothing"
    assert bench.agent.deadline is None
    assert bench.counted() == {A1: (4, 0, 0, 0), A2: (4, 0, 0, 0)}


def test_an_agent_that_leaves_still_says_that_it_is_ready() -> None:
    bench = in_phase(AgentPhase.LEAVING)
    again = action(bench.see(3, episode=1, last=True, attempt=1))
    assert (again.episode, again.step, again.attempt, len(again.data)) == (1, 3, 1, 0)


@pytest.mark.parametrize("phase", [AgentPhase.ACTING, AgentPhase.SHARING, AgentPhase.LEAVING])
def test_an_environment_that_stops_for_a_reason_is_lost_and_the_reason_told(phase: AgentPhase) -> None:
    with pytest.raises(PeerLost, match="agent-2 is gone"):
        in_phase(phase).hear(ENVIRONMENT, Stop("agent-2 is gone"))


def test_a_mistake_that_the_environment_tells_of_is_the_users_as_long_as_nothing_is_played() -> None:
    told = Stop("agent-2 is of another run", mistake=True)
    joined = Bench().join()
    for bench in (in_phase(AgentPhase.JOINING), joined):
        with pytest.raises(WrongRun, match="environment stopped the run: agent-2 is of another run"):
            bench.hear(ENVIRONMENT, told)
    for phase in (AgentPhase.ACTING, AgentPhase.SHARING, AgentPhase.LEAVING):
        with pytest.raises(PeerLost, match="agent-2 is of another run"):
            in_phase(phase).hear(ENVIRONMENT, told)


@pytest.mark.parametrize("phase", [AgentPhase.JOINING, AgentPhase.ACTING, AgentPhase.SHARING])
def test_a_stop_before_the_last_episode_is_refused(phase: AgentPhase) -> None:
    assert "Stop before the last of 2 episodes" in in_phase(phase).refuses(ENVIRONMENT, Stop(""))


def test_a_stop_before_an_agent_of_a_single_episode_has_joined_is_refused() -> None:
    bench = Bench(episodes=1)
    bench.agent.start(0.0)
    bench.refuses(ENVIRONMENT, Stop(""))


def test_a_silent_environment_is_given_up_and_named() -> None:
    for phase in (AgentPhase.ACTING, AgentPhase.LEAVING):
        bench = in_phase(phase)
        assert bench.agent.deadline == GIVE_UP
        with pytest.raises(PeerLost, match="environment"):
            bench.agent.expire(GIVE_UP)


def test_patience_with_the_environment_counts_from_the_last_word_or_from_readiness() -> None:
    bench = Bench().join()
    bench.see(0, now=3.0)
    assert bench.agent.deadline == 3.0 + GIVE_UP
    bench.see(0, now=4.0, attempt=1)
    assert bench.agent.deadline == 4.0 + GIVE_UP
    bench.play(end=5.0)
    bench.finish_episode(now=6.5)
    assert bench.agent.deadline == 6.5 + GIVE_UP


def test_waiting_names_whom_it_waits_for() -> None:
    bench = Bench().join()
    bench.see(0)
    assert ENVIRONMENT in bench.agent.waits_for()
    bench.play()
    bench.hear(A1, share(A1, 0))
    assert A2 in bench.agent.waits_for()
    assert A1 not in bench.agent.waits_for()


# With missing_action noop or repeat the environment goes on without an agent, and stops it while it acts or shares.


FINISHED = Report(FinishedRecord(A0, "digest of agent-0"))


def in_the_last_episode(timesteps: int) -> Bench:
    """agent-0 after that many of the last episode's four timesteps."""
    bench = Bench().join()
    bench.play()
    bench.finish_episode()
    for step in range(timesteps):
        bench.see(step, episode=1, last=step == 3)
    return bench


@pytest.mark.parametrize("timesteps", [1, 3])
def test_a_stop_while_acting_in_the_last_episode_ends_the_agents_work(timesteps: int) -> None:
    bench = in_the_last_episode(timesteps)
    assert bench.agent.phase is AgentPhase.ACTING
    commands = bench.hear(ENVIRONMENT, Stop(""), 1.0)
    assert (saved(commands), commands[-1]) == ([(1, True)], FINISHED)
    assert bench.agent.done
    assert bench.agent.deadline is None
    assert bench.closed() == [(0, 0, (A1, A2)), (0, 1, (A1, A2))]


def saved(commands: Sequence[Command]) -> list[tuple[int, bool]]:
    return [(each.episode, each.due) for each in commands if isinstance(each, Save)]


def not_waited_for(episodes: int, every: int = 2) -> Bench:
    """agent-0 after the first of so many episodes, which an environment plays that does not wait."""
    bench = Bench(episodes=episodes, environment_waits=False)
    link = bench.config.link.model_copy(update={"life": LifeConfig(checkpoint_every=every)})
    bench.agent = AgentProtocol(bench.config.model_copy(update={"link": link}), bench.learner)
    bench.join()
    bench.play()
    bench.finish_episode()
    return bench


def test_of_episodes_whose_end_it_missed_an_agent_keeps_what_it_knew_before() -> None:
    bench = not_waited_for(20)
    bench.see(0, episode=1)
    known = {name: array.tobytes() for name, array in bench.learner.state().items()}
    commands = bench.see(0, episode=9)
    assert saved(commands) == [(1, True), (3, True), (5, True), (7, True), (8, False)]  # those due, and the last two
    assert sent(commands) == [(ENVIRONMENT, "Action", 9, 0)]
    for each in commands:
        if isinstance(each, Save):
            assert {name: each.state.arrays[name].tobytes() for name in known} == known
    bench.play(episode=9)
    assert saved(bench.finish_episode(episode=9)) == [(9, True)]


@pytest.mark.parametrize("phase", [AgentPhase.ACTING, AgentPhase.SHARING])
def test_an_environment_that_does_not_wait_may_stop_an_agent_in_any_episode(phase: AgentPhase) -> None:
    bench = not_waited_for(20)
    commands: list[Command] = []
    if phase is AgentPhase.SHARING:
        bench.play(episode=1)
    assert bench.agent.phase is phase
    commands = bench.hear(ENVIRONMENT, Stop(""), 1.0)
    if phase is AgentPhase.SHARING:
        assert not bench.agent.done
        commands = bench.finish_episode(episode=1, now=1.0)
    assert bench.agent.done
    assert saved(commands)[-2:] == [(18, False), (19, True)]
    assert commands[-1] == FINISHED


def test_shares_of_neighbors_far_ahead_are_kept_where_the_environment_does_not_wait() -> None:
    bench = not_waited_for(20)
    for round_ in range(2):
        for source in (A1, A2):
            assert bench.hear(source, share(source, round_, episode=7), 1.0) == []
    bench.refuses(A1, share(A1, 0, episode=20))
    bench.play(episode=7)
    assert bench.closed()[2:] == [(7, 0, (A1, A2)), (7, 1, (A1, A2))]


@pytest.mark.parametrize("stops", [1, 2])
def test_a_stop_while_sharing_lets_the_agent_finish_its_rounds_and_ends_its_work_then(stops: int) -> None:
    bench = in_the_last_episode(4)
    assert bench.agent.phase is AgentPhase.SHARING
    for _ in range(stops):
        assert bench.hear(ENVIRONMENT, Stop(""), 1.0) == []
    assert not bench.agent.done
    assert bench.agent.deadline == PATIENCE
    bench.hear(A2, share(A2, 0, episode=1), 1.5)
    assert sent(bench.agent.expire(PATIENCE)) == [(A1, "Share", 1, 1), (A2, "Share", 1, 1)]
    assert not bench.agent.done
    bench.hear(A1, share(A1, 1, episode=1), 2.5)
    commands = bench.hear(A2, share(A2, 1, episode=1), 3.0)
    assert [each for each in commands if not isinstance(each, Save)] == [
        Report(RoundRecord(A0, 1, 1, 2, 2, {"gain": 1.0})),
        FINISHED,
    ]
    assert bench.agent.done
    assert bench.agent.deadline is None
    assert bench.closed()[2:] == [(1, 0, (A2,)), (1, 1, (A1, A2))]


def test_a_stopped_agent_that_hears_nobody_closes_its_rounds_in_time_and_is_done() -> None:
    bench = in_the_last_episode(4)
    bench.hear(ENVIRONMENT, Stop(""), 1.0)
    assert records(bench.agent.expire(PATIENCE)) == [RoundRecord(A0, 1, 0, 2, 0, {"gain": 0.0})]
    assert bench.agent.expire(2 * PATIENCE)[-1] == FINISHED
    assert bench.agent.done
    assert bench.closed()[2:] == [(1, 0, ()), (1, 1, ())]


@pytest.mark.parametrize("timesteps", [3, 4])
def test_a_second_copy_of_stop_is_ignored_by_an_agent_that_is_done(timesteps: int) -> None:
    bench = in_the_last_episode(timesteps)
    bench.hear(ENVIRONMENT, Stop(""), 1.0)
    while (deadline := bench.agent.deadline) is not None:
        bench.agent.expire(deadline)
    closed = bench.closed()
    assert bench.hear(ENVIRONMENT, Stop(""), 9.0) == []
    assert bench.agent.phase is AgentPhase.DONE
    assert bench.closed() == closed


def test_a_stop_comes_again_after_a_run_to_its_end_and_is_ignored() -> None:
    assert in_phase(AgentPhase.DONE).hear(ENVIRONMENT, Stop("")) == []


def test_an_agent_hands_over_its_state_after_every_episode_and_says_when_it_is_due() -> None:
    bench = Bench(episodes=5)
    link = bench.config.link.model_copy(update={"life": LifeConfig(checkpoint_every=2)})
    bench.agent = AgentProtocol(bench.config.model_copy(update={"link": link}), bench.learner)
    bench.join()
    saved: list[Command] = []
    for episode in range(5):
        bench.play(episode)
        saved += [each for each in bench.finish_episode(episode) if isinstance(each, Save)]
    assert [(each.episode, each.due) for each in saved if isinstance(each, Save)] == [
        *((0, False), (1, True), (2, False), (3, True)),
        (4, True),  # the last one, whatever its number
    ]
