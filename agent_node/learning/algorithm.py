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
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.losses import clipped_gain, entropy
from agent_node.learning.round import Draws, Loss, Mixed, Round, spread_actions, spread_rows, taken
from broker.config import Model

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Algorithm",
    "Arrays",
    "Draws",
    "Field",
    "Kind",
    "Loss",
    "Mixed",
    "Modeled",
    "Round",
    "ShareShape",
    "objective",
    "spread_actions",
    "spread_rows",
    "taken",
]


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
    settings_model: ClassVar[type[Model]] = Model
    """What may stand in the table `algorithm.settings`; without a model of its own, nothing."""

    def __init__(self, learning: LearningConfig, settings: AlgorithmConfig) -> None:
        self.learning = learning
        self.settings = settings
        self.own_settings: Any = self.settings_model.model_validate(settings.settings)

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
