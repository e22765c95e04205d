"""The timesteps that reach an agent, without an agent around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agent_cases import agent_config
from message_cases import state_of, timestep_of

from agent_node.timesteps import Seen, Timesteps
from broker.errors import ProtocolViolation
from broker.wire.messages import Timestep

STEPS, EPISODES = 4, 3


def timesteps(**settings: Any) -> Timesteps:
    """agent-0, before the first."""
    return Timesteps(agent_config(steps=STEPS, episodes=EPISODES, **settings))


def timestep(episode: int, step: int, *, last: bool = False, numbers: int = 3, mask: Any = None) -> Timestep:
    arrays: dict[str, Any] = {
        "observation": np.zeros((2, numbers), np.float32),
        "reward": np.zeros(2, np.float32),
        "ended": np.zeros(2, np.uint8),
        "neighbors": None,
    }
    return timestep_of(episode, step, 0, last, **arrays, **({} if mask is None else {"mask": np.array(mask, np.uint8)}))


def actions(*chosen: int) -> memoryview:
    return memoryview(np.array(chosen, np.int32).tobytes())


def test_a_newer_one_is_played_or_waits_and_all_others_are_past_or_seen_again() -> None:
    made = timesteps()
    first = timestep(0, 1)
    assert made.take(first, acts=True) is Seen.PLAY
    made.acted(first, actions(1, 2))
    assert made.take(timestep(0, 0), acts=True) is Seen.PAST
    assert made.take(timestep(0, 1), acts=True) is Seen.AGAIN
    came = [(0, 2), (1, 0), (0, 3), (1, 0), (1, 1)]
    found = [made.take(timestep(*each), acts=False) for each in came]
    assert found == [Seen.KEPT, Seen.KEPT, Seen.PAST, Seen.PAST, Seen.KEPT]
    assert [(each.episode, each.step) for each in made.held] == [(0, 2), (1, 0), (1, 1)]
    assert (made.episode, made.step, made.newest_episode) == (0, 1, 1)


def test_the_latest_has_no_answer_between_the_end_of_its_episode_and_readiness() -> None:
    made = timesteps()
    made.acted(timestep(0, 0), actions(1, 2))
    again = made.again(7)
    assert (again.episode, again.step, again.attempt, bytes(again.data)) == (0, 0, 7, bytes(actions(1, 2)))
    end = timestep(0, 1, last=True)
    made.end(end)
    assert made.take(end, acts=False) is Seen.PAST
    assert bytes(made.ready().data) == b""
    assert made.take(end, acts=True) is Seen.AGAIN


@pytest.mark.parametrize("waits", [False, True])
def test_none_may_follow_the_end_of_its_episode_whether_that_was_played_or_waits(waits: bool) -> None:
    made = timesteps()
    end = timestep(1, 2, last=True)
    if waits:
        made.take(end, acts=False)
    else:
        made.end(end)
    assert made.take(timestep(1, 1), acts=False) is Seen.PAST
    with pytest.raises(ProtocolViolation, match=r"^timestep 3 of episode 1, which ended at 2$"):
        made.take(timestep(1, 3), acts=False)
    assert made.take(timestep(2, 3), acts=False) is Seen.KEPT


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (timestep(0, 0, numbers=4), "timestep with 'observation float32 2x4,.*', expected 'observation float32 2x3,"),
        (timestep(0, STEPS), "timestep 4 of episode 0, expected at most 4 steps and 3 episodes"),
        (timestep(0, STEPS + 1, last=True), "timestep 5 of episode 0, expected at most"),
        (timestep(EPISODES, 0), "timestep 0 of episode 3, expected at most"),
    ],
)
@pytest.mark.parametrize("acts", [True, False])
def test_what_no_environment_sends_is_refused_and_changes_nothing(acts: bool, wrong: Timestep, why: str) -> None:
    made = timesteps()
    made.acted(timestep(0, 0), actions(0, 0))
    before = state_of(made)
    with pytest.raises(ProtocolViolation, match=f"^{why}"):
        made.take(wrong, acts=acts)
    assert state_of(made) == before


@pytest.mark.parametrize("acts", [True, False])
def test_a_mask_that_rules_out_the_answer_asks_for_another_while_the_agent_acts(acts: bool) -> None:
    made = timesteps(masks=True)
    made.acted(timestep(0, 0, mask=[[1, 1, 1], [1, 1, 1]]), actions(0, 2))
    assert made.take(timestep(0, 0, mask=[[1, 0, 0], [0, 0, 1]]), acts=acts) is Seen.AGAIN
    assert made.take(timestep(0, 0, mask=[[1, 0, 0], [0, 1, 0]]), acts=acts) is (Seen.ANEW if acts else Seen.AGAIN)


def test_a_later_life_goes_on_behind_the_episode_that_was_played() -> None:
    made = timesteps()
    made.go_on_after(1)
    for step in range(STEPS):
        assert made.take(timestep(1, step), acts=True) is Seen.PAST
    assert made.take(timestep(1, STEPS, last=True), acts=True) is Seen.PAST
    assert made.take(timestep(2, 0), acts=True) is Seen.PLAY
