"""One agent's learning: acts, collects an episode, and updates its policies once a communication round.

A round is opened (advantages, critic update, what to share) and closed (what was heard, policy update); between the
two the agent waits for its neighbors. The forward pass made to share is the one the loss is taken of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from agent_node.config import AgentConfig
from agent_node.learning import samples
from agent_node.learning.advantage import normalized
from agent_node.learning.algorithm import Algorithm, Arrays, Draws, Edge, Field, Kind, Round, taken
from agent_node.learning.networks import Evaluation, Layout, Policy, Stack, initial_parameters, widened
from agent_node.learning.rollout import Batch, Rollout
from agent_node.learning.shares import check_share, count_bits
from broker.seeding import generator

_IMPOSSIBLE = -1e9


class Learner:
    """The networks of one agent and what it knows of the episode.

    Args:
        config: The agent's slice of the scenario.
        algorithm: What is shared and how it is learned from.
    """

    def __init__(self, config: AgentConfig, algorithm: Algorithm) -> None:
        self._name = config.link.name
        self._seed = config.link.seed
        self._learning = config.learning
        self._algorithm = algorithm
        self._actions = config.action_counts
        self._neighbors = config.neighbors[self._name]
        self._copies = config.parallel_episodes
        self._steps = config.steps
        modeled = (self._name, *self._neighbors) if algorithm.anticipates else (self._name,)
        self._rows = {agent: row for row, agent in enumerate(modeled)}
        width = max(self._actions[agent] for agent in modeled)
        actor = Layout(config.observation_size, config.learning.hidden, width)
        critic = Layout(config.observation_size, config.learning.hidden, 1)
        epsilon = config.learning.adam_epsilon
        self._positions = config.steps * config.parallel_episodes
        policies = torch.empty(len(modeled), actor.size)
        for row, agent in zip(policies, modeled, strict=True):
            row.copy_(self._initial_policy(actor, agent))
        self._actor = Stack(actor, list(policies), config.learning.actor_learning_rate, epsilon)
        self._critic = Stack(critic, [self._initial(critic, "critic")], config.learning.critic_learning_rate, epsilon)
        self._policy = Policy(self._actor)
        self._impossible = self._mask([self._actions[agent] for agent in modeled], width)
        neighbors = len(self._neighbors) if config.proximity else 0
        self._rollout = Rollout(config.steps, config.parallel_episodes, config.observation_size, neighbors)
        self._uniforms = np.zeros((config.steps, config.parallel_episodes), np.float32)

    # Acting

    def begin_episode(self, episode: int) -> None:
        """Get ready to act in `episode`."""
        self._episode, self._rounds = episode, 0
        self._rollout.begin()
        stream = generator(self._seed, self._name, "actions", episode)
        self._uniforms = stream.random((self._steps, self._copies), np.float32)

    def see(
        self, step: int, observation: np.ndarray, reward: np.ndarray, ended: np.ndarray, neighbors: np.ndarray | None
    ) -> None:
        """Note a timestep without acting on it (the last of an episode)."""
        self._rollout.see(step, observation, reward, ended, neighbors)

    def act(
        self, step: int, observation: np.ndarray, reward: np.ndarray, ended: np.ndarray, neighbors: np.ndarray | None
    ) -> np.ndarray:
        """Actions (E,) int32 drawn from the own policy at a timestep."""
        seen = self._rollout.see(step, observation, reward, ended, neighbors)
        logits = self._policy(seen)[:, : self._actions[self._name]]
        weights = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
        cumulative = np.add.accumulate(weights, axis=1)
        threshold = self._uniforms[step][:, None] * cumulative[:, -1:]
        actions: np.ndarray = (cumulative[:, :-1] <= threshold).sum(axis=1, dtype=np.int32)
        self._rollout.act(step, actions)
        return actions

    def end_episode(self) -> None:
        """Turn the rollout into samples."""
        self._batch = self._rollout.close(self._learning.gamma, self._learning.bootstrap_at_time_limit)
        self._in_range = self._samples_in_range(self._batch)
        self._log_behaviour: Tensor | None = None

    # Sharing

    def open_round(self, partners: tuple[str, ...]) -> dict[str, Arrays]:
        """Update the critic, and say what each partner shall hear; a partner with nothing to hear is left out."""
        self._losses: dict[str, float] = {}
        if self._batch.samples == 0:
            return {}
        advantages = self._update_critic()
        modeled = (self._name, *partners) if self._algorithm.anticipates else (self._name,)
        self._used = [self._rows[agent] for agent in modeled]
        seen = self._batch.observations[: self._batch.samples]
        self._evaluation = Evaluation(self._actor.layout, self._actor.pick(self._used), seen)
        self._logits = self._evaluation.outputs.requires_grad_()
        log_probabilities = self._log_probabilities(self._logits)
        log_own = taken(log_probabilities[0].detach(), self._batch.actions)
        if self._log_behaviour is None or self._learning.ratio_reference == "round":
            self._log_behaviour = log_own
        self._round = Round(
            advantages=torch.from_numpy(advantages),
            actions=self._batch.actions,
            log_probabilities=log_probabilities,
            log_own_old=self._log_behaviour,
            partners=partners,
            rows_in_range=self._in_range,
            draws=Draws(self._seed, self._name, self._episode, self._rounds),
        )
        self._rounds += 1
        return {partner: self._share_with(partner) for partner in partners if self.exchanges_with(partner)}

    def exchanges_with(self, neighbor: str) -> bool:
        """Whether anything crosses the edge to `neighbor` in this episode's rounds; both ends know."""
        edge = self._edge_to(neighbor)
        return edge.rows > 0 and bool(self._algorithm.fields(edge))

    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuse a share that is not what `source` must send in this episode.

        Raises:
            ProtocolViolation: Says what was expected and what was found.
        """
        rows = 0
        fields: tuple[Field, ...] = ()
        if self._algorithm.per_sample:
            fields = (Field(samples.NAME, Kind.BITS, (samples.packed_bytes(self._positions),), self._positions),)
            rows = count_bits(arrays.get(samples.NAME), fields[0])
        edge = Edge(rows, self._actions[source], self._actions[self._name])
        check_share(arrays, fields + self._algorithm.fields(edge))

    def close_round(self, shares: Mapping[str, Arrays]) -> dict[str, float]:
        """Update the policies with what was heard; returns the losses by name."""
        if self._batch.samples == 0:
            return {}
        now, aligned = self._aligned(shares)
        loss = self._algorithm.loss(now, aligned)
        loss.total.backward()  # type: ignore[no-untyped-call]
        heard = (self._name, *(partner for partner in self._round.partners if partner in aligned))
        updated = [self._rows[agent] for agent in heard if agent in self._rows]
        assert self._logits.grad is not None  # noqa: S101 - every loss is taken of the logits
        gradient = self._evaluation.gradient(self._logits.grad)
        if len(updated) < len(self._used):
            gradient = gradient[[self._used.index(row) for row in updated]]
        self._actor.step(updated, gradient)
        return self._losses | {name: float(part) for name, part in loss.parts.items()}

    def weights_digest(self) -> str:
        """SHA-256 over all parameters of actor and critic."""
        return sha256(self._actor.parameters.numpy().tobytes() + self._critic.parameters.numpy().tobytes()).hexdigest()

    # Parts

    def _share_with(self, partner: str) -> Arrays:
        arrays = self._algorithm.share(self._round, partner, self._edge_to(partner))
        if self._algorithm.per_sample:
            arrays[samples.NAME] = samples.pack(self._index_for(partner), self._positions)
        return arrays

    def _aligned(self, shares: Mapping[str, Arrays]) -> tuple[Round, Mapping[str, Arrays]]:
        """The round and the shares cut down to the samples that both ends of each edge hold; without any, left out."""
        if not self._algorithm.per_sample:
            return self._round, shares
        rows_in_range, aligned = dict(self._in_range), {}
        for partner, arrays in shares.items():
            ours, theirs = self._batch.index, samples.unpack(arrays[samples.NAME], self._positions)
            own = {name: array for name, array in arrays.items() if name != samples.NAME}
            if np.array_equal(theirs, self._index_for(partner)):
                aligned[partner] = own
                continue
            our_rows, their_rows = samples.common_rows(ours, theirs)
            if not len(our_rows):
                continue
            rows_in_range[partner] = torch.from_numpy(our_rows)
            aligned[partner] = {name: array[their_rows] for name, array in own.items()}
        return replace(self._round, rows_in_range=rows_in_range), aligned

    def _index_for(self, partner: str) -> np.ndarray:
        """Positions of the samples at which `partner` was in range."""
        rows = self._in_range[partner]
        index: np.ndarray = self._batch.index if rows is None else self._batch.index[rows.numpy()]
        return index

    def _update_critic(self) -> np.ndarray:
        """Advantages (B,) with the critic as it was, and one step of it toward the returns (Eqs. 16 and 17)."""
        batch, learning = self._batch, self._learning
        evaluation = Evaluation(self._critic.layout, self._critic.parameters, batch.observations)
        values = evaluation.outputs[0, :, 0]
        errors = torch.zeros_like(values)
        torch.sub(values[: batch.samples], batch.returns, out=errors[: batch.samples])
        self._losses["critic_loss"] = float(errors.dot(errors)) / batch.samples
        advantages = batch.advantages(values.numpy(), learning.gamma, learning.gae_lambda)
        self._critic.step([0], evaluation.gradient(errors.mul_(2 / batch.samples).view(1, -1, 1)))
        return normalized(advantages) if learning.normalize_advantages else advantages

    def _log_probabilities(self, logits: Tensor) -> Tensor:
        if self._impossible is not None:
            logits = logits.masked_fill(self._impossible[self._used], _IMPOSSIBLE)
        return torch.log_softmax(logits, dim=-1)

    def _samples_in_range(self, batch: Batch) -> dict[str, Tensor | None]:
        if batch.in_range is None:
            return dict.fromkeys(self._neighbors)
        rows = [np.flatnonzero(mask) for mask in batch.in_range]
        return {
            neighbor: None if len(index) == batch.samples else torch.from_numpy(index)
            for neighbor, index in zip(self._neighbors, rows, strict=True)
        }

    def _edge_to(self, neighbor: str) -> Edge:
        rows = self._in_range[neighbor]
        count = self._batch.samples if rows is None else len(rows)
        return Edge(count, self._actions[self._name], self._actions[neighbor])

    def _initial_policy(self, layout: Layout, agent: str) -> Tensor:
        """Drawn in the agent's own layout, so that a neighbor with more actions changes nothing but the width."""
        own = Layout(layout.inputs, layout.hidden, self._actions[agent])
        return widened(own, self._initial(own, "actor", agent), layout.outputs)

    def _initial(self, layout: Layout, *role: str) -> Tensor:
        return initial_parameters(layout, generator(self._seed, self._name, *role))

    @staticmethod
    def _mask(counts: list[int], width: int) -> Tensor | None:
        """(R, 1, A) true where an agent has no such action, or None when all have the same number."""
        if min(counts) == width:
            return None
        return (torch.arange(width) >= torch.tensor(counts)[:, None])[:, None, :]
