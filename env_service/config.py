"""The environment service's slice of a scenario: which task is played.

All settings live here, with unit, range and reason; "ours" marks a value that the paper does not give.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from broker.config import Model
from broker.counting import counted
from broker.model import LONGEST_S, SHARED
from broker.participants.link import LinkConfig

ObserveTime = Annotated[
    bool,
    Field(
        description="Whether agents see how far an episode has run: one number more, the step over the time limit, "
        "scaled to [-1, 1] (ours); without it, as in the paper, what is left of an episode does not show."
    ),
]


class ExchangeTaskConfig(Model):
    """Exchange: every agent's food lies in a box that only another agent can open, at a cost."""

    kind: Literal["exchange"] = "exchange"
    agents: int = Field(
        default=3,
        ge=2,
        le=1000,
        description="Agents, each with one box; the paper's value. One alone could open nothing. Everybody sees 5 "
        "numbers of everybody.",
    )
    grid: int = Field(default=5, ge=2, le=100, description="Cells along one side of the square; ours.")
    steps: int = Field(default=50, ge=1, le=1_000_000, description="Steps after which an episode is cut; ours.")
    open_cost: float = Field(
        default=5.0, ge=0, le=1e6, description="Reward points the opener of a box loses; the paper's value."
    )
    food_reward: float = Field(
        default=10.0, ge=0, le=1e6, description="Reward points the owner of an opened box gains; the paper's value."
    )
    time_cost: float = Field(
        default=0.01, ge=0, le=1e6, description="Reward points every agent loses each step; the paper's value."
    )
    observe_time: ObserveTime = False

    @model_validator(mode="after")
    def _fits(self) -> ExchangeTaskConfig:
        needed, cells = 2 * self.agents, self.grid**2
        if needed > cells:
            msg = (
                f"{counted(self.agents, 'agent')} and their boxes need {needed} distinct cells, "
                f"a grid of {self.grid} has {cells}"
            )
            raise ValueError(msg)
        return self


class NavigationConfig(Model):
    """Cooperative navigation: every agent walks to its own landmark without meeting the others."""

    kind: Literal["navigation"] = "navigation"
    agents: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Agents, each with one landmark; the paper's value. Everybody sees 4 numbers of everybody.",
    )
    grid: int = Field(default=5, ge=2, le=100, description="Cells along one side of the square; ours.")
    steps: int = Field(default=25, ge=1, le=1_000_000, description="Steps of an episode; ours, as in MPE.")
    observe_time: ObserveTime = False

    @model_validator(mode="after")
    def _fits(self) -> NavigationConfig:
        if self.agents > self.grid**2:
            msg = f"{counted(self.agents, 'agent')} need distinct cells, a grid of {self.grid} has {self.grid**2}"
            raise ValueError(msg)
        return self


class PredationConfig(Model):
    """Cooperative predation: on a line, engaging the prey pays for the team and costs those who do it."""

    kind: Literal["predation"] = "predation"
    agents: int = Field(default=6, ge=2, le=1000, description="Predators; the paper has 6, 8, 12 and 20.")
    steps: int = Field(default=30, ge=1, le=1_000_000, description="Steps of an episode; ours.")
    engagement: Literal["approach", "capture"] = Field(
        default="approach",
        description="When a predator engages; ours. approach: on a move toward the prey. capture: when near it after.",
    )
    capture_radius: float = Field(
        default=1.0,
        ge=0,
        description="With capture, distance to the prey that engages, in units of the line; ours: one move.",
    )
    line_length: float = Field(
        default=30.0, gt=0, le=1e6, description="Units from one end of the line to the other; the paper's value."
    )
    observe_time: ObserveTime = False

    @model_validator(mode="after")
    def _can_be_missed(self) -> PredationConfig:
        if self.engagement == "capture" and self.capture_radius >= self.line_length:
            msg = f"capture_radius must be less than line_length, found {self.capture_radius} and {self.line_length}"
            raise ValueError(msg)
        return self


class SimpleSpreadConfig(Model):
    """Simple spread of MPE, all copies at once: agents cover landmarks together; who touches another loses by it."""

    kind: Literal["simple-spread"] = "simple-spread"
    agents: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Agents, and as many landmarks; MPE's value. An agent sees 6 numbers of each; the state is "
        "what all see.",
    )
    local_ratio: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of a reward that is for the own collisions; the rest is for how the team covers the "
        "landmarks, the same for all. MPE's value; at 0 all rewards are equal.",
    )
    steps: int = Field(default=25, ge=1, le=1_000_000, description="Steps of an episode; MPE's value.")
    observation: Literal["state", "own"] = Field(
        default="state",
        description="state: all see what all see, agent after agent, which is MPE's state. own: each sees its own.",
    )


