"""What an agent knows in one communication round, and what it makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from numpy.random import Generator

from agent_node.experience import masks
from agent_node.learning.estimators import Estimated
from agent_node.learning.fields import Arrays
from broker.arithmetic.chosen import kernels
from broker.seeding import generator


@dataclass(frozen=True)
class Draws:
    """The random draws of one agent in one communication round, each with a stream of its own.

    Attributes:
        seed: The scenario's.
        agent: Who draws.
        episode: From 0.
        round: From 0.
        episodes_before: Of the run that it goes on from; a stream is named by all episodes.
    """

    seed: int
    agent: str
    episode: int
    round: int
    episodes_before: int = 0

    def stream(self, purpose: str, neighbor: str) -> Generator:
        """The stream for `purpose` toward `neighbor`."""
        episode = self.episodes_before + self.episode
        return generator(self.seed, self.agent, purpose, episode, self.round, neighbor)


@dataclass(frozen=True)
class Round:
    """What an agent knows in one communication round. Arrays are float32 unless it says otherwise.

    None may be changed, but for those in `kept`, by `Algorithm.remember`.

    Attributes:
        advantages: A_i (B,) with the critic as it was when the round opened; when the loss is taken, what `mix` made of
            them, normalized if the scenario says so.
        actions: a_i (B,) int64.
        log_probabilities: (R, B, A), of the own policy and of those held for the partners. What is not possible stands
            at `masks.IMPOSSIBLE`, whose exp is 0.
        log_old: (R, B, A), of the policies that the ratios refer to.
        partners: Neighbors to exchange with in this round, in the order of the rows behind the first.
        rows_in_range: For each partner the samples at which it was in range (int64 indices), or None for all; when
            shares are mixed and learned from, those that its share is about.
        critic: (P,), its parameters after this round's step, and once shares are mixed what `mix` made of them; a copy.
            Empty unless the algorithm shares parameters.
        policies: (N, P), all parameters as the round opened; a copy. Empty unless the algorithm shares parameters.
        weights: c_ij of those heard. Empty when the round opens, and unless the algorithm shares parameters.
        draws: For what an algorithm shares at random.
        possible: (R, B, A) bool, which actions were possible: own ones; when the loss is taken, also those of partners
            whose shares say so. None where the environment masks none; nothing need then be left out.
        kept: What the algorithm keeps from round to round, as `Algorithm.keeps` laid it out.
        rewards: r_i (B,), the agent's own.
        estimators: The algorithm's own networks, by name.
    """

    advantages: np.ndarray
    actions: np.ndarray
    log_probabilities: np.ndarray
    log_old: np.ndarray
    partners: tuple[str, ...]
    rows_in_range: Mapping[str, np.ndarray | None]
    critic: np.ndarray
    policies: np.ndarray
    weights: Mapping[str, float]
    draws: Draws
    possible: np.ndarray | None = None
    kept: Mapping[str, np.ndarray] = field(default_factory=dict)
    rewards: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    estimators: Mapping[str, Estimated] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """B."""
        return len(self.actions)

    @cached_property
    def distributions(self) -> np.ndarray:
        """(R, B, A), what `log_probabilities` are the logarithms of."""
        return kernels.exponentials(self.log_probabilities)

    @property
    def log_own_old(self) -> np.ndarray:
        """Log-probability (B,) of own actions under the policy that the ratio xi_i refers to."""
        return taken(self.log_old[0], self.actions)

    def log_own(self) -> np.ndarray:
        """Log-probability pi_ii(a_i|s) (B,) of own actions."""
        return taken(self.log_probabilities[0], self.actions)

    def of_others(self, of_all: np.ndarray, heard: Sequence[str]) -> np.ndarray:
        """What of an array (R, ...) is about the policies held for some partners, (m, ...), in the partners' order."""
        if len(heard) == len(self.partners):
            return of_all[1:]
        return of_all[self._rows_of(heard)]

    def probabilities(self, partner: str | None = None) -> np.ndarray:
        """Own distributions (B, A), or those of the policy held for `partner`."""
        row = 0 if partner is None else 1 + self.partners.index(partner)
        distributions: np.ndarray = self.distributions[row]
        return distributions

    def among_own(self, said: np.ndarray) -> np.ndarray:
        """What others said of the own actions, distributions (..., B, A), over those alone that were possible."""
        return said if self.possible is None else masks.renormalized(said, self.possible[0])

    def select(self, samples: np.ndarray, partner: str) -> np.ndarray:
        """The rows of `samples` (B, ...) at which `partner` was in range."""
        rows = self.rows_in_range[partner]
        return samples if rows is None else samples[rows]

    def heard(self, shares: Mapping[str, Arrays]) -> list[str]:
        """The partners among `shares`, in the partners' order, which no arrival can change."""
        return [partner for partner in self.partners if partner in shares]

    def slopes(self, own: np.ndarray, others: np.ndarray | None = None, heard: Sequence[str] = ()) -> np.ndarray:
        """Slopes by all log-probabilities (R, B, A), of those by the own ones (B, A) and those of the m heard."""
        slopes = np.zeros(self.log_probabilities.shape, np.float32)
        slopes[0] = own
        if others is not None:
            slopes[self._rows_of(heard)] = others
        return slopes

    def _rows_of(self, partners: Sequence[str]) -> list[int]:
        return [1 + self.partners.index(partner) for partner in partners]


