"""Anticipation sharing on Exchange as one plain script: no participants, no messages, no store.

What a researcher would write to try the mathematics: numpy for the environment, torch for all networks of all agents
at once, torch's own Adam. It serves one purpose, to show beside it what the agents' independence costs.

Axes: N agents, T steps, E parallel copies, B samples (steps at which a copy was running), S observation, A actions.
Policy (i, j) is agent i's own for i = j and its anticipation of j otherwise. The graph is complete.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from broker.seeding import generator
from env_service.config import ExchangeTaskConfig
from env_service.environments.exchange import ExchangeTask
from scenarios.document.scenario import Scenario

_LOG_TINY = math.log(1e-8)


@dataclass(frozen=True)
class BareEpisode:
    """What E copies of one episode gave.

    Attributes:
        observations: (B, S) float32.
        actions: (N, B) int64.
        rewards: (T, E, N) float32, 0 after a copy's end.
        valid: (T, E) bool, whether the copy was running.
    """

    observations: Tensor
    actions: Tensor
    rewards: np.ndarray
    valid: np.ndarray


class Perceptrons:
    """Networks of one layout side by side: weights (R, inputs, outputs) and biases (R, 1, outputs), layer by layer."""

    def __init__(self, networks: int, sizes: tuple[int, ...], learning_rate: float, generator: np.random.Generator):
        self.layers = [
            (_uniform(generator, (networks, rows, columns), rows), _uniform(generator, (networks, 1, columns), rows))
            for rows, columns in pairwise(sizes)
        ]
        parameters = [tensor for layer in self.layers for tensor in layer]
        self.adam = torch.optim.Adam(parameters, lr=learning_rate, fused=True)

    def __call__(self, inputs: Tensor, stride: int = 1) -> Tensor:
        """Outputs (R, B, O) of every `stride`-th network for the same inputs (B, I)."""
        layers = self.layers if stride == 1 else [(w[::stride], b[::stride]) for w, b in self.layers]
        *hidden, (weight, bias) = layers
        x = inputs.expand(len(weight), *inputs.shape)
        for inner_weight, inner_bias in hidden:
            x = torch.relu_(torch.baddbmm(inner_bias, x, inner_weight))
        return torch.baddbmm(bias, x, weight)

    def descend(self, loss: Tensor) -> None:
        """One step of Adam down `loss`."""
        self.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()


class BareTrial:
    """A scenario of Exchange with anticipation sharing on a complete graph.

    Args:
        scenario: Gives task, sizes and learning settings; entropy bonus, bootstrapping and calibrated weights are left
            out.
    """

    def __init__(self, scenario: Scenario) -> None:
        assert isinstance(scenario.environment, ExchangeTaskConfig)  # noqa: S101 - the caller picks the scenario
        self.learning = scenario.learning
        self.sharing = scenario.algorithm.anticipation_sharing
        self.copies = scenario.parallel_episodes
        self.task = ExchangeTask(scenario.environment, self.copies)
        self.agents, width = len(self.task.action_counts), self.task.action_counts[0]
        self.generator = generator(scenario.seed, "bare script")
        sizes = (self.task.observation_size, *self.learning.hidden)
        learning = self.learning
        self.actors = Perceptrons(self.agents**2, (*sizes, width), learning.actor_learning_rate, self.generator)
        self.critics = Perceptrons(self.agents, (*sizes, 1), learning.critic_learning_rate, self.generator)

    def run_episode(self) -> float:
        """Play and learn one training episode; returns the team return, mean over the copies."""
        episode = self.play()
        self.learn(episode)
        return float(episode.rewards.sum() / self.copies)

    @torch.no_grad()
    def play(self) -> BareEpisode:
        """Play E copies to their end."""
        steps, copies, agents = self.task.steps, self.copies, self.agents
        observations = np.zeros((steps, copies, self.task.observation_size), np.float32)
        actions = np.zeros((steps, copies, agents), np.int64)
        rewards = np.zeros((steps, copies, agents), np.float32)
        valid = np.zeros((steps, copies), np.bool_)
        uniforms = torch.from_numpy(self.generator.random((steps, agents, copies, 1), np.float32))
        running = np.ones(copies, np.bool_)
        self.task.reset(self.generator)
        for step in range(steps):
            valid[step] = running
            observations[step] = self.task.observations()
            logits = self.actors(torch.from_numpy(observations[step]), agents + 1)
            cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1)[..., :-1]
            actions[step] = (cumulative <= uniforms[step]).sum(dim=-1).T.numpy()
            outcome = self.task.step(actions[step])
            rewards[step] = outcome.rewards
            running = outcome.ended[:, 0] == 0
            if not running.any():
                break
        return BareEpisode(torch.from_numpy(observations[valid]), torch.from_numpy(actions[valid].T), rewards, valid)

    def learn(self, episode: BareEpisode) -> None:
        """K rounds of updates of all critics and policies (Eqs. 15 to 17)."""
        returns = torch.from_numpy(discounted(episode.rewards, episode.valid, self.learning.gamma))
        for _ in range(self.learning.rounds):
            values = self.critics(episode.observations)[..., 0]
            self.critics.descend((values - returns).square().mean(dim=1).sum())
            advantages = self.advantages(episode, values.detach().numpy())
            self.actors.descend(self.policy_losses(episode, advantages).sum())

    def advantages(self, episode: BareEpisode, values: np.ndarray) -> Tensor:
        """Normalized advantages (N, B) from `values` (N, B) (Eq. 16)."""
        gamma, gae_lambda = self.learning.gamma, self.learning.gae_lambda
        grid = np.zeros_like(episode.rewards)
        grid[episode.valid] = values.T
        deltas = episode.rewards - grid
        deltas[:-1] += np.float32(gamma) * grid[1:]
        sums = discounted(deltas, episode.valid, gamma * gae_lambda)
        if self.learning.normalize_advantages and sums.shape[1] > 1:
            sums = (sums - sums.mean(axis=1, keepdims=True)) / (sums.std(axis=1, keepdims=True) + np.float32(1e-8))
        return torch.from_numpy(sums)

    def policy_losses(self, episode: BareEpisode, advantages: Tensor) -> Tensor:
        """Each agent's loss (N,), with gradient (Eq. 15; xi_i refers to the start of the round)."""
        agents, actions = self.agents, episode.actions
        logits = self.actors(episode.observations).view(agents, agents, *actions.shape[1:], -1)
        log_pi = torch.log_softmax(logits, dim=-1)  # (N, N, B, A)
        log_taken = log_pi.gather(-1, actions.expand(agents, -1, -1)[..., None])[..., 0]  # [i, j]: log pi_ij(a_j)
        log_own, log_said = log_taken.diagonal().T, log_taken.detach().clamp_min(_LOG_TINY)
        others = ~torch.eye(agents, dtype=torch.bool)[..., None]
        toward = (log_taken - log_said.diagonal().T) * others
        back = (log_own[:, None] - log_said.transpose(0, 1)) * others
        cap = self.sharing.log_ratio_cap or math.inf
        scaled = toward.sum(dim=1).clamp(-cap, cap).exp() * advantages
        own_ratio, clip = (log_own - log_own.detach()).exp(), self.learning.clip
        gain = torch.minimum(own_ratio * scaled, own_ratio.clamp(1 - clip, 1 + clip) * scaled)
        pi, said = log_pi.exp(), log_pi.detach().exp()
        own, said_own = (tensor.diagonal().permute(2, 0, 1) for tensor in (pi, said))  # (N, B, A)
        gap_toward = (pi - said_own).square().sum(dim=-1) * (toward.detach() * advantages[:, None] > 0)
        gap_back = (own[:, None] - said.transpose(0, 1)).square().sum(dim=-1)
        gap_back = gap_back * (back.detach() * advantages[:, None] > 0)
        kappa = advantages.abs().mean(dim=1, keepdim=True)
        gaps = self.sharing.rho * gap_toward + self.sharing.rho_prime * gap_back
        penalty = kappa * gaps.sum(dim=1)
        return (penalty - gain).mean(dim=1)


def discounted(terms: np.ndarray, valid: np.ndarray, discount: float) -> np.ndarray:
    """Discounted sums (N, B) to the end of each trajectory, of terms (T, E, N)."""
    sums = terms.copy()
    weights = (np.float32(discount) * valid)[..., None]
    for step in range(len(sums) - 2, -1, -1):
        sums[step] += weights[step + 1] * sums[step + 1]
    return np.ascontiguousarray(sums[valid].T)


def _uniform(generator: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Tensor:
    """Drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as PyTorch's Linear does."""
    bound = fan_in**-0.5
    return torch.from_numpy(generator.uniform(-bound, bound, shape).astype(np.float32)).requires_grad_()
