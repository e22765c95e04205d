"""What an algorithm is: what crosses an edge in a round, and the loss it makes of what was heard.

Axes: B samples, R actor networks in use this round (own first, then one per partner if the algorithm
anticipates), A actions (the most any agent has; impossible ones have probability 0).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.losses import entropy
from broker.seeding import generator

Arrays = dict[str, np.ndarray]


class Kind(Enum):
    """What the numbers of a shared array mean, and so how they are checked."""

    DISTRIBUTION = "distribution"  # (rows, actions) float32, non-negative, each row sums to 1
    ACTIONS = "actions"  # (rows,) int32, from 0 to the number of actions - 1
    REAL = "real"  # any finite float32
    BITS = "bits"  # uint8, one bit for each sample an episode can have


@dataclass(frozen=True)
class Field:
    """One array that crosses an edge.

    Attributes:
        name: Its name in the share.
        kind: What its numbers mean.
        shape: Its exact shape.
        limit: For `Kind.ACTIONS` the number of actions, for `Kind.BITS` the number of bits that may be set.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    limit: int = 0


@dataclass(frozen=True)
class Edge:
    """What both ends of an edge know about a round's share.

    Attributes:
        rows: Samples that the share is about.
        source_actions: Number of actions of the sender.
        destination_actions: Number of actions of the receiver.
    """

    rows: int
    source_actions: int
    destination_actions: int


@dataclass(frozen=True)
class Draws:
    """The random draws of one agent in one communication round, each with a stream of its own.

    Attributes:
        seed: The scenario's.
        agent: Who draws.
        episode: From 0.
        round: From 0.
    """

    seed: int
    agent: str
    episode: int
    round: int

    def stream(self, purpose: str, neighbor: str) -> Generator:
        """The stream for `purpose` toward `neighbor`."""
        return generator(self.seed, self.agent, purpose, self.episode, self.round, neighbor)


@dataclass(frozen=True)
class Round:
    """What an agent knows in one communication round, before anybody is heard.

    Attributes:
        advantages: A_i (B,) float32, normalized if the scenario says so.
        actions: a_i (B,) int64.
        log_probabilities: (R, B, A), of the own policy and of the anticipations of the partners; with gradient.
        log_own_old: (B,), log-probability of `actions` under the policy that the ratio xi_i refers to.
        partners: Neighbors to exchange with in this round, in the order of the rows behind the first.
        rows_in_range: For each partner the samples at which it was in range (int64 indices), or None for all; when the
            loss is taken, those that its share is about.
        draws: For what an algorithm shares at random.
    """

    advantages: Tensor
    actions: Tensor
    log_probabilities: Tensor
    log_own_old: Tensor
    partners: tuple[str, ...]
    rows_in_range: Mapping[str, Tensor | None]
    draws: Draws

    def log_own(self) -> Tensor:
        """Log-probability pi_ii(a_i|s) (B,) of own actions, with gradient."""
        return taken(self.log_probabilities[0], self.actions)

    def anticipations(self, heard: Sequence[str]) -> Tensor:
        """Log-probabilities (m, B, A) of the anticipations of some partners, in the partners' order; with gradient."""
        if len(heard) == len(self.partners):
            return self.log_probabilities[1:]  # a slice, whose gradient costs a tenth of a selection's
        return self.log_probabilities[[1 + self.partners.index(partner) for partner in heard]]

    def probabilities(self, partner: str | None = None) -> Tensor:
        """Own distributions (B, A), or the anticipation of `partner`; without gradient."""
        row = 0 if partner is None else 1 + self.partners.index(partner)
        return self.log_probabilities[row].detach().exp()

    def select(self, samples: Tensor, partner: str) -> Tensor:
        """The rows of `samples` (B, ...) at which `partner` was in range."""
        rows = self.rows_in_range[partner]
        return samples if rows is None else samples[rows]


@dataclass(frozen=True)
class Loss:
    """What is minimized, and its parts for the record.

    Attributes:
        total: Scalar, with gradient.
        parts: By name, scalars without gradient.
    """

    total: Tensor
    parts: dict[str, Tensor]


def taken(log_probabilities: Tensor, actions: Tensor) -> Tensor:
    """Log-probabilities (..., B) of the `actions` (..., B) taken, out of (..., B, A)."""
    return log_probabilities.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


class Algorithm(ABC):
    """What is shared with a neighbor and what is learned from what neighbors shared.

    Args:
        learning: Settings common to all algorithms.
        settings: Settings of the algorithms' own.
    """

    name: ClassVar[str]
    anticipates: ClassVar[bool]
    """Whether the agent keeps a policy network per neighbor beside its own."""
    per_sample: ClassVar[bool]
    """Whether the arrays of a share have a row per sample; the share then also says which samples they are."""

    def __init__(self, learning: LearningConfig, settings: AlgorithmConfig) -> None:
        self.learning = learning
        self.settings = settings

    @abstractmethod
    def fields(self, edge: Edge) -> tuple[Field, ...]:
        """The arrays that cross an edge in a round; none at all means that nothing is sent."""

    @abstractmethod
    def share(self, now: Round, neighbor: str, edge: Edge) -> Arrays:
        """The arrays for `neighbor`, as `fields` describes them."""

    @abstractmethod
    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:
        """The loss after hearing `shares` (by partner; a partner that is missing was not heard)."""


def objective(learning: LearningConfig, gain: Tensor, penalty: Tensor | None, own_log_probabilities: Tensor) -> Loss:
    """The loss of Eq. 15, `-(gain - penalty)`, and the entropy bonus if there is one; means over samples."""
    mean_gain = gain.mean()
    total = -mean_gain
    parts = {"gain": mean_gain.detach()}
    if penalty is not None:
        mean_penalty = penalty.mean()
        total = total + mean_penalty
        parts["penalty"] = mean_penalty.detach()
    if learning.entropy_bonus:
        mean_entropy = entropy(own_log_probabilities).mean()
        total = total - learning.entropy_bonus * mean_entropy
        parts["entropy"] = mean_entropy.detach()
    return Loss(total, parts)


def stack_rows(arrays: list[np.ndarray], rows: list[Tensor | None], samples: int, width: int) -> Tensor:
    """Shared distributions, one (rows, actions) array a neighbor, as (m, B, A): zeros where there is no row."""
    out = torch.zeros(len(arrays), samples, width)
    for target, array, index in zip(out, arrays, rows, strict=True):
        source = torch.from_numpy(np.array(array))
        if index is None:
            target[:, : source.shape[1]] = source
        else:
            target[index, : source.shape[1]] = source
    return out
