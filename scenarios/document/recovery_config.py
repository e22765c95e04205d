"""What a run does about a death: its settings, with unit, range and reason."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from broker.model import LONGEST_S, Model


class RecoveryConfig(Model):
    """What happens when a participant dies or hangs."""

    on_crash: Literal["restart", "degrade", "fail"] = Field(
        default="restart",
        description="restart: all go back to the last episode that everybody has a checkpoint of, and the results are "
        "those of an undisturbed run; degrade: the others go on without an agent that died, as service.missing_action "
        "says; fail: the run ends with exit code 3.",
    )
    checkpoint_every: int = Field(
        default=20,
        ge=1,
        description="Episodes between two checkpoints; what was learned since the last is learned again after a crash.",
    )
    restarts: int = Field(
        default=5, ge=1, description="Crashes in a row, without a new checkpoint between them, that end the run."
    )
    hung_after_s: float = Field(
        default=30.0,
        ge=2,
        le=LONGEST_S,
        description="Seconds without a sign of a participant's working loop, which gives one a second, after which it "
        "is taken for hung and killed; larger than its longest update. Time in which the launcher did not run either "
        "counts for nothing, nor does that in which a fault stops the broker.",
    )
