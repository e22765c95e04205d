"""The masks an agent is told: checked before it acts on them."""

from __future__ import annotations

import numpy as np
import pytest
from agent_cases import agent_config
from message_cases import state_of, timestep_of
from recording_learner import RecordingLearner

from agent_node.protocol import AgentProtocol
from broker.errors import ProtocolViolation
from broker.participants.participant import Command, Send
from broker.wire.messages import ENVIRONMENT, Action, Hello, Timestep

ALL = [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0]]
COUNTS = {"agent-0": 3, "agent-1": 5, "agent-2": 2}


class Chooses(RecordingLearner):
    """Takes the first possible action, whatever it was asked before."""

    def act(self, step: int, data: memoryview) -> np.ndarray:
        mask = np.ndarray((2, 5), np.uint8, data[-10:])
        return mask.argmax(axis=1).astype(np.int32)


def seeing(mask: list[list[int]], *, attempt: int = 0, step: int = 0) -> Timestep:
    arrays = (np.zeros((2, 3), np.float32), np.zeros(2, np.float32), np.zeros(2, np.uint8))
    return timestep_of(0, step, attempt, False, *arrays, mask=np.array(mask, np.uint8))


def joined() -> AgentProtocol[int, object]:
    agent: AgentProtocol[int, object] = AgentProtocol(
        agent_config(masks=True, actions=COUNTS),
        Chooses("agent-0", 2),  # type: ignore[arg-type]
    )
    agent.start(0.0)
    for peer in agent.peers:
        agent.receive(peer, Hello(0, wants_reply=False), 0.0)
    return agent


def actions(commands: list[Command]) -> list[int]:
    (command,) = commands
    assert isinstance(command, Send)
    assert isinstance(command.message, Action)
    return command.message.arrays["actions"].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ([[1, 1, 1, 0, 0], [1, 2, 1, 0, 0]], "timestep 0 of episode 0 with a mask with a 2, expected 1 or 0"),
        ([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], "a mask that leaves no action in copy 1"),
        ([[0, 0, 0, 1, 1], [1, 1, 1, 0, 0]], "a mask that leaves no action in copy 0"),  # behind its own three
    ],
)
def test_a_mask_that_no_environment_sends_is_refused_before_anything_is_done(mask: list[list[int]], says: str) -> None:
    agent = joined()
    before = state_of(agent.__dict__)
    with pytest.raises(ProtocolViolation, match=says):
        agent.receive(ENVIRONMENT, seeing(mask), 0.0)
    assert state_of(agent.__dict__) == before
    assert actions(agent.receive(ENVIRONMENT, seeing(ALL), 0.0)) == [0, 0]


def test_a_timestep_without_the_mask_that_is_due_is_refused() -> None:
    arrays = (np.zeros((2, 3), np.float32), np.zeros(2, np.float32), np.zeros(2, np.uint8))
    with pytest.raises(ProtocolViolation, match=r"expected '.*mask uint8 2x5'"):
        joined().receive(ENVIRONMENT, timestep_of(0, 0, 0, False, *arrays), 0.0)


def test_a_timestep_that_comes_again_gets_the_same_answer_unless_it_says_that_this_is_impossible() -> None:
    agent = joined()
    assert actions(agent.receive(ENVIRONMENT, seeing(ALL), 0.0)) == [0, 0]
    assert actions(agent.receive(ENVIRONMENT, seeing(ALL, attempt=1), 0.0)) == [0, 0]
    assert actions(agent.receive(ENVIRONMENT, seeing([[1, 0, 0, 0, 0]] * 2, attempt=2), 0.0)) == [0, 0]
    true = [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]
    assert actions(agent.receive(ENVIRONMENT, seeing(true, attempt=3), 0.0)) == [0, 2]
    assert actions(agent.receive(ENVIRONMENT, seeing(true, attempt=4), 0.0)) == [0, 2]
