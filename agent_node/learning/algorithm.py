"""What an algorithm is: what crosses an edge in a round, what is mixed of it, and the loss made of what was heard.

One round of an agent, in order:

    open   advantages with the critic as it is, one step of the critic, `share` with each partner
    close  `mix` what was heard, normalize the advantages, `loss`, one step of the policies

Axes: B samples, R policies in use this round (own first, then one per partner if the algorithm models others), N all
policies the agent holds, A actions (the most any of them has; impossible ones have probability 0), P parameters.

Nothing here imports torch, and nor do the algorithms' pages: a launcher reads from them what a run will exchange.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.random import Generator

from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.losses import clipped_gain, entropy
from broker.config import Model
from broker.seeding import generator

if TYPE_CHECKING:
    from torch import Tensor

Arrays = dict[str, np.ndarray]
Models = Literal["self", "neighbors", "everyone"]
"""For whom an agent holds a policy: itself, its neighbors too, or every agent there is."""


class Kind(Enum):
    """What the numbers of a shared array mean, and so how they are checked."""

    DISTRIBUTION = "distribution"  # (rows, actions) float32, non-negative, each row sums to 1
    ACTIONS = "actions"  # (rows,) int32, from 0 to the number of actions - 1
    REAL = "real"  # any finite float32
    BITS = "bits"  # uint8, one bit for each sample an episode can have
    COUNT = "count"  # int32, from 1 to a limit


@dataclass(frozen=True)
class Field:
    """One array that crosses an edge.

    Attributes:
        name: Its name in the share.
        kind: What its numbers mean.
        shape: Its exact shape.
        limit: For `Kind.ACTIONS` the number of actions, for `Kind.BITS` the number of bits that may be set, for
            `Kind.COUNT` the largest count.
        per_sample: Whether it has a row per sample. A share with such a field also says which samples it is about.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    limit: int = 0
    per_sample: bool = True


@dataclass(frozen=True)
class Edge:
    """What both ends of an edge know about a round's share.

    Attributes:
        rows: Samples that the share is about.
        source_actions: Number of actions of the sender.
        destination_actions: Number of actions of the receiver.
        critic_shape: (P,) of a critic's parameters.
        policies_shape: (N, P) of the parameters of all policies the sender holds.
    """

    rows: int
    source_actions: int
    destination_actions: int
    critic_shape: tuple[int, ...] = ()
    policies_shape: tuple[int, ...] = ()


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
    """What an agent knows in one communication round.

    Attributes:
        advantages: A_i (B,) float32 with the critic as it was when the round opened; when the loss is taken, what `mix`
            made of them, normalized if the scenario says so.
        actions: a_i (B,) int64.
        log_probabilities: (R, B, A), of the own policy and of those held for the partners; with gradient.
        log_old: (R, B, A), of the policies that the ratios refer to; without gradient.
        partners: Neighbors to exchange with in this round, in the order of the rows behind the first.
        rows_in_range: For each partner the samples at which it was in range (int64 indices), or None for all; when
            shares are mixed and learned from, those that its share is about.
        critic: (P,), its parameters after this round's step; a copy. Empty unless the algorithm shares parameters.
        policies: (N, P), all parameters as the round opened; a copy. Empty unless the algorithm shares parameters.
        weights: c_ij of those heard. Empty when the round opens, and unless the algorithm shares parameters.
        draws: For what an algorithm shares at random.
    """

    advantages: Tensor
    actions: Tensor
    log_probabilities: Tensor
    log_old: Tensor
    partners: tuple[str, ...]
    rows_in_range: Mapping[str, Tensor | None]
    critic: Tensor
    policies: Tensor
    weights: Mapping[str, float]
    draws: Draws

    @property
    def log_own_old(self) -> Tensor:
        """Log-probability (B,) of own actions under the policy that the ratio xi_i refers to."""
        return taken(self.log_old[0], self.actions)

    def log_own(self) -> Tensor:
        """Log-probability pi_ii(a_i|s) (B,) of own actions, with gradient."""
        return taken(self.log_probabilities[0], self.actions)

    def log_others(self, heard: Sequence[str]) -> Tensor:
        """Log-probabilities (m, B, A) of the policies held for some partners, in the partners' order; with gradient."""
        return self._of_others(self.log_probabilities, heard)

    def log_others_old(self, heard: Sequence[str]) -> Tensor:
        """The same of the policies that ratios refer to; without gradient."""
        return self._of_others(self.log_old, heard)

    def probabilities(self, partner: str | None = None) -> Tensor:
        """Own distributions (B, A), or those of the policy held for `partner`; without gradient."""
        row = 0 if partner is None else 1 + self.partners.index(partner)
        return self.log_probabilities[row].detach().exp()

    def select(self, samples: Tensor, partner: str) -> Tensor:
        """The rows of `samples` (B, ...) at which `partner` was in range."""
        rows = self.rows_in_range[partner]
        return samples if rows is None else samples[rows]

    def heard(self, shares: Mapping[str, Arrays]) -> list[str]:
        """The partners among `shares`, in the partners' order, which no arrival can change."""
        return [partner for partner in self.partners if partner in shares]

    def _of_others(self, of_all: Tensor, heard: Sequence[str]) -> Tensor:
        if len(heard) == len(self.partners):
            return of_all[1:]  # a slice, whose gradient costs a tenth of a selection's
        return of_all[[1 + self.partners.index(partner) for partner in heard]]


