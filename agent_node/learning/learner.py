"""One agent's learning: acts, collects an episode, and updates its policies once a communication round.

A round is opened (advantages, critic update, what to share) and closed (what was heard is mixed, policy update);
between the two the agent waits for its neighbors. The forward pass made to share is the one the loss is taken of.

    begin_episode, act ...                              until the episode is over
    end_episode -> Episode                              frozen: the samples, and all else that its rounds start from
    open_round(Episode, number, partners) -> OpenRound  frozen: what partners shall hear, and what the loss is taken of
    close_round(OpenRound, shares, stale) -> losses     K times
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from agent_node.config import AgentConfig
from agent_node.experience import masks
from agent_node.experience.acting_episode import ActingEpisode
from agent_node.experience.advantage import MAY_OVERFLOW, normalized
from agent_node.experience.episode import Episode, rows_in_range
from agent_node.experience.rollout import Batch
from agent_node.learning.algorithm import KEPT, Algorithm, is_kept
from agent_node.learning.critic import Critic
from agent_node.learning.estimators import Estimators
from agent_node.learning.fields import Arrays, ShareShape
from agent_node.learning.given import Finite, Taking, require_kept, require_parts
from agent_node.learning.network_sizes import Networks, networks_of
from agent_node.learning.networks import Stack, initial_parameters, widened
from agent_node.learning.open_round import OpenRound, outgoing_shares
from agent_node.learning.round import Draws, Mixed, Round
from agent_node.learning.shares import ShareFormat, check_form
from agent_node.learning.weights_digest import weights_digest
from broker.arithmetic.chosen import kernels
from broker.arithmetic.sizes import Sizes
from broker.seeding import generator
from broker.user_code import UserCode

_NOTHING = np.zeros(0, np.float32)


class Learner:
    """The networks of one agent, and the episode that it is acting in.

    Args:
        config: The agent's slice of the scenario.
        algorithm: What is shared and how it is learned from.
    """

    def __init__(self, config: AgentConfig, algorithm: Algorithm) -> None:
        learning = config.learning
        self._name = config.link.name
        self._config, self._algorithm = config, algorithm
        self._user_code = UserCode(self._name, algorithm.name, type(algorithm).__module__)
        self._networks = _networks_of(config, algorithm)
        self._rows = {agent: row for row, agent in enumerate(self._networks.modeled)}
        positions = config.steps * config.parallel_episodes
        counts, own = config.action_counts, config.action_counts[self._name]
        neighbors = config.neighbors[self._name]
        self._incoming = {source: self._networks.edge(0, counts[source], own) for source in neighbors}
        self._outgoing_shapes = {partner: self._networks.edge(0, own, counts[partner]) for partner in neighbors}
        self._format = ShareFormat(
            algorithm, positions, len(config.action_counts), config.masks, config.exchange.largest_number
        )
        self._finite = Finite(self._format)
        policies, initial = _initial_policies(config, algorithm, self._networks)
        rate, epsilon = learning.critic_learning_rate, learning.adam_epsilon
        self._actor = Stack(self._networks.actor, policies, learning.actor_learning_rate, epsilon)
        critic = Stack(self._networks.critic, [initial(self._networks.critic, "critic")], rate, epsilon)
        self._critic = Critic(critic, learning, algorithm, self._user_code, self._finite)
        self._estimators = Estimators(algorithm.estimators, self._networks.estimators, initial, rate, epsilon)
        self._stacks = {"actor": self._actor, "critic": critic, **self._estimators.stacks()}
        self._impossible = _impossible_actions(config, self._networks)
        self._kept = self._kept_anew()
        self._acting = ActingEpisode(
            config,
            self._networks.actor,
            self._actor.parameters[self._rows[self._name]],
            follows=any(each.sees == "transition" for each in algorithm.estimators),
        )

    @property
    def modeled(self) -> tuple[str, ...]:
        """The agents it holds a policy for, in the order of the rows of `actor/parameters` in its state."""
        return self._networks.modeled

    # Acting

    def begin_episode(self, episode: int) -> None:
        """Get ready to act in `episode`."""
        self._acting.begin(episode)

    def see(self, step: int, data: memoryview) -> None:
        """Note a timestep, as `broker.wire.messages.timestep_layout` lays it out, without acting on it."""
        self._acting.see(step, data)

    def act(self, step: int, data: memoryview) -> np.ndarray:
        """Actions (E,) int32 drawn from the own policy at a timestep."""
        return self._acting.draw(step, data)

    def end_episode(self) -> Episode:
        """Turn what was seen and done into samples."""
        learning = self._config.learning
        batch = self._acting.close(learning.gamma, learning.bootstrap_at_time_limit)
        self._finite.see(self._acting.number, batch)
        behaves = learning.ratio_reference == "behaviour"
        return Episode(
            self._acting.number,
            batch,
            rows_in_range(batch, self._config.neighbors[self._name]),
            self._actor.parameters.copy() if behaves else None,
        )

    # Sharing

    @MAY_OVERFLOW
    def open_round(self, episode: Episode, number: int, partners: tuple[str, ...]) -> OpenRound:
        """Update critic and estimators, and say what each partner shall hear.

        Args:
            episode: What to learn from.
            number: Of the round in the episode, from 0.
            partners: Neighbors to exchange with in this round.

        Raises:
            UserCodeFailed: The algorithm raised, what it shares is not what it says, or the loss of critic or
                estimators is not finite.
        """
        link = self._config.link
        draws = Draws(link.seed, self._name, episode.number, number, link.episodes_before)
        advantages, losses = self._valued(episode.batch, draws)
        modeled = (self._name,) if self._algorithm.models == "self" else (self._name, *partners)
        rows = [self._rows[agent] for agent in modeled]
        passed = self._actor.evaluate(rows, episode.batch.observations[: episode.batch.samples])
        possible = self._possible(rows, episode.batch)
        log_probabilities = self._log_probabilities(rows, passed.outputs, possible)
        shared = self._algorithm.shares_parameters
        now = Round(
            advantages=advantages,
            actions=episode.batch.actions,
            log_probabilities=log_probabilities,
            log_old=self._log_old(episode, rows, log_probabilities, possible),
            partners=partners,
            rows_in_range=episode.rows_in_range,
            critic=self._critic.parameters.copy() if shared else _NOTHING,
            policies=self._actor.parameters.copy() if shared else _NOTHING,
            weights={},
            draws=draws,
            possible=possible,
            kept=MappingProxyType(self._kept),
            rewards=episode.batch.own_rewards,
            estimators=self._estimators.in_round(episode.batch),
        )
        edges = {partner: self._outgoing(partner, episode.rows_for(partner)) for partner in partners}
        with self._user_code.calling("share()"):
            outgoing = outgoing_shares(now, episode, edges, self._format)
        return OpenRound(episode, outgoing, now, rows, passed, edges, self._format, losses)

    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuse a share that is not what `source` must send in this episode.

        Raises:
            ProtocolViolation: Says what was expected and what was found.
        """
        with self._user_code.calling("fields()"):
            self._format.check(arrays, self._incoming[source])

    @MAY_OVERFLOW
    def close_round(
        self, opened: OpenRound, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays]
    ) -> dict[str, float]:
        """Update the policies with what was heard; returns the losses by name.

        Args:
            opened: The round.
            shares: By partner, those heard in this round.
            stale: By partner, the newest of older ones from those missing in this round; mixed, and nothing else.

        Raises:
            UserCodeFailed: The algorithm raised, or what it gives is of another form or not finite.
        """
        batch, known = opened.episode.batch, dict(opened.losses)
        if batch.samples == 0:
            return {}
        with self._user_code.calling("mix()"):
            now, heard = opened.aligned(shares)
            apart = {partner: arrays for partner, arrays in shares.items() if partner not in heard}
            others = {**stale, **apart} if self._algorithm.shares_parameters else {}
            self._finite.hear(now.draws, {**others, **heard}, opened.outgoing, opened.edges)
            mixed = opened.mix(now, heard, others)
            self._finite.require_mixed(now.draws, mixed, batch.samples, self._networks)
            critic = now.critic if mixed.critic is None else mixed.critic
            now = replace(now, critic=critic, advantages=self._advantages(opened, mixed))
            if self._algorithm.critic_waits:
                known |= self._critic.catch_up(batch, now.draws, mixed.rewards)
        with self._user_code.calling("remember()"):
            self._algorithm.remember(now, heard)
        with self._user_code.calling("loss()"):
            loss = self._algorithm.loss(now, heard)
            with Taking(now.draws, f"loss() of {self._algorithm.name}"):
                check_form("gradient", loss.gradient, now.log_probabilities.shape)
                require_parts(loss)
            losses = {name: float(part) for name, part in loss.parts.items()}
            self._finite.require_losses(now.draws, losses | {"loss": float(loss.total)})
            updated = [self._rows[agent] for agent in (self._name, *now.heard(heard)) if agent in self._rows]
            positions = [opened.rows.index(row) for row in updated]
            moved = self._actor.descend(opened.passed, positions, opened.gradient(now, loss))
        self._finite.require_moved(now.draws, moved)
        if mixed.policies is not None:
            self._actor.parameters += mixed.policies
        return {**known, **losses}

    def weights_digest(self) -> str:
        """SHA-256 over all parameters of actor, critic and estimators."""
        return weights_digest(*(stack.parameters for stack in self._stacks.values()))

    def state(self) -> Arrays:
        """All that the next episode needs of those before it, by name; views, not copies."""
        parts = {network: stack.state() for network, stack in self._stacks.items()} | {KEPT: dict(self._kept)}
        return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def restore(self, state: Arrays) -> None:
        """Take up what `state` once gave; what the algorithm keeps begins anew where nothing of it is there."""
        for network, stack in self._stacks.items():
            stack.restore({name: state[f"{network}/{name}"] for name in stack.state()})
        if not any(is_kept(name) for name in state):
            self._kept = self._kept_anew()
            return
        for name, array in self._kept.items():
            array[...] = state[f"{KEPT}/{name}"]

    # Parts

    def _kept_anew(self) -> Arrays:
        """What the algorithm keeps, as it begins."""
        with self._user_code.calling("keeps()"):
            kept = self._algorithm.keeps(self._config.neighbors[self._name], self._critic.parameters)
        require_kept(self._name, self._algorithm.name, kept)
        return kept

    def _advantages(self, opened: OpenRound, mixed: Mixed) -> np.ndarray:
        """Advantages (B,) to learn from, after what was mixed has taken its place."""
        advantages, batch = opened.round.advantages, opened.episode.batch
        self._estimators.take(mixed.estimators)
        if mixed.critic is not None:
            self._critic.parameters[...] = mixed.critic
        if mixed.critic is not None or mixed.rewards is not None:
            advantages = self._critic.advantages(batch, mixed.rewards)
        if mixed.advantages is not None:
            advantages = np.ascontiguousarray(mixed.advantages)
        return normalized(advantages) if self._config.learning.normalize_advantages else advantages

    def _valued(self, batch: Batch, now: Draws) -> tuple[np.ndarray, dict[str, float]]:
        """Advantages (B,) with the critic as it was, and a step of critic and estimators; losses by name."""
        if batch.samples == 0:
            return np.zeros(0, np.float32), {}
        advantages, losses = self._critic.value(batch, now, MappingProxyType(self._kept))
        of_estimators, moved = self._estimators.learn(batch)
        self._finite.require_losses(now, of_estimators)
        self._finite.require_moved(now, moved)
        return advantages, losses | of_estimators

    def _log_old(
        self, episode: Episode, rows: list[int], log_probabilities: np.ndarray, possible: np.ndarray | None
    ) -> np.ndarray:
        """Log-probabilities (R, B, A) of the policies in use that the ratios refer to."""
        if episode.behaviour is None:
            return log_probabilities
        samples = episode.batch.observations[: episode.batch.samples]
        then = kernels.evaluate(self._networks.actor, episode.behaviour, rows, samples)
        return self._log_probabilities(rows, then.outputs, possible)

    def _log_probabilities(self, rows: list[int], logits: np.ndarray, possible: np.ndarray | None) -> np.ndarray:
        """(R, B, A) of `logits`, over the `possible` actions alone or, where nothing is masked, over all there are."""
        if possible is not None:
            return masks.among(logits, possible)
        if self._impossible is not None:
            logits = np.where(self._impossible[rows], np.float32(masks.IMPOSSIBLE), logits)
        return kernels.log_softmax(logits)

    def _possible(self, rows: list[int], batch: Batch) -> np.ndarray | None:
        """(R, B, A) bool: what the agent could do, and all that the others have, since nobody has heard them yet."""
        if batch.possible is None:
            return None
        possible = np.ones((len(rows), batch.samples, self._networks.actor.outputs), np.bool_)
        if self._impossible is not None:
            possible &= ~self._impossible[rows]
        possible[0, :, : batch.possible.shape[1]] = batch.possible
        return possible

    def _outgoing(self, partner: str, rows: int) -> ShareShape:
        return self._outgoing_shapes[partner].with_rows(rows)


