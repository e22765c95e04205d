"""The step barrier, message by message: who may say what, what is stepped with, and what a seed fixes."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from environment_cases import (
    AGENTS,
    FakeTask,
    act,
    all_act,
    all_answer,
    all_ready,
    carries,
    joining,
    records,
    sends,
    slice_,
    stepping,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from message_cases import action_of, state_of, timestep_of
from msgspec.structs import astuple

from broker.errors import PeerLost, ProtocolViolation, WrongRun
from broker.participants.link import LifeConfig
from broker.participants.participant import Forget, Report, Save, Send
from broker.seeding import generator
from broker.wire.counters import BarrierTime
from broker.wire.identity import Identity
from broker.wire.messages import OBSERVER, Ended, Gone, Hello, Metrics, Share, Stop, Timestep
from broker.wire.records import EndingRecord, EpisodeRecord, EventRecord, FinishedRecord, JoinedRecord
from env_service.build import make_environment
from env_service.config import ExchangeTaskConfig
from env_service.environments import make_task
from env_service.protocol import EnvironmentPhase, EnvironmentProtocol

EMPTY = np.zeros(0, np.int32)


def frozen(commands):
    """Commands as plain values that can be compared, arrays with kind, shape and bytes."""

    def plain(value):
        if isinstance(value, np.ndarray):
            return (value.dtype.str, value.shape, value.tobytes())
        if isinstance(value, msgspec.Struct):
            return (type(value).__name__, *[plain(getattr(value, name)) for name in value.__struct_fields__])
        return value

    return [plain(command) for command in commands]


def choose(agent, timestep, counts=FakeTask.action_counts):
    """What an agent answers: a function of who and when alone."""
    if timestep.last:
        return EMPTY
    stream = generator(99, agent, timestep.episode, timestep.step)
    return stream.integers(counts[AGENTS.index(agent)], size=len(timestep.arrays["ended"])).astype(np.int32)


def play(protocol, answer=choose, order=sorted, noise=lambda _protocol, _agent, _action: None):
    """Everything a protocol commands in a whole run."""
    stream = [*protocol.start(0.0), *all_answer(protocol)]
    pending = sends(stream, Timestep)
    while pending:
        timesteps, pending = pending, {}
        for agent in order(timesteps):
            timestep = timesteps[agent]
            action = action_of(timestep.episode, timestep.step, timestep.attempt, answer(agent, timestep))
            commands = protocol.receive(agent, action, 1.0)
            noise(protocol, agent, action)
            stream += commands
            pending |= sends(commands, Timestep)
    assert protocol.done
    return stream


# Joining


def test_it_greets_every_agent_and_wants_an_answer():
    protocol = EnvironmentProtocol(slice_(life=LifeConfig(incarnation=3)), FakeTask())
    assert protocol.start(0.0) == [Send(agent, Hello(3, wants_reply=True)) for agent in AGENTS]


def test_nothing_begins_before_the_last_agent_has_answered():
    task = FakeTask()
    protocol = joining(task)
    for agent in AGENTS[:2]:
        assert protocol.receive(agent, Hello(0, wants_reply=False), 0.0) == []
    protocol.receive("agent-0", Hello(1, wants_reply=False), 0.0)
    protocol.receive("agent-2", Hello(0, wants_reply=True), 0.0)
    assert (protocol.phase, task.resets) == (EnvironmentPhase.JOINING, 0)
    assert protocol.waits_for() == "environment in JOINING waits for an answer from agent-2, heard but not hearing it"


def test_the_last_answer_brings_the_first_timestep_to_all():
    task = FakeTask()
    protocol, commands = stepping(task)
    timesteps = sends(commands, Timestep)
    assert commands[0] == Report(JoinedRecord("environment"))
    assert tuple(timesteps) == AGENTS
    for timestep in timesteps.values():
        assert (timestep.episode, timestep.step, timestep.attempt, timestep.last) == (0, 0, 0, False)
        assert timestep.arrays["reward"].tolist() == [0, 0]
        assert timestep.arrays["ended"].tolist() == [Ended.RUNNING] * 2
        assert "neighbors" not in timestep.arrays
    assert protocol.phase is EnvironmentPhase.STEPPING


def test_at_the_deadline_it_greets_only_those_who_have_not_answered():
    protocol = joining()
    protocol.receive("agent-1", Hello(0, wants_reply=False), 0.05)
    assert protocol.deadline == pytest.approx(0.1)
    assert [command.destination for command in protocol.expire(0.1)] == ["agent-0", "agent-2"]
    assert protocol.deadline == pytest.approx(0.2)


def test_it_gives_up_joining_and_names_the_silent():
    protocol = joining()
    protocol.receive("agent-1", Hello(0, wants_reply=False), 0.0)
    protocol.expire(59.9)
    told = protocol.expire(60.0)
    assert [(each.destination, each.message.mistake) for each in told] == [(agent, False) for agent in AGENTS]
    assert protocol.deadline == 60.0
    with pytest.raises(PeerLost, match=r"HELLO from agent-0, agent-2 .*joining\.give_up_s = 60") as caught:
        protocol.expire(60.0)
    assert {each.message.reason for each in told} == {str(caught.value)}, "those who have joined would wait for long"


def test_who_takes_part_in_another_run_ends_all_who_have_joined_and_nothing_is_played():
    task = FakeTask()
    protocol = joining(task)
    for agent in AGENTS[:2]:
        protocol.receive(agent, Hello(0, wants_reply=False), 0.0)
    for _ in range(10):
        protocol.receive(AGENTS[2], Hello(0, wants_reply=False, identity=Identity("toy-bbbbbbbb")), 0.0)
    told = protocol.expire(protocol.deadline)
    assert [(each.destination, each.message.mistake) for each in told] == [(agent, True) for agent in AGENTS]
    protocol.receive(AGENTS[2], Hello(0, wants_reply=False), protocol.deadline)
    assert (protocol.phase, task.resets) == (EnvironmentPhase.JOINING, 0)
    with pytest.raises(
        WrongRun, match="environment cannot work with agent-2: expected run '', found toy-bbbbbbbb"
    ) as end:
        protocol.expire(protocol.deadline)
    assert {each.message.reason for each in told} == {str(end.value)}


def test_hello_is_answered_in_every_phase_and_disturbs_nothing():
    protocol = joining()
    answer = [Send("agent-1", Hello(0, wants_reply=False))]
    assert protocol.receive("agent-1", Hello(0, wants_reply=True), 0.0) == answer
    protocol, _ = stepping(FakeTask(lengths=[(1, 1, 1)] * 2), episodes=1)
    act(protocol, "agent-0", 1, 1)
    for number in range(2):
        before = state_of(protocol)
        assert protocol.receive("agent-1", Hello(4, wants_reply=True), 1.0) == answer
        assert protocol.receive("agent-1", Hello(4, wants_reply=False), 1.0) == []
        assert state_of(protocol) == before
        if number == 0:
            all_act(protocol, step=0)
            all_ready(protocol, step=1)
    assert protocol.done


# The barrier


def test_barriers_are_timed_those_of_actions_apart_from_those_of_readiness():
    protocol, _ = stepping(now=10.0)
    all_act(protocol, step=0, now=12.0)
    all_act(protocol, step=1, now=13.0)
    all_ready(protocol, now=17.5)
    assert protocol.barriers.totals() == {"action": BarrierTime(2, 3.0), "ready": BarrierTime(1, 4.5)}


@pytest.mark.parametrize("late", AGENTS)
def test_nothing_goes_on_before_the_last_action(late):
    task = FakeTask()
    protocol, _ = stepping(task)
    for agent in AGENTS:
        if agent != late:
            assert act(protocol, agent, 1, 2) == []
    assert task.stepped == []
    assert protocol.waits_for() == f"environment in STEPPING (episode 0) waits for the action of step 0 from {late}"
    timesteps = sends(act(protocol, late, 1, 2), Timestep)
    assert {timestep.step for timestep in timesteps.values()} == {1}
    assert tuple(timesteps) == AGENTS


def test_the_task_is_stepped_with_every_copys_action_of_every_agent():
    task = FakeTask()
    protocol, _ = stepping(task)
    act(protocol, "agent-2", 4, 3)
    act(protocol, "agent-0", 2, 0)
    act(protocol, "agent-1", 1, 3)
    assert task.stepped == [[[2, 1, 4], [0, 3, 3]]]


def test_each_agent_is_told_its_own_reward_and_no_others():
    protocol, _ = stepping()
    act(protocol, "agent-0", 2, 0)
    act(protocol, "agent-1", 1, 3)
    told = sends(act(protocol, "agent-2", 4, 3), Timestep)
    assert told["agent-0"].arrays["reward"].tolist() == pytest.approx([2, 0.01])
    assert told["agent-1"].arrays["reward"].tolist() == pytest.approx([1.001, 3.011])
    assert told["agent-2"].arrays["reward"].tolist() == pytest.approx([4.002, 3.012])
    assert {timestep.arrays["reward"].dtype for timestep in told.values()} == {np.dtype(np.float32)}


def test_each_agent_is_told_which_of_its_own_copies_have_ended():
    protocol, _ = stepping(FakeTask(lengths=[(1, 2, 3), (2, 1, 3)]))
    told = sends(all_act(protocol, step=0), Timestep)
    assert [told[agent].arrays["ended"].tolist() for agent in AGENTS] == [[1, 0], [0, 1], [0, 0]]


def test_an_action_that_comes_twice_counts_once_and_the_first_counts():
    task = FakeTask()
    protocol, _ = stepping(task)
    assert act(protocol, "agent-0", 1, 1) == []
    assert act(protocol, "agent-0", 2, 2) == []
    act(protocol, "agent-1", 0, 0)
    assert task.stepped == []
    act(protocol, "agent-2", 0, 0)
    assert task.stepped == [[[1, 0, 0], [1, 0, 0]]]


def test_an_older_action_is_ignored():
    task = FakeTask()
    protocol, _ = stepping(task)
    all_act(protocol, step=0)
    before = state_of(protocol)
    assert act(protocol, "agent-0", 2, 2, step=0) == []
    assert state_of(protocol) == before
    all_act(protocol, step=1)
    all_ready(protocol)
    before = state_of(protocol)
    assert act(protocol, "agent-0", 2, 2, step=1, episode=0) == []
    assert act(protocol, "agent-0", step=2, episode=0) == []
    assert state_of(protocol) == before


@pytest.mark.parametrize(
    ("source", "message", "said"),
    [
        (
            "agent-0",
            action_of(0, 1, 0, np.ones(2, np.int32)),
            "action of step 1 of episode 0 from agent-0, expected at",
        ),
        (
            "agent-0",
            action_of(1, 0, 0, np.ones(2, np.int32)),
            "action of step 0 of episode 1 from agent-0, expected at",
        ),
        (
            "agent-0",
            action_of(0, 0, 0, np.ones(3, np.int32)),
            "agent-0 acts with 'actions int32 3', expected 'actions int32 2'",
        ),
        ("agent-0", action_of(0, 0, 0, np.ones((2, 1), np.int32)), "'actions int32 2x1', expected 'actions int32 2'"),
        ("agent-0", action_of(0, 0, 0, EMPTY), "'actions int32 0', expected 'actions int32 2'"),
        ("agent-0", action_of(0, 0, 0, np.ones(2, np.int64)), "'actions int64 2', expected 'actions int32 2'"),
        ("agent-0", action_of(0, 0, 0, np.ones(2, np.float32)), "'actions float32 2', expected 'actions int32 2'"),
        ("agent-0", action_of(0, 0, 0, np.array([0, 3], np.int32)), "agent-0 acts outside 0 to 2"),
        ("agent-2", action_of(0, 0, 0, np.array([5, 0], np.int32)), "agent-2 acts outside 0 to 4"),
        ("agent-0", action_of(0, 0, 0, np.array([0, -1], np.int32)), "agent-0 acts outside 0 to 2"),
        ("agent-9", action_of(0, 0, 0, np.ones(2, np.int32)), "Action from agent-9"),
        ("environment", action_of(0, 0, 0, np.ones(2, np.int32)), "Action from environment"),
        ("agent-0", timestep_of(0, 0, 0, False, EMPTY, EMPTY, EMPTY, EMPTY), "Timestep from agent-0"),
        ("agent-0", Share.of(0, 0, {}), "Share from agent-0"),
        ("agent-0", Stop(""), "Stop from agent-0"),
        ("agent-0", Metrics(b""), "Metrics from agent-0"),
    ],
)
def test_what_no_correct_agent_says_is_a_violation_and_changes_nothing(source, message, said):
    protocol, _ = stepping()
    act(protocol, "agent-1", 1, 1)
    before = state_of(protocol)
    with pytest.raises(ProtocolViolation, match=said) as violation:
        protocol.receive(source, message, 2.0)
    assert str(violation.value).startswith("environment in STEPPING (episode 0): ")
    assert state_of(protocol) == before


def test_the_largest_action_is_still_inside():
    protocol, _ = stepping()
    act(protocol, "agent-0", 2, 2)
    act(protocol, "agent-1", 3, 3)
    assert sends(act(protocol, "agent-2", 4, 4), Timestep)


def test_an_action_before_the_first_timestep_is_a_violation():
    protocol = joining()
    before = state_of(protocol)
    with pytest.raises(ProtocolViolation, match="environment in JOINING"):
        act(protocol, "agent-0", 1, 1)
    assert state_of(protocol) == before


# Deadlines


def test_it_asks_again_only_those_who_have_not_answered():
    protocol, first = stepping(now=10.0)
    act(protocol, "agent-1", 1, 1, now=12.0)
    assert protocol.deadline == 15.0
    again = protocol.expire(15.0)
    assert [command.destination for command in again] == ["agent-0", "agent-2"]
    for agent, timestep in sends(again, Timestep).items():
        asked_first = sends(first, Timestep)[agent]
        assert timestep.attempt == 1
        assert frozen([msgspec.structs.replace(timestep, attempt=0)]) == frozen([asked_first])
    assert protocol.deadline == 20.0
    act(protocol, "agent-0", 1, 1, attempt=1, now=16.0)
    assert [(c.destination, c.message.attempt) for c in protocol.expire(20.0)] == [("agent-2", 2)]


def test_an_answer_to_an_earlier_attempt_is_good_and_the_next_step_begins_with_attempt_0():
    protocol, _ = stepping()
    protocol.expire(5.0)
    protocol.expire(10.0)
    timesteps = sends(all_act(protocol, step=0, now=11.0), Timestep)
    assert {(timestep.step, timestep.attempt) for timestep in timesteps.values()} == {(1, 0)}
    assert protocol.deadline == 16.0


def test_it_waits_longer_for_agents_that_learn_and_asks_them_again_too():
    protocol, _ = stepping()
    all_act(protocol, step=0)
    assert protocol.deadline == 6.0
    all_act(protocol, step=1)
    assert protocol.deadline == 61.0
    act(protocol, "agent-1", step=2)
    assert "waits for readiness from agent-0, agent-2" in protocol.waits_for()
    again = sends(protocol.expire(61.0), Timestep)
    assert {agent: (t.last, t.step, t.attempt) for agent, t in again.items()} == {
        "agent-0": (True, 2, 1),
        "agent-2": (True, 2, 1),
    }


def test_it_gives_up_and_names_who_is_missing():
    protocol, _ = stepping(give_up_s=12.0)
    act(protocol, "agent-1", 1, 1, now=4.0)
    protocol.expire(5.0)
    protocol.expire(11.9)
    with pytest.raises(PeerLost, match=r"the action of step 0 from agent-0, agent-2, silent for 12\.0 s"):
        protocol.expire(12.0)


def test_patience_before_giving_up_starts_anew_at_every_step():
    protocol, _ = stepping(give_up_s=12.0)
    all_act(protocol, step=0, now=11.0)
    protocol.expire(16.0)
    protocol.expire(22.9)
    with pytest.raises(PeerLost):
        protocol.expire(23.0)


# Missing actions


def step_without(agent, protocol, *, step, actions=(1, 2), now=0.0):
    """Everybody but `agent` acts, and two deadlines pass."""
    for other in AGENTS:
        if other != agent:
            act(protocol, other, *actions, step=step, now=now)
    assert len(protocol.expire(now + 5)) == 1
    return protocol.expire(now + 10)


def test_wait_never_fills_in():
    task = FakeTask(noop=2)
    protocol, _ = stepping(task)
    for _ in range(10):
        again = step_without("agent-1", protocol, step=0)
        assert [command.destination for command in again] == ["agent-1"]
    assert task.stepped == []


@pytest.mark.parametrize(
    ("policy", "noop", "filled"), [("noop", 2, [2, 2]), ("repeat", 2, [3, 0]), ("repeat", None, [3, 0])]
)
def test_a_missing_action_is_filled_in_after_asking_twice(policy, noop, filled):
    task = FakeTask(noop=noop)
    protocol, _ = stepping(task, missing_action=policy)
    act(protocol, "agent-0", 1, 2)
    act(protocol, "agent-2", 1, 2)
    act(protocol, "agent-1", 3, 0)
    commands = step_without("agent-1", protocol, step=1)
    assert task.stepped[1] == [[1, filled[0], 1], [2, filled[1], 2]]
    [event] = records(commands, EventRecord)
    assert (event.participant, event.kind, event.peer) == ("environment", "missing", "agent-1")
    assert event.text == f"no action of step 1 of episode 0 in time; went on ({policy})"
    assert {timestep.step for timestep in sends(commands, Timestep).values()} == {2}


@pytest.mark.parametrize(("noop", "filled"), [(2, 2), (None, 0)])
def test_repeat_with_nothing_to_repeat_yet_does_the_no_op_or_action_0(noop, filled):
    task = FakeTask(noop=noop)
    protocol, _ = stepping(task, missing_action="repeat")
    step_without("agent-1", protocol, step=0)
    assert task.stepped == [[[1, filled, 1], [2, filled, 2]]]


def test_repeat_does_not_reach_back_into_the_episode_before():
    task = FakeTask(noop=2)
    protocol, _ = stepping(task, missing_action="repeat")
    for step in range(2):
        all_act(protocol, step=step, action=1)
    all_ready(protocol)
    act(protocol, "agent-0", 1, 1, episode=1)
    act(protocol, "agent-2", 1, 1, episode=1)
    protocol.expire(6.0)
    protocol.expire(11.0)
    assert task.stepped[2] == [[1, 2, 1], [1, 2, 1]]


def test_repeat_goes_on_repeating_what_was_filled_in():
    task = FakeTask(lengths=[(3, 3, 3)] * 2)
    protocol, _ = stepping(task, missing_action="repeat")
    all_act(protocol, step=0, action=2)
    step_without("agent-1", protocol, step=1)
    step_without("agent-1", protocol, step=2)
    assert [[row[1] for row in actions] for actions in task.stepped] == [[2, 2]] * 3


def test_one_deadline_only_asks_again():
    task = FakeTask(noop=0)
    protocol, _ = stepping(task, missing_action="noop")
    again = protocol.expire(5.0)
    assert (len(sends(again, Timestep)), records(again, EventRecord), task.stepped) == (3, [], [])


def test_missing_actions_are_counted_by_episode_and_missing_readiness_is_not_one():
    protocol, _ = stepping(FakeTask(noop=0), missing_action="noop")
    protocol.expire(5.0)
    protocol.expire(10.0)  # all three of step 0
    step_without("agent-1", protocol, step=1, now=10.0)
    act(protocol, "agent-1", step=2, now=20.0)
    protocol.expire(80.0)
    commands = protocol.expire(140.0)
    [record] = records(commands, EpisodeRecord)
    assert record.missing_actions == 4
    assert [(event.peer, event.text) for event in records(commands, EventRecord)] == [
        (agent, "no readiness of episode 0 in time; went on (noop)") for agent in ("agent-0", "agent-2")
    ]
    assert {timestep.episode for timestep in sends(commands, Timestep).values()} == {1}
    for step in range(2):
        all_act(protocol, step=step, episode=1, now=141.0)
    [record] = records(all_ready(protocol, episode=1, now=141.0), EpisodeRecord)
    assert record.missing_actions == 0


def test_an_action_that_comes_after_it_was_filled_in_changes_nothing_and_is_late_once():
    task = FakeTask(noop=0)
    protocol, _ = stepping(task, missing_action="noop")
    step_without("agent-1", protocol, step=0)
    [late] = records(act(protocol, "agent-1", 3, 3, step=0, attempt=1), EndingRecord)
    assert astuple(late)[:7] == ("agent-1", "environment", "action", 0, 0, 1, "late")
    assert act(protocol, "agent-1", 3, 3, step=0, attempt=1) == []
    assert act(protocol, "agent-0", 1, 2, step=0, attempt=1) == [], "it was in time, this is its second answer"
    assert len(task.stepped) == 1


def test_every_action_of_an_agent_that_is_always_too_late_is_late():
    task = FakeTask(noop=0, lengths=[(3, 3, 3)] * 2)
    protocol, _ = stepping(task, missing_action="noop")
    for step in range(2):
        step_without("agent-1", protocol, step=step)
    late = [records(act(protocol, "agent-1", 3, 3, step=step, attempt=1), EndingRecord) for step in range(2)]
    assert [[record.number for record in each] for each in late] == [[0], [1]]


# Gone


def say_gone(protocol, agent):
    return protocol.receive(OBSERVER, Gone(agent), 1.0)


@pytest.mark.parametrize(
    ("policy", "noop", "does"), [("wait", 2, 2), ("noop", 2, 2), ("repeat", 2, 3), ("wait", None, 0)]
)
def test_for_one_that_is_gone_the_environment_acts_as_the_scenario_says(policy, noop, does):
    task = FakeTask(noop=noop, lengths=[(3, 3, 3)] * 2)
    protocol, _ = stepping(task, missing_action=policy)
    act(protocol, "agent-0", 1, 1)
    act(protocol, "agent-2", 1, 1)
    act(protocol, "agent-1", 3, 3)
    assert say_gone(protocol, "agent-1") == [Forget("agent-1")]
    for step in (1, 2):
        act(protocol, "agent-0", 1, 1, step=step)
        timesteps = sends(act(protocol, "agent-2", 1, 1, step=step), Timestep)
        assert list(timesteps) == ["agent-0", "agent-2"]
    assert task.stepped == [[[1, 3, 1]] * 2, *[[[1, does, 1]] * 2] * 2]


def test_what_one_that_is_gone_did_last_is_not_repeated_in_the_next_episode():
    task = FakeTask(noop=2, lengths=[(1, 1, 1)] * 2)
    protocol, _ = stepping(task, missing_action="repeat")
    all_act(protocol, step=0, action=1)
    say_gone(protocol, "agent-1")
    for agent in ("agent-0", "agent-2"):
        act(protocol, agent, step=1)
    for agent in ("agent-0", "agent-2"):
        act(protocol, agent, 1, 1, episode=1)
    assert task.stepped[1] == [[1, 2, 1]] * 2


def test_the_step_goes_on_when_the_one_it_waits_for_is_gone_and_its_action_is_missing():
    protocol, _ = stepping(FakeTask(lengths=[(1, 1, 1)] * 2))
    act(protocol, "agent-0", 1, 1)
    act(protocol, "agent-1", 1, 1)
    commands = say_gone(protocol, "agent-2")
    assert commands[0] == Forget("agent-2")
    assert {(agent, t.last) for agent, t in sends(commands, Timestep).items()} == {("agent-0", True), ("agent-1", True)}
    act(protocol, "agent-0", step=1)
    [record] = records(act(protocol, "agent-1", step=1), EpisodeRecord)
    assert record.missing_actions == 1


def test_nobody_waits_for_the_hello_of_one_that_is_gone():
    protocol = joining()
    for agent in AGENTS[:2]:
        protocol.receive(agent, Hello(0, wants_reply=False), 0.0)
    assert list(sends(say_gone(protocol, "agent-2"), Timestep)) == list(AGENTS[:2])


def test_one_that_was_called_gone_acts_no_more():
    task = FakeTask(noop=2, lengths=[(3, 3, 3)] * 2)
    protocol, _ = stepping(task)
    for agent in AGENTS:
        say_gone(protocol, agent)
    assert task.stepped == [[[2, 2, 2]] * 2]
    before = state_of(protocol)
    assert act(protocol, "agent-0", 1, 1, step=1) == []
    assert state_of(protocol) == before


# Episodes


def test_the_last_timestep_needs_an_empty_answer():
    protocol, _ = stepping()
    all_act(protocol, step=0)
    timesteps = sends(all_act(protocol, step=1), Timestep)
    assert {(timestep.step, timestep.last) for timestep in timesteps.values()} == {(2, True)}
    before = state_of(protocol)
    with pytest.raises(ProtocolViolation, match="acts with 'actions int32 2', expected 'actions int32 0'"):
        act(protocol, "agent-0", 1, 1, step=2)
    assert state_of(protocol) == before
    assert act(protocol, "agent-0", step=2) == []


def test_an_episode_is_over_when_every_agent_of_every_copy_has_ended():
    protocol, _ = stepping(FakeTask(lengths=[(1, 1, 1), (2, 3, 1)]))
    last = [next(iter(sends(all_act(protocol, step=step), Timestep).values())).last for step in range(3)]
    assert last == [False, False, True]


def test_the_next_episode_begins_when_all_are_ready():
    task = FakeTask()
    protocol, _ = stepping(task)
    for step in range(2):
        all_act(protocol, step=step)
    assert act(protocol, "agent-0", step=2) + act(protocol, "agent-1", step=2) == []
    assert task.resets == 1
    timesteps = sends(act(protocol, "agent-2", step=2, now=33.0), Timestep)
    assert {(t.episode, t.step, t.attempt, t.last) for t in timesteps.values()} == {(1, 0, 0, False)}
    for timestep in timesteps.values():
        assert timestep.arrays["reward"].tolist() == [0, 0]
        assert timestep.arrays["ended"].tolist() == [Ended.RUNNING] * 2
    assert task.resets == 2
    assert protocol.deadline == 38.0


@given(
    lengths=st.lists(st.tuples(*[st.integers(1, 5)] * 3), min_size=1, max_size=4),
    episodes=st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_the_record_of_an_episode_adds_up(lengths, episodes):
    copies = len(lengths)
    protocol = EnvironmentProtocol(slice_(copies=copies, episodes=episodes), FakeTask(lengths))
    stream = play(protocol)
    rewards = np.zeros((episodes, 3, copies))
    for command in stream:
        if carries(command, Timestep):
            told = command.message
            rewards[told.episode, AGENTS.index(command.destination)] += told.arrays["reward"].astype(np.float64)
    found = records(stream, EpisodeRecord)
    assert [record.episode for record in found] == list(range(episodes))
    for record in found:
        assert record.returns == pytest.approx(tuple(rewards[record.episode].mean(axis=1)), rel=1e-12)
        assert record.steps == sum(max(row) for row in lengths)
        assert record.missing_actions == 0


def test_returns_by_hand():
    task = FakeTask(lengths=[(1, 1, 1), (2, 2, 2)])
    protocol, _ = stepping(task, episodes=1)
    act(protocol, "agent-0", 2, 0)
    act(protocol, "agent-1", 1, 3)
    act(protocol, "agent-2", 4, 3)
    all_act(protocol, step=1, action=2)
    [record] = records(all_ready(protocol), EpisodeRecord)
    returns = [(2 + (0.01 + 2.11)) / 2, (1.001 + (3.011 + 2.111)) / 2, (4.002 + (3.012 + 2.112)) / 2]
    assert record.returns == pytest.approx(returns, rel=1e-6)
    assert record.steps == 3


def test_at_the_end_everybody_is_told_to_stop():
    task = FakeTask()
    protocol, _ = stepping(task, episodes=1)
    for step in range(2):
        all_act(protocol, step=step)
    commands = all_ready(protocol)
    assert [(c.destination, c.message) for c in commands if carries(c, Stop)] == [(a, Stop("")) for a in AGENTS]
    assert isinstance(commands[0].record, EpisodeRecord)
    assert commands[-1] == Report(FinishedRecord("environment", ""))
    assert (protocol.done, protocol.deadline, protocol.phase, task.closed) == (True, None, EnvironmentPhase.DONE, 1)
    assert protocol.waits_for() == "environment in DONE (episode 0) waits for nothing"
    assert sends(commands, Timestep) == {}


def test_readiness_that_comes_twice_is_normal_even_after_the_end():
    protocol, _ = stepping(FakeTask(), episodes=1)
    for step in range(2):
        all_act(protocol, step=step)
    protocol.expire(61.0)
    all_ready(protocol, now=62.0)
    assert protocol.done
    assert act(protocol, "agent-0", step=2, attempt=1, now=63.0) == []


def test_an_action_after_the_end_that_nobody_asked_for_is_a_violation():
    protocol, _ = stepping(FakeTask(), episodes=1)
    for step in range(2):
        all_act(protocol, step=step)
    all_ready(protocol)
    with pytest.raises(ProtocolViolation, match="environment in DONE"):
        act(protocol, "agent-0", 1, 1, step=0, episode=1)


# What agents see


def test_a_shared_state_goes_to_everybody():
    _, commands = stepping()
    seen = [timestep.arrays["observation"] for timestep in sends(commands, Timestep).values()]
    assert {array.shape for array in seen} == {(2, 4)}
    assert [array.tolist() for array in seen] == [seen[0].tolist()] * 3


def test_own_observations_go_to_their_own_agents():
    protocol, commands = stepping(FakeTask(own=True))
    for answer in (commands, all_act(protocol, step=0)):
        timesteps = sends(answer, Timestep)
        for index, agent in enumerate(AGENTS):
            seen = timesteps[agent].arrays["observation"]
            assert seen.shape == (2, 4)
            assert seen[:, 2:].tolist() == [[0, index], [1, index]]


def test_each_agent_is_told_who_of_the_others_is_in_range():
    places = np.array([[[0.0], [1.0], [9.0]], [[0.0], [9.0], [9.5]]], np.float32)
    _, commands = stepping(FakeTask(places=places), distance=1.0)
    timesteps = sends(commands, Timestep)
    assert timesteps["agent-0"].arrays["neighbors"].tolist() == [[1, 0], [0, 0]]
    assert timesteps["agent-1"].arrays["neighbors"].tolist() == [[1, 0], [0, 1]]
    assert timesteps["agent-2"].arrays["neighbors"].tolist() == [[0, 0], [0, 1]]


# Determinism


def exchange(seed=7, episodes=3, copies=3):
    settings = slice_(
        seed=seed, episodes=episodes, copies=copies, environment=ExchangeTaskConfig(grid=3, steps=6), distance=1.5
    )
    return make_environment(settings.model_copy(update={"action_counts": (6, 6, 6), "observation_size": 15}))


def exchange_choice(agent, timestep):
    return choose(agent, timestep, counts=(6, 6, 6))


def test_the_same_seed_and_actions_give_the_same_messages():
    first, second = (frozen(play(exchange(), exchange_choice)) for _ in range(2))
    assert first == second
    assert first != frozen(play(exchange(seed=8), exchange_choice))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_neither_order_nor_copies_nor_nonsense_on_the_way_change_a_message(seed):
    random = np.random.default_rng(seed)

    def noise(protocol, agent, action):
        if protocol.done:
            return
        if random.random() < 0.5:
            assert protocol.receive(agent, action, 1.0) == []
        if random.random() < 0.5:
            nonsense = msgspec.structs.replace(action, episode=action.episode + 2)
            with pytest.raises(ProtocolViolation):
                protocol.receive(agent, nonsense, 1.0)

    disturbed = play(exchange(episodes=2), exchange_choice, lambda agents: random.permutation(sorted(agents)), noise)
    assert frozen(disturbed) == frozen(play(exchange(episodes=2), exchange_choice))


def test_every_episode_has_a_stream_of_its_own_that_what_came_before_cannot_shift():
    def starts(answer, seed=7):
        stream = play(exchange(seed), answer)
        return {
            c.message.episode: c.message.arrays["observation"]
            for c in stream
            if carries(c, Timestep) and c.message.step == 0
        }

    def idle(_agent, timestep):
        return EMPTY if timestep.last else np.full(len(timestep.arrays["ended"]), 5, np.int32)

    busy_starts, idle_starts = starts(exchange_choice), starts(idle)
    for episode in range(3):
        task = make_task(ExchangeTaskConfig(grid=3, steps=6), 3, 0)
        task.reset(generator(7, "environment", episode))
        np.testing.assert_array_equal(busy_starts[episode], task.observations())
        np.testing.assert_array_equal(idle_starts[episode], task.observations())
    assert not np.array_equal(busy_starts[0], busy_starts[1])


def test_a_message_never_changes_after_it_was_sent():
    protocol = exchange()
    kept, as_sent = [], []
    receive = protocol.receive

    def watched(*arguments):
        commands = receive(*arguments)
        kept.extend(commands)
        as_sent.extend(frozen(commands))
        return commands

    protocol.receive = watched
    play(protocol, exchange_choice)
    assert len(kept) > 50
    assert frozen(kept) == as_sent


def test_it_keeps_a_state_after_every_episode_and_says_when_it_is_due():
    lengths = [(1, 1, 1)] * 2
    protocol = EnvironmentProtocol(slice_(episodes=3, life=LifeConfig(checkpoint_every=2)), FakeTask(lengths=lengths))
    saved = [each for each in play(protocol) if isinstance(each, Save)]
    assert [(each.episode, each.due) for each in saved] == [(0, False), (1, True), (2, True)]
