"""One agent's learning: acts, collects an episode, and updates its policies once a communication round.

A round is opened (advantages, critic update, what to share) and closed (what was heard is mixed, policy update);
between the two the agent waits for its neighbors. The forward pass made to share is the one the loss is taken of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from agent_node.config import AgentConfig
from agent_node.learning import consensus, samples
from agent_node.learning.advantage import normalized
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import Arrays, ShareShape
from agent_node.learning.network_sizes import Sizes, networks_of
from agent_node.learning.networks import Evaluation, Policy, Stack, initial_parameters, widened
from agent_node.learning.rollout import Batch, Rollout
from agent_node.learning.round import Draws, Mixed, Round
from agent_node.learning.shares import ShareFormat
from broker.seeding import generator

_IMPOSSIBLE = -1e9
_NOBODY: Mapping[str, Arrays] = {}
_NOTHING = torch.empty(0)


class Learner:
    """The networks of one agent and what it knows of the episode.

    Args:
        config: The agent's slice of the scenario.
        algorithm: What is shared and how it is learned from.
    """

    def __init__(self, config: AgentConfig, algorithm: Algorithm) -> None:
        self._name = config.link.name
        self._seed = config.link.seed
        learning = self._learning = config.learning
        self._algorithm = algorithm
        self._actions = config.action_counts
        self._neighbors = config.neighbors[self._name]
        self._copies = config.parallel_episodes
        self._steps = config.steps
        self._networks = networks_of(
            self._name,
            algorithm.models,
            self._neighbors,
            action_counts=config.action_counts,
            observation_size=config.observation_size,
            hidden=learning.hidden,
        )
        modeled, actor, critic = self._networks.modeled, self._networks.actor, self._networks.critic
        self._rows = {agent: row for row, agent in enumerate(modeled)}
        self._positions = config.steps * config.parallel_episodes
        self._format = ShareFormat(algorithm, self._positions, len(self._actions))
        asked = learning.initial_parameters
        self._starts_common = asked == "common" or (asked == "auto" and algorithm.shares_parameters)
        policies = torch.empty(len(modeled), actor.size)
        for row, agent in zip(policies, modeled, strict=True):
            row.copy_(self._initial_policy(actor, agent))
        self._actor = Stack(actor, list(policies), learning.actor_learning_rate, learning.adam_epsilon)
        first = self._initial(critic, *(() if self._starts_common else (self._name,)), "critic")
        self._critic = Stack(critic, [first], learning.critic_learning_rate, learning.adam_epsilon)
        self._policy = Policy(self._actor, self._rows[self._name])
        self._impossible = self._mask([self._actions[agent] for agent in modeled], actor.outputs)
        neighbors = len(self._neighbors) if config.proximity else None
        self._rollout = Rollout(config.steps, config.parallel_episodes, config.observation_size, neighbors)
        self._uniforms = np.zeros((config.steps, config.parallel_episodes), np.float32)

    # Acting

    def begin_episode(self, episode: int) -> None:
        """Get ready to act in `episode`."""
        self._episode, self._rounds = episode, 0
        self._rollout.begin()
        stream = generator(self._seed, self._name, "actions", episode)
        self._uniforms = stream.random((self._steps, self._copies), np.float32)

    def see(self, step: int, data: memoryview) -> None:
        """Note a timestep, as `broker.wire.messages.timestep_layout` lays it out, without acting on it."""
        self._rollout.see(step, data)

    def act(self, step: int, data: memoryview) -> np.ndarray:
        """Actions (E,) int32 drawn from the own policy at a timestep."""
        seen = self._rollout.see(step, data)
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
        behaves = self._learning.ratio_reference == "behaviour"
        self._behaviour = self._actor.parameters.clone() if behaves else None

    # Sharing

    def open_round(self, partners: tuple[str, ...]) -> dict[str, Arrays]:
        """Update the critic, and say what each partner shall hear; a partner with nothing to hear is left out."""
        self._losses: dict[str, float] = {}
        if self._batch.samples == 0:
            return {}
        advantages = self._update_critic()
        modeled = (self._name,) if self._algorithm.models == "self" else (self._name, *partners)
        self._used = [self._rows[agent] for agent in modeled]
        self._evaluation = self._evaluate(self._actor.pick(self._used))
        self._logits = self._evaluation.outputs.requires_grad_()
        log_probabilities = self._log_probabilities(self._logits)
        shared = self._algorithm.shares_parameters
        self._round = Round(
            advantages=torch.from_numpy(advantages),
            actions=self._batch.actions,
            log_probabilities=log_probabilities,
            log_old=self._log_old(log_probabilities),
            partners=partners,
            rows_in_range=self._in_range,
            critic=self._critic.parameters[0].clone() if shared else _NOTHING,
            policies=self._actor.parameters.clone() if shared else _NOTHING,
            weights={},
            draws=Draws(self._seed, self._name, self._episode, self._rounds),
        )
        self._rounds += 1
        exchanging = [partner for partner in partners if self.exchanges_with(partner)]
        self._degree = len(exchanging)
        return {partner: self._share_with(partner) for partner in exchanging}

    def exchanges_with(self, neighbor: str) -> bool:
        """Whether anything crosses the edge to `neighbor` in this episode's rounds; both ends know."""
        edge = self._edge_to(neighbor)
        return edge.rows > 0 and bool(self._algorithm.fields(edge))

    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuse a share that is not what `source` must send in this episode.

        Raises:
            ProtocolViolation: Says what was expected and what was found.
        """
        self._format.check(arrays, self._edge(source, self._name, 0))

    def close_round(self, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays] = _NOBODY) -> dict[str, float]:
        """Update the policies with what was heard; returns the losses by name.

        Args:
            shares: By partner, those heard in this round.
            stale: By partner, the newest of older ones from those missing in this round; mixed, and nothing else.
        """
        if self._batch.samples == 0:
            return {}
        now, heard, mixed = self._take_in(shares, stale)
        loss = self._algorithm.loss(now, heard)
        loss.total.backward()  # type: ignore[no-untyped-call]
        updated = [self._rows[agent] for agent in (self._name, *now.heard(heard)) if agent in self._rows]
        assert self._logits.grad is not None  # noqa: S101 - every loss is taken of the logits
        gradient = self._evaluation.gradient(self._logits.grad)
        if len(updated) < len(self._used):
            gradient = gradient[[self._used.index(row) for row in updated]]
        self._actor.step(updated, gradient)
        if mixed.policies is not None:
            self._actor.parameters.add_(mixed.policies)
        return self._losses | {name: float(part) for name, part in loss.parts.items()}

    def weights_digest(self) -> str:
        """SHA-256 over all parameters of actor and critic."""
        return sha256(self._actor.parameters.numpy().tobytes() + self._critic.parameters.numpy().tobytes()).hexdigest()

    def state(self) -> Arrays:
        """All that the next episode needs of those before it, by name; views, not copies."""
        return {
            f"{network}/{name}": array
            for network, stack in (("actor", self._actor), ("critic", self._critic))
            for name, array in stack.state().items()
        }

    def restore(self, state: Arrays) -> None:
        """Take up what `state` once gave."""
        for network, stack in (("actor", self._actor), ("critic", self._critic)):
            stack.restore({name: state[f"{network}/{name}"] for name in stack.state()})

    # Parts

    def _share_with(self, partner: str) -> Arrays:
        edge = self._edge_to(partner)
        arrays = self._algorithm.share(self._round, partner, edge)
        names = {field.name for field in self._format.fields(edge)}
        if samples.NAME in names:
            arrays[samples.NAME] = samples.pack(self._index_for(partner), self._positions)
        if consensus.NAME in names:
            arrays[consensus.NAME] = consensus.pack(self._degree)
        return arrays

    def _take_in(
        self, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays]
    ) -> tuple[Round, dict[str, Arrays], Mixed]:
        """What the loss is taken of, and what else the shares made of the agent's own."""
        now, heard = self._aligned(shares)
        mixed = self._mix(now, heard, stale)
        return replace(now, advantages=self._advantages(now, mixed)), heard, mixed

    def _aligned(self, shares: Mapping[str, Arrays]) -> tuple[Round, dict[str, Arrays]]:
        """The round and the shares cut down to the samples that both ends of each edge hold; without any, left out."""
        rows_in_range, aligned = dict(self._in_range), {}
        for partner, arrays in shares.items():
            bits = arrays.get(samples.NAME)
            theirs = None if bits is None else samples.unpack(bits, self._positions)
            if theirs is None or np.array_equal(theirs, self._index_for(partner)):
                aligned[partner] = arrays
                continue
            our_rows, their_rows = samples.common_rows(self._batch.index, theirs)
            if not len(our_rows):
                continue
            rows_in_range[partner] = torch.from_numpy(our_rows)
            names = self._format.names_of_rows(self._edge_to(partner))
            aligned[partner] = {name: array[their_rows] if name in names else array for name, array in arrays.items()}
        return replace(self._round, rows_in_range=rows_in_range), aligned

    def _mix(self, now: Round, heard: Mapping[str, Arrays], stale: Mapping[str, Arrays]) -> Mixed:
        """What is made of the agent's own by shares of this round and, where they are missing, of older ones."""
        shares = dict(heard)
        for partner, arrays in stale.items():
            names = self._format.names_of_rows(self._edge_to(partner))
            shares[partner] = {name: array for name, array in arrays.items() if name not in names}
        weights = {
            partner: consensus.metropolis_weight(self._degree, consensus.unpack(shares[partner][consensus.NAME]))
            for partner in now.heard(shares)
            if self._algorithm.shares_parameters
        }
        return self._algorithm.mix(replace(now, weights=weights), shares)

    def _advantages(self, now: Round, mixed: Mixed) -> Tensor:
        """Advantages (B,) to learn from, after what was mixed has taken its place."""
        advantages = now.advantages
        if mixed.critic is not None:
            self._critic.parameters[0] = mixed.critic
            values = Evaluation(self._critic.layout, self._critic.parameters, self._batch.observations).outputs[0, :, 0]
            advantages = torch.from_numpy(self._advantages_of(values))
        if mixed.advantages is not None:
            advantages = mixed.advantages
        return torch.from_numpy(normalized(advantages.numpy())) if self._learning.normalize_advantages else advantages

    def _index_for(self, partner: str) -> np.ndarray:
        """Positions of the samples at which `partner` was in range."""
        rows = self._in_range[partner]
        index: np.ndarray = self._batch.index if rows is None else self._batch.index[rows.numpy()]
        return index

    def _update_critic(self) -> np.ndarray:
        """Advantages (B,) with the critic as it was, and one step of it toward the returns (Eqs. 16 and 17)."""
        batch = self._batch
        evaluation = Evaluation(self._critic.layout, self._critic.parameters, batch.observations)
        values = evaluation.outputs[0, :, 0]
        errors = torch.zeros_like(values)
        torch.sub(values[: batch.samples], batch.returns, out=errors[: batch.samples])
        self._losses["critic_loss"] = float(errors.dot(errors)) / batch.samples
        advantages = self._advantages_of(values)
        self._critic.step([0], evaluation.gradient(errors.mul_(2 / batch.samples).view(1, -1, 1)))
        return advantages

    def _advantages_of(self, values: Tensor) -> np.ndarray:
        return self._batch.advantages(values.numpy(), self._learning.gamma, self._learning.gae_lambda)

    def _evaluate(self, parameters: Tensor) -> Evaluation:
        """Policies with `parameters` (R, P) at the samples."""
        return Evaluation(self._actor.layout, parameters, self._batch.observations[: self._batch.samples])

    def _log_old(self, log_probabilities: Tensor) -> Tensor:
        """Log-probabilities (R, B, A) of the policies in use that the ratios refer to."""
        if self._behaviour is None:
            return log_probabilities.detach()
        return self._log_probabilities(self._evaluate(self._behaviour[self._used]).outputs)

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

    def _edge_to(self, neighbor: str) -> ShareShape:
        rows = self._in_range[neighbor]
        return self._edge(self._name, neighbor, self._batch.samples if rows is None else len(rows))

    def _edge(self, source: str, destination: str, rows: int) -> ShareShape:
        return self._networks.edge(rows, self._actions[source], self._actions[destination])

    def _initial_policy(self, layout: Sizes, agent: str) -> Tensor:
        """Drawn in the agent's own layout, so that a neighbor with more actions changes nothing but the width."""
        own = Sizes(layout.inputs, layout.hidden, self._actions[agent])
        holder = agent if self._starts_common else self._name
        return widened(own, self._initial(own, holder, "actor", agent), layout.outputs)

    def _initial(self, layout: Sizes, *role: str) -> Tensor:
        return initial_parameters(layout, generator(self._seed, *role))

    @staticmethod
    def _mask(counts: list[int], width: int) -> Tensor | None:
        """(R, 1, A) true where an agent has no such action, or None when all have the same number."""
        if min(counts) == width:
            return None
        return (torch.arange(width) >= torch.tensor(counts)[:, None])[:, None, :]
