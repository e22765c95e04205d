"""What an agent knows in one communication round, and what it makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from agent_node.experience import masks
from agent_node.learning.fields import Arrays
from broker.seeding import generator

if TYPE_CHECKING:
    from torch import Tensor


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
        log_probabilities: (R, B, A), of the own policy and of those held for the partners; with gradient. What is not
            possible stands at `masks.IMPOSSIBLE`, whose exp is 0.
        log_old: (R, B, A), of the policies that the ratios refer to; without gradient.
        partners: Neighbors to exchange with in this round, in the order of the rows behind the first.
        rows_in_range: For each partner the samples at which it was in range (int64 indices), or None for all; when
            shares are mixed and learned from, those that its share is about.
        critic: (P,), its parameters after this round's step; a copy. Empty unless the algorithm shares parameters.
        policies: (N, P), all parameters as the round opened; a copy. Empty unless the algorithm shares parameters.
        weights: c_ij of those heard. Empty when the round opens, and unless the algorithm shares parameters.
        draws: For what an algorithm shares at random.
        possible: (R, B, A) bool, which actions were possible: own ones; when the loss is taken, also those of partners
            whose shares say so. None where the environment masks none; nothing need then be left out.
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
    possible: Tensor | None = None

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

    def among_own(self, said: Tensor) -> Tensor:
        """What others said of the own actions, distributions (..., B, A), over those alone that were possible."""
        return said if self.possible is None else masks.renormalized(said, self.possible[0])

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
