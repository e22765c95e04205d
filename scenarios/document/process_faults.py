"""What may go wrong with processes: every kind of fault, whom it strikes and when, with unit, range and reason.

Faults of episodes strike before the environment begins the episode, when nothing is under way: at the same place on
every substrate. Faults of seconds strike wherever the run is then, which in real time nobody can repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, model_validator

from broker.faults.config import Patterns
from broker.model import LONGEST_S, Model


class _ProcessFault(Model):
    name: str = Field(default="", description="Its name in the ledger; empty takes its kind.")
    participants: Patterns = Field(
        min_length=1,
        description="Whom it strikes, shell patterns of `agent-0`, `environment` and, where there is one, `broker` "
        '(the forwarder, too); `["*"]` is the whole host.',
    )


class _Striking(_ProcessFault):
    pick: Literal["all", "one"] = Field(
        default="all", description="all: all of them at once; one: one of them, drawn anew each time."
    )
    at_episodes: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="Training episodes before which it strikes."
    )
    at_s: tuple[Annotated[float, Field(ge=0, le=LONGEST_S)], ...] = Field(
        default=(), description="Seconds after the run began, or was resumed, at which it strikes."
    )
    every_s: float | None = Field(default=None, gt=0, le=LONGEST_S, description="Seconds from one strike to the next.")

    @model_validator(mode="after")
    def _strikes_some_time(self) -> _Striking:
        if not self.at_episodes and not self.at_s and self.every_s is None:
            msg = "says never when: set at_episodes, at_s or every_s"
            raise ValueError(msg)
        return self


class CrashConfig(_Striking):
    """Processes killed with -9; what follows is said by `recovery.on_crash`."""

    kind: Literal["crash"]
    down_s: float = Field(
        default=0.0, ge=0, le=LONGEST_S, description='Seconds until all go on, with `on_crash = "restart"`.'
    )


class StopConfig(_Striking):
    """Processes stopped and continued: a stalled environment, a node that hangs for a while."""

    kind: Literal["stop"]
    for_s: float = Field(
        gt=0,
        le=LONGEST_S,
        description="For how long; above `recovery.hung_after_s` it is taken for hung, unless it is the broker.",
    )


class CheckpointLossConfig(_Striking):
    """Checkpoints deleted: who crashes next has to go further back."""

    kind: Literal["checkpoint-loss"]
    newest: int = Field(default=1, ge=1, description="How many, the newest first.")


class LateJoinConfig(_ProcessFault):
    """Processes that start later than the others, once."""

    kind: Literal["late-join"]
    by_s: float = Field(gt=0, le=LONGEST_S, description="How much later; below `joining.give_up_s`.")


StrikingConfig = CrashConfig | StopConfig | CheckpointLossConfig
ProcessFaultConfig = StrikingConfig | LateJoinConfig
PROCESS_FAULTS = (CrashConfig, StopConfig, CheckpointLossConfig, LateJoinConfig)


BROKER = "broker"


def matching(fault: ProcessFaultConfig, names: Sequence[str]) -> tuple[str, ...]:
    """Whom of `names` a fault can strike; what stands between participants keeps no checkpoints and is never late."""
    if isinstance(fault, CheckpointLossConfig | LateJoinConfig):
        names = [name for name in names if name != BROKER]
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in fault.participants))


START = "start"
"""What the ledger calls the moment at which a life begins."""


def episode_occasion(episode: int) -> str:
    """What the ledger calls the moment before an episode."""
    return f"episode {episode}"


def second_occasion(seconds: float) -> str:
    """What the ledger calls a moment, by the seconds since the run began or was resumed."""
    return f"second {seconds:.15g}"