@dataclass(frozen=True)
class Mixed:
    """What the shares of a round make of the agent's own; None leaves it as it is.

    Attributes:
        advantages: (B,), instead of the agent's own; before they are normalized.
        critic: (P,), instead of its own parameters; the advantages are then taken anew with it, unless they are given.
        policies: (N, P), what is added to the policies' parameters after the round's step.
        rewards: (B,), instead of the agent's own; the advantages are then taken anew of them, unless they are given.
        estimators: (P,) by name, instead of their own parameters.
    """

    advantages: np.ndarray | None = None
    critic: np.ndarray | None = None
    policies: np.ndarray | None = None
    rewards: np.ndarray | None = None
    estimators: Mapping[str, np.ndarray] = field(default_factory=dict)


TAKEN_NAMES = frozenset(
    ("agent", "agent_name", "critic_loss", "episode", "heard", "loss", "partners", "round", "stale")
)
"""What else is recorded of a round, or said of it beside the parts of its loss."""


@dataclass(frozen=True)
class Loss:
    """What is minimized, its gradient, and its parts for the record.

    Attributes:
        total: Its value.
        gradient: (R, B, A) float32, by the round's `log_probabilities`; in rows of partners not heard it is not looked
            at.
        parts: By name; `TAKEN_NAMES` stand for something else there.
    """

    total: float
    gradient: np.ndarray
    parts: dict[str, float]


def taken(of_all: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """What (..., B, A) has for the `actions` taken, (..., B) or the same (B,) in all: (..., B)."""
    picked: np.ndarray = of_all.reshape(-1)[_starts(of_all.shape) + actions]
    return picked


def placed(values: np.ndarray, actions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The other way: `shape` (..., B, A) with `values` (..., B) for the `actions` (..., B), and 0 for all others."""
    spread = np.zeros(shape, np.float32)
    spread.reshape(-1)[_starts(shape) + actions] = values
    return spread


def spread_actions(now: Round, shares: Mapping[str, Arrays], heard: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The actions a_j (m, B) int64 that partners shared, and a mask (m, B) of the samples their shares are about."""
    actions = np.zeros((len(heard), now.samples), np.int64)
    mask = np.zeros(actions.shape, np.float32)
    for position, partner in enumerate(heard):
        index = now.rows_in_range[partner]
        where = slice(None) if index is None else index
        actions[position, where] = shares[partner]["actions"]
        mask[position, where] = 1
    return actions, mask


def spread_rows(now: Round, shares: Mapping[str, Arrays], heard: Sequence[str], name: str) -> np.ndarray:
    """Distributions that partners shared under `name` as (m, B, A): zeros where there is no row."""
    out = np.zeros((len(heard), *now.log_probabilities.shape[1:]), np.float32)
    for target, partner in zip(out, heard, strict=True):
        source, index = shares[partner][name], now.rows_in_range[partner]
        target[slice(None) if index is None else index, : source.shape[1]] = source
    return out


def spread_numbers(now: Round, shares: Mapping[str, Arrays], heard: Sequence[str], name: str) -> np.ndarray:
    """Numbers, one a sample, that partners shared under `name` as (m, B): zeros where there is none."""
    out = np.zeros((len(heard), now.samples), np.float32)
    for target, partner in zip(out, heard, strict=True):
        index = now.rows_in_range[partner]
        target[slice(None) if index is None else index] = shares[partner][name]
    return out


@lru_cache(maxsize=256)
def _starts(shape: tuple[int, ...]) -> np.ndarray:
    """Where the rows (..., B) of an array of `shape` (..., B, A) begin when it is laid out flat."""
    starts: np.ndarray = np.arange(0, math.prod(shape), shape[-1]).reshape(shape[:-1])
    starts.setflags(write=False)
    return starts
