"""One moment of an episode that is played, as data: all that a picture of it shows."""

from __future__ import annotations

from dataclasses import dataclass

from broker.arithmetic.sums import added
from env_service.environments.scene import Rendering, Scene


@dataclass(frozen=True)
class AgentMoment:
    """How one agent fares.

    Attributes:
        name: What people are told of it.
        action: What it did in the step that led here, by name or number; None before the first, and once it has ended.
        reward: What that step gave it.
        gained: Its return so far, undiscounted.
    """

    name: str
    action: str | None
    reward: float
    gained: float


@dataclass(frozen=True)
class Frame:
    """How an episode stands after a step.

    Attributes:
        episode: Which one, from 0.
        step: Steps taken.
        steps: Its time limit.
        last: Whether the episode is over.
        agents: In agent order.
        scene: What the environment looks like; None where it shows nothing of itself.
    """

    episode: int
    step: int
    steps: int
    last: bool
    agents: tuple[AgentMoment, ...]
    scene: Scene | Rendering | None

    @property
    def team_return(self) -> float:
        """What all have gained so far."""
        return added([agent.gained for agent in self.agents])
