"""DNA-MARL: whole rounds against its author's update in floats and loops, and what the critics come to value.

Adam's epsilon is 1, so that a step shows the size of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from agent_cases import TERMINATED, Played, agent_config, make_learner, play, toy_episode
from learner_cases import critic, policies, steps
from scalar_agent import ScalarAgent, consensus

from agent_node.config import AgentConfig
from agent_node.learning.fields import Arrays
from agent_node.learning.learner import Learner
from broker.errors import ProtocolViolation, UserCodeRefused

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
DNA = "dna-marl"
GRAPH = {A0: (A1, A2), A1: (A0, A2), A2: (A0, A1)}


def dna(name: str = A0, n_steps: int = 5, target_rate: float = 0.01, **settings: Any) -> AgentConfig:
    config = agent_config(name, **{"algorithm": DNA, **settings})
    own = config.algorithm.dna_marl.model_copy(update={"n_steps": n_steps, "target_rate": target_rate})
    return config.model_copy(update={"algorithm": config.algorithm.model_copy(update={"dna_marl": own})})


def target_critic(learner: Learner) -> np.ndarray:
    """(P,), the parameters of the critic that values where the own rewards end."""
    return learner.state()["algorithm/target_critic"]


def lived(config: AgentConfig, number: int = 0) -> tuple[Learner, Played]:
    """A learner with networks of some size, after a random episode whose second copy ends early every other time."""
    learner, draw = make_learner(config), np.random.default_rng([37, number])
    for parameters in (critic(learner), policies(learner), target_critic(learner)):
        parameters[...] = draw.normal(scale=0.7, size=parameters.shape)
    toy = toy_episode(config, state_seed=number, reward_seed=number + 100)
    if number % 2:
        toy.ended[2:, 1] = TERMINATED
    return learner, play(learner, toy)


def canned(learner: Learner, seed: int, degree: int) -> Arrays:
    own = critic(learner)
    near = own + np.random.default_rng(seed).normal(scale=0.3, size=own.shape)
    return {"critic": near.astype(np.float32), "degree": np.array([degree], np.int32)}


class Oracle(ScalarAgent):
    """Agent 0, with a target critic."""

    def __init__(self, learner: Learner, config: AgentConfig, toy: Played) -> None:
        super().__init__(learner, config, toy)
        self.settings = config.algorithm.dna_marl
        self.target = target_critic(learner).astype(np.float64)

    def open(self) -> None:
        """v_i toward R_i; the TD errors are those from before the step."""
        returns = {(t, e): self.n_step_return(t, e, self.settings.n_steps, self.target) for t, e in self.samples}
        errors = {sample: found - self.value(self.critic, *sample) for sample, found in returns.items()}
        self.before = self.shifted_and_scaled(errors)
        self.value_toward(lambda t, e: returns[t, e])

    def close(self, heard: Mapping[str, Arrays], weight: float) -> None:
        """The actor on its own TD errors, consensus on the critic, and the target after what came of it."""
        self.act_on(self.before)
        self.critic = consensus(self.critic, [said["critic"] for said in heard.values()], weight)
        self.target = (1 - self.settings.target_rate) * self.target + self.settings.target_rate * self.critic


ROUNDS = [{A1: 2, A2: 1}, {A2: 2}, {}, {A1: 1, A2: 2}]
"""Who is heard, with its degree; c is 1/3 each, for agent-0 has two partners."""


@pytest.mark.parametrize("number", range(6))
def test_rounds_are_those_of_the_authors_update_on_random_problems(number: int) -> None:
    """Among them: early ends, value beyond the time limit, one step of own rewards and more than an episode has."""
    config = dna(
        n_steps=(1, 2, 5)[number % 3],
        target_rate=(0.3, 1.0)[number // 3],
        bootstrap_at_time_limit=number % 4 < 2,
        normalize_advantages=number % 3 != 2,
        observation_size=2,
        hidden=(4,),
        steps=3,
        actor_learning_rate=1.0,
        critic_learning_rate=0.1,
        adam_epsilon=1.0,
        gamma=0.9,
    )
    learner, toy = lived(config, number)
    oracle = Oracle(learner, config, toy)
    for k, degrees in enumerate(ROUNDS):
        opened = learner.open_round(toy.episode, k, (A1, A2))
        oracle.open()
        heard = {name: canned(learner, 10 * k + int(name[-1]), degree) for name, degree in degrees.items()}
        for name, said in heard.items():
            learner.check(name, said)
        learner.close_round(opened, heard, {})
        oracle.close(heard, 1 / 3)
        for found, expected in (
            (critic(learner), oracle.critic),
            (target_critic(learner), oracle.target),
            (policies(learner)[0], oracle.actor),
        ):
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


def test_the_target_critic_begins_as_the_critic_and_that_is_one_for_all() -> None:
    starts = [make_learner(dna(name)) for name in GRAPH]
    for learner in starts:
        np.testing.assert_array_equal(target_critic(learner), critic(starts[0]))
    critic(starts[0])[:] = 0
    assert target_critic(starts[0]).any()  # a copy


def test_the_critic_crosses_an_edge_after_its_step_and_the_target_stays_at_home() -> None:
    learner, toy = lived(dna())
    before = critic(learner).copy()
    told = learner.open_round(toy.episode, 0, (A1, A2)).outgoing
    for arrays in told.values():
        assert arrays.keys() == {"critic", "degree"}
        np.testing.assert_array_equal(arrays["critic"], critic(learner))
        assert not np.array_equal(arrays["critic"], before)
    kept = told[A1]["critic"].copy()
    learner.close_round(learner.open_round(toy.episode, 1, (A1,)), {A1: canned(learner, 3, 1)}, {})
    np.testing.assert_array_equal(told[A1]["critic"], kept)  # a share is encoded after the agent may have learned on


def test_what_is_heard_changes_what_the_actor_does_from_the_next_round_on() -> None:
    ends: list[list[np.ndarray]] = []
    for heard in (True, False):
        learner, toy = lived(dna(target_rate=1.0, n_steps=1))
        said = {A1: canned(learner, 3, 2)} if heard else {}
        ends.append([])
        for k in range(2):
            learner.close_round(learner.open_round(toy.episode, k, (A1, A2)), said if k == 0 else {}, {})
            ends[-1] += [policies(learner).copy(), critic(learner).copy()]
    same = [np.array_equal(one, other) for one, other in zip(*ends, strict=True)]
    assert same == [True, False, False, False]


def off_the_teams_worth(n_steps: int, rounds: int, **learning: Any) -> float:
    """Three agents with rewards of their own on the same states: how far critics end from the mean reward's returns."""
    configs = {name: dna(name, n_steps, 0.2, steps=3, hidden=(16,), gamma=0.5, **learning) for name in GRAPH}
    learners = {name: make_learner(config) for name, config in configs.items()}
    toys = {name: toy_episode(configs[name], reward_seed=number) for number, name in enumerate(GRAPH)}
    episodes = {name: play(learner, toys[name]).episode for name, learner in learners.items()}
    for k in range(rounds):
        opened = {name: each.open_round(episodes[name], k, GRAPH[name]) for name, each in learners.items()}
        for name, learner in learners.items():
            learner.close_round(opened[name], {other: opened[other].outgoing[name] for other in GRAPH[name]}, {})
    team = toys[A0]
    team.rewards = np.mean([toy.rewards for toy in toys.values()], axis=0)
    ends = [ScalarAgent(learner, configs[A0], team) for learner in learners.values()]
    return max(abs(end.value(end.critic, t, e) - end.own_return(t, e)) for end in ends for t, e in end.samples)