def _networks_of(config: AgentConfig, algorithm: Algorithm) -> Networks:
    return networks_of(
        config.link.name,
        type(algorithm),
        config.neighbors[config.link.name],
        action_counts=config.action_counts,
        observation_size=config.observation_size,
        hidden=config.learning.hidden,
    )


def _initial_policies(
    config: AgentConfig, algorithm: Algorithm, networks: Networks
) -> tuple[list[np.ndarray], Callable[..., np.ndarray]]:
    """Parameters (P,) of each policy, and what draws those of any other network, given its sizes and what it is.

    A policy is drawn in its agent's own layout, so that a neighbor with more actions changes nothing but the width.
    """
    name, asked = config.link.name, config.learning.initial_parameters
    common = asked == "common" or (asked == "auto" and algorithm.shares_parameters)

    def drawn(sizes: Sizes, *role: str) -> np.ndarray:
        return initial_parameters(sizes, generator(config.link.seed, *role))

    def initial(sizes: Sizes, *role: str) -> np.ndarray:
        return drawn(sizes, *(() if common else (name,)), *role)

    policies = []
    for agent in networks.modeled:
        own = Sizes(networks.actor.inputs, networks.actor.hidden, config.action_counts[agent])
        policies.append(widened(own, drawn(own, agent if common else name, "actor", agent), networks.actor.outputs))
    return policies, initial


def _impossible_actions(config: AgentConfig, networks: Networks) -> np.ndarray | None:
    """(N, 1, A) true where an agent has no such action, or None when all have the same number."""
    counts, width = [config.action_counts[agent] for agent in networks.modeled], networks.actor.outputs
    if min(counts) == width:
        return None
    impossible: np.ndarray = (np.arange(width) >= np.array(counts)[:, None])[:, None, :]
    return impossible
