"""What an algorithm is: what crosses an edge in a round, what is mixed of it, and the loss made of what was heard.

One round of an agent, in order:

    open   `critic_targets`, advantages with the critic as it is, one step of the critic and of each estimator, `share`
           with each partner
    close  `mix` what was heard, normalize the advantages, `remember`, `loss`, one step of the policies

Axes: B samples, R policies in use this round (own first, then one per partner if the algorithm models others), N all
policies the agent holds, A actions (the most any of them has; impossible ones have probability 0), P parameters.

A loss says its gradient beside its value. An algorithm that would rather leave the gradient to torch stands on
`agent_node.learning.differentiated`; nothing else imports torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.estimators import Estimator
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.losses import clipped_gain, entropy
from agent_node.learning.round import (
    Draws,
    Loss,
    Mixed,
    Round,
    placed,
    spread_actions,
    spread_numbers,
    spread_rows,
    taken,
)
from agent_node.learning.valuing import Valuing
from broker.arithmetic.chosen import kernels
from broker.config import Model

__all__ = [
    "Algorithm",
    "Arrays",
    "Draws",
    "Estimator",
    "Field",
    "Kind",
    "Loss",
    "Mixed",
    "Modeled",
    "Round",
    "ShareShape",
    "Valuing",
    "objective",
    "placed",
    "spread_actions",
    "spread_numbers",
    "spread_rows",
    "taken",
]

KEPT = "algorithm"
"""What the names of arrays that an algorithm keeps begin with in the state of a learner."""

Modeled = Literal["self", "neighbors", "everyone"]
"""For whom an agent holds a policy: itself, its neighbors too, or every agent there is."""


class Algorithm(ABC):
    """What is shared with a neighbor and what is learned from what neighbors shared.

    Args:
        learning: Settings common to all algorithms.
        settings: Settings of the algorithms' own.
    """

    name: ClassVar[str]
    models: ClassVar[Modeled] = "self"
    shares_parameters: ClassVar[bool] = False
    """Whether parameters cross an edge: all agents then start from the same ones, a share also says its sender's
    degree, and where one is missing the last one heard may stand in for it (`exchange.late_shares`)."""
    estimators: ClassVar[tuple[Estimator, ...]] = ()
    """Networks of its own, beside policies and critic."""
    critic_waits: ClassVar[bool] = False
    """Whether the critic takes its step as the round closes, toward the returns of the rewards that `mix` gives; else
    it does as the round opens, toward `critic_targets`."""
    tells: ClassVar[str] = ""
    """What a neighbor learns of the sender, in a few words, for reports; only its author can say it."""
    settings_model: ClassVar[type[Model]] = Model
    """What may stand in the table `algorithm.settings`; without a model of its own, nothing."""

    def __init__(self, learning: LearningConfig, settings: AlgorithmConfig) -> None:
        self.learning = learning
        self.settings = settings
        self.own_settings: Any = self.settings_model.model_validate(settings.settings)

    def make_ready(self) -> None:  # noqa: B027 - most have nothing to do
        """What takes long, in an agent that has yet to join; nothing unless an algorithm says otherwise."""

    def keeps(self, neighbors: tuple[str, ...], critic: np.ndarray) -> Arrays:  # noqa: ARG002
        """What is kept from round to round and through all episodes, as it begins; nothing unless an algorithm says so.

        Each agent has such arrays of its own. They are part of its state: in its checkpoints, and after a crash or in a
        run that is resumed as they were. Their shapes and types stay what they are.

        Args:
            neighbors: All that the agent may ever exchange with.
            critic: (P,), the parameters that its critic begins with; a view, so whoever keeps them takes a copy.
        """
        return {}

    def critic_targets(self, now: Valuing) -> np.ndarray | None:  # noqa: ARG002
        """What the critic takes its step toward as a round opens, (B,) float32; None: own returns.

        Where an algorithm says so itself, the round's advantages are what these targets are above the critic's values
        from before the step, which is the TD error, and not those of Eq. 16.
        """
        return None

    @abstractmethod
    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The arrays that cross an edge in a round; none at all means that nothing is sent."""

    @abstractmethod
    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:
        """The arrays for `neighbor`, as `fields` describes them."""

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:  # noqa: ARG002
        """What the shares make of the agent's own before it learns; nothing unless an algorithm says otherwise.

        Args:
            now: The round, `weights` and `rows_in_range` being those of `shares`.
            shares: By partner; where parameters are shared, of a share from an older round, or about no sample that the
                agent holds, only the fields without rows.
        """
        return Mixed()

    def remember(self, now: Round, shares: Mapping[str, Arrays]) -> None:  # noqa: B027 - most keep nothing
        """Change, in place, what is kept in `now.kept`; once a round, before the loss is taken of it.

        Args:
            now: The round, `advantages` being mixed and normalized.
            shares: By partner; a partner that is missing was not heard in this round.
        """

    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:  # noqa: ARG002
        """The loss after hearing `shares`; a PPO step on own actions unless an algorithm says otherwise.

        Args:
            now: The round, `advantages` being mixed and normalized.
            shares: By partner; a partner that is missing was not heard in this round.
        """
        xi_i = kernels.exponentials(now.log_own() - now.log_own_old)
        gain, by_own = clipped_gain(xi_i, None, now.advantages, self.learning.clip)
        slopes = now.slopes(placed(by_own, now.actions, now.log_probabilities.shape[1:]))
        return objective(self.learning, now, gain, None, slopes)


def objective(
    learning: LearningConfig, now: Round, gain: np.ndarray, penalty: np.ndarray | None, slopes: np.ndarray
) -> Loss:
    """The loss of Eq. 15, `-(gain - penalty)`, and the entropy bonus if there is one; means over samples.

    Args:
        learning: Says how much entropy counts.
        now: The round.
        gain: (B,).
        penalty: (B,), or None where there is none.
        slopes: (R, B, A), of `gain - penalty` by the log-probabilities at each sample; they are changed.
    """
    mean_gain = kernels.total(gain) / now.samples
    total, parts = -mean_gain, {"gain": mean_gain}
    if penalty is not None:
        parts["penalty"] = kernels.total(penalty) / now.samples
        total += parts["penalty"]
    if learning.entropy_bonus:
        own_entropy, by_own = entropy(now.log_probabilities[0])
        parts["entropy"] = kernels.total(own_entropy) / now.samples
        total -= learning.entropy_bonus * parts["entropy"]
        slopes[0] += by_own * np.float32(learning.entropy_bonus)
    slopes *= np.float32(-1 / now.samples)
    return Loss(total, slopes, parts)


def is_kept(name: str) -> bool:
    """Whether an array in the state of a learner is one that its algorithm keeps."""
    return name.startswith(f"{KEPT}/")
