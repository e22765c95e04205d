"""What a way to run is: a substrate on which the participants of a run lead one life after another.

The loop of a run, `scenarios.running.control.run`, knows nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from broker.errors import ParticipantDied
from broker.participants.checkpoint import Checkpoints
from broker.participants.link import LifeConfig
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer

THE_BROKER = "the broker"
"""Who has died when it was what stands between the participants."""


@dataclass(frozen=True)
class Moment:
    """What one look at a life has shown.

    Attributes:
        now: In seconds, on any clock.
        paused: The episode before which the environment waits, if it does.
        finished: Whether all work is done.
    """

    now: float
    paused: int | None = None
    finished: bool = False


class ProcessControl(Protocol):
    """What can be done to processes; each method says, for the ledger, what it saw itself do.

    Attributes:
        crashed: Whether it has killed anybody.
    """

    crashed: bool

    def crash(self, victims: tuple[str, ...], down_s: float) -> list[str]:
        """Kill all of them at once; nobody begins anew before `down_s` is over."""

    def stop(self, victim: str, for_s: float) -> str:
        """Stop one, and let it go on later."""

    def lose_checkpoints(self, victim: str, newest: int) -> str:
        """Delete the newest of its checkpoints."""


class Life(Protocol):
    """One life of all participants: they begin together, and end together."""

    @property
    def control(self) -> ProcessControl:
        """What can be done to its processes."""

    @property
    def takes_orders_at_once(self) -> bool:
        """Whether what a user wants takes effect at once; else at the boundary of an episode."""

    def begin(self) -> None:
        """Let everybody begin.

        Raises:
            ParticipantDied: What stands between the participants keeps dying.
            UserError: They cannot meet.
        """

    def advance(self) -> Moment:
        """Let everybody work for a moment."""

    def deaths(self) -> Sequence[ParticipantDied]:
        """Who has died since the last look, in the order in which it was seen.

        Raises:
            UserError: Somebody refused its settings.
            ParticipantDied: What stands between the participants keeps dying.
        """

    def leave(self, name: str) -> None:
        """Go on without somebody who died, and say so to the others."""

    def put_in_force(self, faults: str) -> None:
        """Tell everybody which faults of messages are in force from now on, as JSON."""

    def go_on(self, episode: int) -> None:
        """Let the environment begin an episode before which it waits."""

    def settle(self) -> None:
        """Let everybody come to where it can go on from: a user wants the end."""

    def end(self, *, at_once: bool) -> None:
        """End whoever still works: in order, or at once where nothing that they would still say counts."""

    def rest(self, interrupted: Callable[[], bool]) -> None:
        """Stay down, after the end, for as long as the scenario says."""


class Substrate(Protocol):
    """Where lives are led."""

    @property
    def checkpoints(self) -> Mapping[str, Checkpoints]:
        """What each participant kept for a later life."""

    def life(self, plan: Plan, config: LifeConfig, late: Mapping[str, float]) -> Life:
        """A life that has not begun yet.

        Args:
            plan: What runs, with the faults that are in force.
            config: Which life it is, and where it goes on.
            late: Seconds by which some begin later than the others.
        """


Way = Callable[[Plan, RunFolder, Observer], AbstractContextManager[Substrate]]
"""A way to run: makes the substrate of a run, and clears it away afterwards."""
