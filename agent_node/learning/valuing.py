"""What an agent's samples are worth by critics of any parameters, as a round opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agent_node.experience.rollout import Batch
from broker.arithmetic.chosen import kernels
from broker.arithmetic.sizes import Sizes


@dataclass(frozen=True)
class Valuing:
    """What an algorithm finds targets for the critic by, before the critic takes its step.

    Attributes:
        batch: The samples, B of them, with the b states that follow those that were cut off.
        sizes: Of the critic.
        gamma: Discount per step.
        kept: What the algorithm keeps from round to round.
    """

    batch: Batch
    sizes: Sizes
    gamma: float
    kept: Mapping[str, np.ndarray]

    def values(self, parameters: np.ndarray) -> np.ndarray:
        """What a critic with these `parameters` (P,) says of the samples and of the states behind them, (B + b,)."""
        said = kernels.evaluate(self.sizes, parameters[None], [0], self.batch.observations).outputs
        values: np.ndarray = said[0, :, 0]
        return values

    def returns(self, values: np.ndarray, steps: int) -> np.ndarray:
        """Discounted own rewards of so many steps, and from there on `values` (B + b,): (B,)."""
        return self.batch.n_step_returns(values, self.gamma, steps)
