"""What a training is evaluated by: its settings, with unit, range and reason."""

from __future__ import annotations

from pydantic import Field

from broker.model import Model


class EvaluationConfig(Model):
    """Policies are kept on the way, and evaluated when the training has ended; nothing of the training changes."""

    every: int = Field(
        ge=1, description="Training episodes between two policies that are kept; the last one is evaluated in any case."
    )
    episodes: int = Field(
        default=20,
        ge=1,
        description="Episodes that each policy acts in, in one copy of the environment, with the same draws for all; "
        "the best of them is then judged by ten times as many others.",
    )
    greedy: bool = Field(
        default=False, description="Whether agents take their likeliest actions, instead of drawing them."
    )