@pytest.mark.parametrize("n_steps", [1, 4])
def test_the_critics_come_to_say_what_states_are_worth_to_the_team(n_steps: int) -> None:
    """Where steps are of the gradient's size. Adam's are nearly of its sign, and what is agreed on is then no mean."""
    rates = {"actor_learning_rate": 1e-30, "critic_learning_rate": 0.2}
    assert off_the_teams_worth(n_steps, 250, adam_epsilon=1.0, **rates) < 0.1
    assert off_the_teams_worth(n_steps, 250, **rates | {"critic_learning_rate": 0.02}) > 0.3


def test_with_own_rewards_to_the_end_and_nobody_heard_it_is_independent_learning_without_lambda() -> None:
    ends = []
    for config in (
        dna(n_steps=4, gae_lambda=1.0),
        agent_config(algorithm="independent", initial_parameters="common", gae_lambda=1.0),
    ):
        learner = make_learner(config)
        for number in range(2):
            episode = play(learner, toy_episode(config, number), number).episode
            for k in range(3):
                learner.close_round(learner.open_round(episode, k, (A1, A2)), {}, {})
        ends.append((policies(learner).copy(), critic(learner).copy()))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_a_stale_share_is_mixed_and_the_target_follows_what_came_of_it() -> None:
    learner, toy = lived(dna(target_rate=0.25))
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    own, target, old = critic(learner).copy(), target_critic(learner).copy(), canned(learner, 3, 2)
    learner.close_round(opened, {}, {A1: old})
    np.testing.assert_allclose(critic(learner), own + (old["critic"] - own) / 3, atol=1e-6)
    np.testing.assert_allclose(target_critic(learner), 0.75 * target + 0.25 * critic(learner), atol=1e-6)
    assert steps(learner) == ([1], [1])


def test_a_learner_that_takes_up_a_state_goes_on_as_the_one_that_gave_it() -> None:
    """Its target critic, too; a state without one, as a policy of another algorithm has it, begins at the critic."""
    config = dna(n_steps=1)
    first, toy = lived(config)
    second, third = make_learner(config), make_learner(config)
    state = {name: array.copy() for name, array in first.state().items()}
    second.restore(state)
    for learner in (first, second):
        learner.close_round(learner.open_round(toy.episode, 0, ()), {}, {})
    assert first.weights_digest() == second.weights_digest()
    third.restore({name: array for name, array in state.items() if not name.startswith("algorithm/")})
    np.testing.assert_array_equal(target_critic(third), state["critic/parameters"][0])


def test_a_target_beyond_float32_is_refused_by_name() -> None:
    learner, toy = lived(dna(n_steps=1))
    target_critic(learner)[:] = 1e30
    refusal = "critic_loss is (inf|nan) with dna-marl in round 0 of episode 0"
    with pytest.raises(UserCodeRefused, match=refusal):
        learner.open_round(toy.episode, 0, ())


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"critic": said["critic"][:-1]},
        lambda said: said | {"critic": said["critic"].astype(np.float64)},
        lambda said: said | {"critic": np.full_like(said["critic"], np.inf)},
        lambda said: {"degree": said["degree"]},
        lambda said: said | {"target_critic": said["critic"]},
    ],
    ids=["too short", "another type", "infinite", "none", "one array more"],
)
def test_a_critic_that_is_none_is_refused(change: Callable[[Arrays], Arrays]) -> None:
    learner, _ = lived(dna())
    neighbor, toy = lived(dna(A1))
    said = neighbor.open_round(toy.episode, 0, (A0, A2)).outgoing[A0]
    learner.check(A1, said)
    with pytest.raises(ProtocolViolation):
        learner.check(A1, change(said))
