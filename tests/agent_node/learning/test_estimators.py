"""Networks of an algorithm's own: what they see, what they learn, and where they are kept."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from agent_cases import TERMINATED, agent_config, make_learner, play, scalar_network, toy_episode
from learner_cases import critic, policies

from agent_node.algorithms.independent import Independent
from agent_node.config import AgentConfig
from agent_node.learning.estimators import Estimator
from agent_node.learning.learner import Learner
from broker.errors import UserCodeRefused

NAC = "networked-actor-critic"
STATE = "estimator/team_reward/parameters"


class Foreseeing(Independent):
    """Independent learning, and three networks that nobody asks."""

    name = "foreseeing"
    estimators = (
        Estimator("next", sees="transition", learns="rewards"),
        Estimator("now", sees="state", learns="rewards"),
        Estimator("later", sees="state", learns="returns"),
    )


def foreseeing(config: AgentConfig) -> Learner:
    return Learner(config, Foreseeing(config.learning, config.algorithm))


def test_each_network_comes_to_say_what_it_is_to_learn_of_what_it_sees() -> None:
    """One toy episode over and over: errors all but vanish, in a copy that ends early and past a missed timestep."""
    config = agent_config(algorithm="independent", steps=6, hidden=(24,), critic_learning_rate=0.02, gamma=0.5)
    learner, toy = foreseeing(config), toy_episode(config)
    toy.ended[3:, 1] = TERMINATED
    episode = play(learner, toy, missed=[4]).episode
    for k in range(600):
        losses = learner.close_round(learner.open_round(episode, k, ()), {}, {})
    assert losses.keys() >= {"critic_loss", "next_loss", "now_loss", "later_loss"}
    here = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (5, 0)]
    reward = {at: float(toy.rewards[at[0] + 1, at[1]]) for at in here}
    returns = {
        (t, e): sum(
            0.5 ** (u - t) * reward[u, e] for u in range(t, 6) if all((v, e) in reward for v in range(t, u + 1))
        )
        for t, e in here
    }
    found = {name: learner.state()[f"estimator/{name}/parameters"][0].tolist() for name in ("next", "now", "later")}
    for t, e in here:
        seen, then = toy.observations[t, e].tolist(), toy.observations[t + 1, e].tolist()
        said = {
            "next": scalar_network(found["next"], (6, 24, 1), seen + then)[0],
            "now": scalar_network(found["now"], (3, 24, 1), seen)[0],
            "later": scalar_network(found["later"], (3, 24, 1), seen)[0],
        }
        assert said == pytest.approx({"next": reward[t, e], "now": reward[t, e], "later": returns[t, e]}, abs=0.15)


def test_they_change_nothing_else() -> None:
    config = agent_config(algorithm="independent")
    ends = []
    for learner in (foreseeing(config), make_learner(config)):
        episode = play(learner, toy_episode(config)).episode
        for k in range(2):
            learner.close_round(learner.open_round(episode, k, ()), {}, {})
        ends.append((policies(learner).copy(), critic(learner).copy()))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_digest_is_of_policies_critic_and_estimators_in_the_order_in_which_they_are_named() -> None:
    learner = foreseeing(agent_config(algorithm="independent"))
    state = learner.state()
    names = ("actor", "critic", "estimator/next", "estimator/now", "estimator/later")
    bits = b"".join(state[f"{name}/parameters"].tobytes() for name in names)
    assert learner.weights_digest() == sha256(bits).hexdigest()


def test_a_learner_that_takes_up_a_state_goes_on_as_the_one_that_gave_it() -> None:
    """Their moments and steps, too: without them the next step would be another."""
    config = agent_config(algorithm=NAC)
    first, second = make_learner(config), make_learner(config)
    episodes = [play(learner, toy_episode(config)).episode for learner in (first, second)]
    first.close_round(first.open_round(episodes[0], 0, ()), {}, {})
    second.restore({name: array.copy() for name, array in first.state().items()})
    for learner, episode in zip((first, second), episodes, strict=True):
        learner.close_round(learner.open_round(episode, 1, ()), {}, {})
    assert first.weights_digest() == second.weights_digest()
    assert {name.rpartition("/")[0] for name in first.state()} == {"actor", "critic", "estimator/team_reward"}


@pytest.mark.parametrize(("asked", "common"), [("auto", True), ("common", True), ("own", False)])
def test_they_start_equal_where_parameters_are_common_and_unlike_the_critic(asked: str, common: bool) -> None:
    starts = []
    for name in ("agent-0", "agent-1"):
        state = make_learner(agent_config(name, algorithm=NAC, initial_parameters=asked)).state()
        starts.append(state[STATE][0].copy())
        own, valuing = starts[-1][:18] * np.sqrt(6), state["critic/parameters"][0][:18] * np.sqrt(3)  # by their inputs
        assert not np.allclose(own, valuing)
    assert np.array_equal(*starts) == common


def test_an_estimate_beyond_float32_is_refused_by_name() -> None:
    config = agent_config(algorithm=NAC)
    learner = make_learner(config)
    episode = play(learner, toy_episode(config)).episode
    learner.state()[STATE][0] = 1e30
    refusal = "team_reward_loss is (inf|nan) with networked-actor-critic in round 0 of episode 0"
    with pytest.raises(UserCodeRefused, match=refusal):
        learner.open_round(episode, 0, ())
