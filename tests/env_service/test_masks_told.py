"""Masks in the environment's protocol: what agents are told, and that nobody does what was impossible."""

from __future__ import annotations

import numpy as np
import pytest
from environment_cases import AGENTS, FakeTask, act, all_act, all_answer, joining, sends, stepping
from message_cases import state_of

from broker.errors import ProtocolViolation
from broker.wire.messages import OBSERVER, Gone, Timestep

MASKS = np.array(  # (2 copies, 3 agents with 3, 4 and 5 actions, 5)
    [
        [[0, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]],
        [[1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1]],
    ],
    np.uint8,
)


def masked(**settings):
    return FakeTask(masks=MASKS.copy(), **settings)


def test_each_agent_is_told_at_every_step_what_is_possible_in_each_copy():
    task = masked()
    protocol, commands = stepping(task)
    for index, agent in enumerate(AGENTS):
        assert sends(commands, Timestep)[agent].arrays["mask"].tolist() == MASKS[:, index].tolist()
    task.masks = 1 - MASKS[::-1]
    task.masks[:, :, 0] = 1
    act(protocol, "agent-0", 1, 0)
    act(protocol, "agent-1", 0, 1)
    told = sends(act(protocol, "agent-2", 4, 0), Timestep)
    assert told["agent-1"].arrays["mask"].tolist() == task.masks[:, 1].tolist()


def test_what_is_sent_again_says_the_same():
    protocol, commands = stepping(masked())
    again = sends(protocol.expire(protocol.deadline), Timestep)
    assert again["agent-2"].attempt == 1
    assert again["agent-2"].data == sends(commands, Timestep)["agent-2"].data


def test_a_task_without_masks_sends_what_it_always_sent():
    _, commands = stepping()
    for timestep in sends(commands, Timestep).values():
        assert timestep.layout == "observation float32 2x4,reward float32 2,ended uint8 2"


def test_one_that_has_ended_is_told_all_its_actions_whatever_the_task_says():
    task = FakeTask(lengths=((1, 2, 2), (2, 2, 2)), masks=np.ones((2, 3, 5), np.uint8))
    protocol, _ = stepping(task)
    task.masks = np.zeros((2, 3, 5), np.uint8)
    task.masks[:, :, 2] = 1
    told = sends(all_act(protocol, step=0), Timestep)
    assert told["agent-0"].arrays["mask"].tolist() == [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]
    assert told["agent-1"].arrays["mask"].tolist() == [[0, 0, 1, 0, 0]] * 2


def test_an_action_that_its_mask_forbids_is_refused_and_the_agent_waited_for():
    protocol, _ = stepping(masked())
    before = state_of(protocol.__dict__)
    with pytest.raises(ProtocolViolation, match="agent-0 acts in copy 1 with 2, which its mask forbids"):
        act(protocol, "agent-0", 1, 2)
    assert state_of(protocol.__dict__) == before
    act(protocol, "agent-0", 1, 0)
    assert "agent-0" not in protocol.waits_for()


@pytest.mark.parametrize(
    ("policy", "noop", "expected"),
    [
        ("noop", 2, [[2, 2, 4], [0, 1, 2]]),  # where doing nothing is impossible, the first possible action
        ("repeat", None, [[1, 0, 4], [0, 1, 0]]),  # nothing was done yet, which stands for action 0
    ],
)
def test_who_acts_for_a_missing_agent_does_only_what_is_possible(policy, noop, expected):
    task = masked(noop=noop)
    protocol, _ = stepping(task, missing_action=policy)
    for _ in range(2):
        protocol.expire(protocol.deadline)
    assert task.stepped == [expected]


def test_who_repeats_an_action_that_became_impossible_does_the_first_possible_one():
    task = FakeTask(lengths=((3, 3, 3), (3, 3, 3)), masks=np.ones((2, 3, 5), np.uint8))
    protocol, _ = stepping(task, missing_action="repeat")
    task.masks[0, 0] = [0, 1, 0, 0, 0]
    all_act(protocol, step=0, action=2)
    for _ in range(2):
        protocol.expire(protocol.deadline)
    assert task.stepped[1] == [[1, 2, 2], [2, 2, 2]]


@pytest.mark.parametrize("dies", [False, True])
def test_what_stands_in_for_a_masked_action_is_not_repeated_once_the_action_is_possible_again(dies):
    task = FakeTask(lengths=((4, 4, 4), (4, 4, 4)), masks=np.ones((2, 3, 5), np.uint8))
    protocol, _ = stepping(task, missing_action="repeat")
    task.masks[0, 0] = [0, 1, 0, 0, 0]
    all_act(protocol, step=0, action=2)
    if dies:
        protocol.receive(OBSERVER, Gone("agent-0"), 0.0)
    for step in (1, 2):
        task.masks = np.ones((2, 3, 5), np.uint8)
        act(protocol, "agent-1", 2, 2, step=step)
        act(protocol, "agent-2", 2, 2, step=step)
        if not dies:
            for _ in range(2):
                protocol.expire(protocol.deadline)
    assert task.stepped == [[[2, 2, 2]] * 2, [[1, 2, 2], [2, 2, 2]], [[2, 2, 2]] * 2]


def test_a_dead_agent_does_only_what_is_possible():
    task = masked(noop=2)
    protocol = joining(task, missing_action="noop")
    protocol.receive(OBSERVER, Gone("agent-2"), 0.0)
    all_answer(protocol)
    act(protocol, "agent-0", 1, 0)
    act(protocol, "agent-1", 0, 1)
    assert task.stepped == [[[1, 0, 4], [0, 1, 2]]]