@dataclass(frozen=True)
class Mixed:
    """What the shares of a round make of the agent's own; None leaves it as it is.

    Attributes:
        advantages: (B,), instead of the agent's own; before they are normalized.
        critic: (P,), instead of its own parameters; the advantages are then taken anew with it, unless they are given.
        policies: (N, P), what is added to the policies' parameters after the round's step.
    """

    advantages: Tensor | None = None
    critic: Tensor | None = None
    policies: Tensor | None = None


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
    models: ClassVar[Models] = "self"
    shares_parameters: ClassVar[bool] = False
    """Whether parameters cross an edge: all agents then start from the same ones, a share also says its sender's
    degree, and where one is missing the last one heard may stand in for it (`exchange.late_shares`)."""
    settings_model: ClassVar[type[Model]] = Model
    """What may stand in the table `algorithm.settings`; without a model of its own, nothing."""

    def __init__(self, learning: LearningConfig, settings: AlgorithmConfig) -> None:
        self.learning = learning
        self.settings = settings
        self.own_settings: Any = self.settings_model.model_validate(settings.settings)

    @abstractmethod
    def fields(self, edge: Edge) -> tuple[Field, ...]:
        """The arrays that cross an edge in a round; none at all means that nothing is sent."""

    @abstractmethod
    def share(self, now: Round, neighbor: str, edge: Edge) -> Arrays:
        """The arrays for `neighbor`, as `fields` describes them."""

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:  # noqa: ARG002
        """What the shares make of the agent's own before it learns; nothing unless an algorithm says otherwise.

        Args:
            now: The round, `weights` and `rows_in_range` being those of `shares`.
            shares: By partner; of a share reused from an older round only the fields without rows.
        """
        return Mixed()

    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:  # noqa: ARG002
        """The loss after hearing `shares`; a PPO step on own actions unless an algorithm says otherwise.

        Args:
            now: The round, `advantages` being mixed and normalized.
            shares: By partner; a partner that is missing was not heard in this round.
        """
        own_ratio = (now.log_own() - now.log_own_old).exp()
        gain = clipped_gain(own_ratio, None, now.advantages, self.learning.clip)
        return objective(self.learning, gain, None, now.log_probabilities[0])


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


def spread_actions(now: Round, shares: Mapping[str, Arrays], heard: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The actions a_j (m, B) int64 that partners shared, and a mask (m, B) of the samples their shares are about."""
    actions = now.actions.new_zeros(len(heard), len(now.actions))
    mask = now.advantages.new_zeros(actions.shape)
    for position, partner in enumerate(heard):
        index = now.rows_in_range[partner]
        where = slice(None) if index is None else index
        actions[position, where] = now.actions.new_tensor(shares[partner]["actions"])
        mask[position, where] = 1.0
    return actions, mask


def spread_rows(now: Round, shares: Mapping[str, Arrays], heard: Sequence[str], name: str) -> Tensor:
    """Distributions that partners shared under `name` as (m, B, A): zeros where there is no row."""
    out = now.advantages.new_zeros(len(heard), *now.log_probabilities.shape[1:])
    for target, partner in zip(out, heard, strict=True):
        source = out.new_tensor(shares[partner][name])
        index = now.rows_in_range[partner]
        if index is None:
            target[:, : source.shape[1]] = source
        else:
            target[index, : source.shape[1]] = source
    return out
