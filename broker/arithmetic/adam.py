"""Adam (Kingma & Ba, 2015) over a stack of networks, each with moments and a step count of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from broker.arithmetic.scalars import integer_power

SMALLEST_MOMENT = 2.0**-100
"""Moments that are smaller are 0: below 2^-126 a processor would need twenty times as long for each."""


@dataclass(frozen=True)
class Adam:
    """What one step changes, in place, and by how much.

    Attributes:
        parameters: (N, P) float32.
        first: First moments (N, P) float32.
        second: Second moments (N, P) float32.
        steps: (N,) int64, how many steps each network has taken.
        learning_rate: The step size.
        epsilon: Added to the root of the second moment.
    """

    BETA1 = 0.9
    BETA2 = 0.999

    parameters: np.ndarray
    first: np.ndarray
    second: np.ndarray
    steps: np.ndarray
    learning_rate: float
    epsilon: float

    def scales(self, steps: int) -> tuple[np.float32, np.float32]:
        """What the step with number `steps`, from 1, is multiplied by, and what is added to its root.

        Both moments' corrections are taken to these two numbers (section 2 of the paper), so that no parameter needs
        a division for them.
        """
        correction = math.sqrt(1 - integer_power(self.BETA2, steps))
        size = self.learning_rate * correction / (1 - integer_power(self.BETA1, steps))
        return np.float32(size), np.float32(self.epsilon * correction)