class PettingZooConfig(Model):
    """Any PettingZoo parallel environment with finitely many actions, served unchanged."""

    kind: Literal["pettingzoo"] = "pettingzoo"
    env: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
        json_schema_extra={"text": "the import name of a module, such as mpe2.simple_spread_v3"},
        description="Import name of the module that holds `parallel_env`, such as mpe2.simple_spread_v3: a file beside "
        "the scenario, in a folder that PYTHONPATH names, or installed; the working directory is not looked at.",
    )
    file: Path | None = Field(
        default=None,
        description="File of that module, or `__init__.py` of the package it is in, loaded by this path alone. A "
        "relative one counts from the scenario's folder. Found beside the scenario where it is not given.",
    )
    digest: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        json_schema_extra={"text": "64 hexadecimal digits, small letters"},
        description="SHA-256 of that file (of all Python of a package), noted when the scenario is loaded, so that no "
        "run goes on with another. A library that it imports is not part of it.",
    )
    steps: int = Field(
        default=25, ge=1, le=1_000_000, description="Steps after which an episode is cut; 25 is what MPE itself takes."
    )
    observation: Literal["state", "own", "padded"] = Field(
        default="state",
        description="state: all see `state()`, as in the paper. own: each sees its own observation, all of one size. "
        "padded: as own, shorter ones filled up with zeros.",
    )
    action_masks: Literal["auto", "on", "turns", "off"] = Field(
        default="auto",
        description="Whether actions are masked: an agent's `action_mask`, in its observation or its info, says which "
        "are possible. auto: if a first reset gives any. on: also if masks come later. turns: who can do nothing "
        "waits, and its first action stands for that. off: masks are ignored.",
    )
    options: dict[str, JsonValue] = Field(default={}, description="Keyword arguments for `parallel_env`.")


class VmasConfig(Model):
    """A scenario of VMAS with discrete actions, all parallel copies in one game; needs the extra `vmas`."""

    kind: Literal["vmas"] = "vmas"
    env: str = Field(
        pattern=r"^[a-z]\w*$",
        json_schema_extra={"text": "the name of a scenario of VMAS, such as balance"},
        description="What VMAS calls its scenario, such as balance or navigation.",
    )
    steps: int = Field(
        default=100, ge=1, le=1_000_000, description="Steps after which an episode is cut; 100 is what BenchMARL takes."
    )
    observation: Literal["state", "own", "padded"] = Field(
        default="state",
        description="state: all see what all see, agent after agent, for VMAS has no state of its own. own: each sees "
        "its own, all of one size. padded: as own, shorter ones filled up with zeros.",
    )
    options: dict[str, JsonValue] = Field(
        default={}, description="Options of the scenario itself, such as n_agents; VMAS's documentation has them."
    )


EnvironmentConfig = Annotated[
    ExchangeTaskConfig | NavigationConfig | PredationConfig | SimpleSpreadConfig | PettingZooConfig | VmasConfig,
    Field(discriminator="kind"),
]


class BarrierConfig(Model):
    """How the environment waits for its agents."""

    missing_action: Literal["wait", "noop", "repeat"] = Field(
        default="wait",
        description="When an agent did not answer twice: ask for ever, do the task's no-op, or repeat its last action "
        "of the episode (before it has one: the task's no-op, action 0 without one); where that is masked, the first "
        "possible one.",
    )
    action_patience_s: float = Field(
        default=5.0,
        ge=0.001,
        le=LONGEST_S,
        description="Seconds until a timestep is sent again; a message takes about 0.0001 s.",
    )
    ready_patience_s: float = Field(
        default=60.0,
        ge=0.001,
        le=LONGEST_S,
        description="The same after an episode, when agents learn; more than K rounds may take.",
    )
    give_up_s: float = Field(
        default=300.0,
        gt=0,
        le=LONGEST_S,
        description="Seconds of silence after which environment or agent gives up: a death, see `recovery.on_crash`.",
    )


class ServiceConfig(Model):
    """All that the environment's process needs to know."""

    link: LinkConfig
    environment: EnvironmentConfig
    service: BarrierConfig
    neighbors: Annotated[dict[str, tuple[str, ...]], SHARED] = Field(
        description="The agents, in order, and their potential neighbors."
    )
    agent_names: tuple[str, ...] = Field(
        description="What the environment called its agents, in order, when the run was planned; else their ids."
    )
    action_counts: tuple[int, ...] = Field(
        description="How many actions each of them had, in order, when the run was planned."
    )
    observation_size: int = Field(description="How many numbers an agent saw, when the run was planned.")
    proximity_distance: float | None = Field(
        default=None, description="Where neighborhood is a matter of distance, how far it reaches, in task units."
    )
    masks: bool = Field(description="Whether it tells the agents at every step which actions are possible.")
    episodes: int = Field(ge=1, description="Training episodes.")
    parallel_episodes: int = Field(ge=1, description="Copies played at once: E.")
