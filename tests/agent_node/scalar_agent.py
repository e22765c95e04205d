"""Agent 0 in floats and loops, for oracles of whole rounds: its samples, its networks, and what a step makes of them.

It knows nothing of grids, kernels and stacks; gradients are difference quotients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from agent_cases import TRUNCATED, Played, ScalarAdam, central_differences, scalar_network, softmax
from learner_cases import critic, policies

from agent_node.config import AgentConfig
from agent_node.learning.learner import Learner

Sample = tuple[int, int]
"""(step, copy)."""


class ScalarAgent:
    """What agent 0 knows after an episode; its samples are those steps at which the copy ran."""

    def __init__(self, learner: Learner, config: AgentConfig, toy: Played) -> None:
        self.learning = config.learning
        self.gamma = config.learning.gamma
        seen, hidden = config.observation_size, config.learning.hidden
        self.actor_sizes = (seen, *hidden, config.action_counts["agent-0"])
        self.critic_sizes = (seen, *hidden, 1)
        self.actor, self.critic = policies(learner)[0].astype(np.float64), critic(learner).astype(np.float64)
        rate, epsilon = self.learning.critic_learning_rate, self.learning.adam_epsilon
        self.adams = {"critic": ScalarAdam(rate, epsilon)}
        self.adams["actor"] = ScalarAdam(self.learning.actor_learning_rate, epsilon)
        self.state, self.reward, self.ended = toy.observations.tolist(), toy.rewards.tolist(), toy.ended.tolist()
        copies = range(len(self.state[0]))
        self.runs = [[t for t in range(len(self.state) - 1) if not self.ended[t][e]] for e in copies]
        self.samples = [(t, e) for e in copies for t in self.runs[e]]
        self.action = {(t, e): int(toy.actions[t][e]) for t, e in self.samples}

    def value(self, parameters: np.ndarray, t: int, e: int) -> float:
        return scalar_network(parameters.tolist(), self.critic_sizes, self.state[t][e])[0]

    def own_reward(self, t: int, e: int) -> float:
        return float(self.reward[t + 1][e])

    def own_return(self, t: int, e: int) -> float:
        return sum(self.gamma ** (u - t) * self.own_reward(u, e) for u in self.runs[e] if u >= t)

    def n_step_return(self, t: int, e: int, steps: int, parameters: np.ndarray) -> float:
        """Own rewards of so many steps, then the value; beyond an episode's end only where it was cut and goes on."""
        total = 0.0
        for k in range(steps):
            total += self.gamma**k * self.own_reward(t + k, e)
            if t + k + 1 not in self.runs[e]:
                goes_on = self.learning.bootstrap_at_time_limit and self.ended[t + k + 1][e] == TRUNCATED
                return total + (self.gamma ** (k + 1) * self.value(parameters, t + k + 1, e) if goes_on else 0.0)
        return total + self.gamma**steps * self.value(parameters, t + steps, e)

    def shifted_and_scaled(self, found: Mapping[Sample, float]) -> dict[Sample, float]:
        if not self.learning.normalize_advantages or len(found) == 1:
            return dict(found)
        mean = sum(found.values()) / len(found)
        deviation = math.sqrt(sum((a - mean) ** 2 for a in found.values()) / len(found))
        return {sample: (a - mean) / deviation for sample, a in found.items()}

    def moved(self, name: str, parameters: np.ndarray, loss: Callable[[np.ndarray], float]) -> np.ndarray:
        gradient = central_differences(loss, parameters)
        return np.array(self.adams[name].step(parameters.tolist(), gradient.tolist()))

    def value_toward(self, target: Callable[[int, int], float]) -> None:
        """The critic's step toward what each sample is to be worth."""
        wanted = {sample: target(*sample) for sample in self.samples}

        def loss(v: np.ndarray) -> float:
            return sum((self.value(v, *sample) - worth) ** 2 for sample, worth in wanted.items()) / len(wanted)

        self.critic = self.moved("critic", self.critic, loss)

    def act_on(self, advantages: Mapping[Sample, float]) -> None:
        """The policy's step; at ratio 1 no clip bites."""
        old = self.actor.copy()

        def loss(actor: np.ndarray) -> float:
            return -sum(a * self._ratio(actor, old, *sample) for sample, a in advantages.items()) / len(advantages)

        self.actor = self.moved("actor", self.actor, loss)

    def _ratio(self, actor: np.ndarray, old: np.ndarray, t: int, e: int) -> float:
        now, then = (
            softmax(scalar_network(each.tolist(), self.actor_sizes, self.state[t][e]))[self.action[t, e]]
            for each in (actor, old)
        )
        return now / then


def consensus(own: np.ndarray, others: list[np.ndarray], weight: float) -> np.ndarray:
    """Where all edges have one weight: what is left of 1 is the own one's."""
    mixed: np.ndarray = (1 - weight * len(others)) * own + sum(weight * other.astype(float) for other in others)
    return mixed
