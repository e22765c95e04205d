"""`policy.json`: what the arrays of a run's policy are, and how far each agent had come."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from broker.arithmetic.sizes import Sizes
from broker.model import Model

VERSION = 2
"""Of the format; whoever changes it adds one."""


class NetworkLayout(Model):
    """Sizes of a perceptron with ReLU between its layers."""

    inputs: int = Field(ge=1, description="Length of an observation.")
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(description="Widths of the hidden layers.")
    outputs: int = Field(ge=1, description="Of a policy: the most actions that any agent it is held for has.")

    @property
    def sizes(self) -> Sizes:
        """The same for arithmetic."""
        return Sizes(self.inputs, self.hidden, self.outputs)


class ObservationSpace(Model):
    """What an agent sees of one copy of the environment."""

    kind: Literal["box"] = "box"
    dtype: Literal["float32"] = "float32"
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, description="Of one observation.")


class ActionSpace(Model):
    """What an agent can do."""

    kind: Literal["discrete"] = "discrete"
    n: int = Field(ge=1, description="Actions, numbered from 0.")


class LearnedAgent(Model):
    """What one agent has learned."""

    after_episode: int | None = Field(
        ge=0,
        description="The last episode it has learned from; none: it died before it kept anything, and has no arrays.",
    )
    gone: bool = Field(description="Whether it died and the others went on: these are the last networks that it kept.")
    observation_space: ObservationSpace
    action_space: ActionSpace
    policies: tuple[str, ...] = Field(description="Agents for which it holds a policy: itself, and those it models.")
    actor: NetworkLayout = Field(description="Of each of its policies.")
    critic: NetworkLayout
    estimators: dict[str, NetworkLayout] = Field(default={}, description="Networks of the algorithm's own, by name.")
    weights_digest: str | None = Field(description="SHA-256 over all its parameters, as it tells it when it is done.")

    @property
    def has_learned(self) -> bool:
        """Whether there is a policy of it."""
        return self.after_episode is not None


class PolicyDocument(Model):
    """The whole of `policy.json`."""

    version: Literal[2] = 2
    scenario: str = Field(description="Name of the scenario.")
    scenario_digest: str = Field(description="SHA-256 of every setting of the scenario but `episodes`.")
    document: dict[str, JsonValue] = Field(default={}, description="The scenario, every setting spelled out.")
    episodes: int = Field(ge=1, description="Training episodes that there were to be.")
    algorithm: str
    agents: dict[str, LearnedAgent] = Field(description="All agents of the run, in their order.")
    arrays: str = Field(default="", description="The file beside this one that holds the arrays.")
    sha256: str = Field(default="", description="Of that file.")
    training: str = Field(
        default="", description="The file beside this one with what training needs, beside the networks, to go on."
    )
    training_sha256: str = Field(default="", description="Of that file.")

    @property
    def last_episode(self) -> int:
        """The last episode of its run that all agents but those that are gone have learned from; -1 for none."""
        last = [agent.after_episode for agent in self.agents.values() if not agent.gone]
        return min((episode for episode in last if episode is not None), default=-1)

    @property
    def learned_from(self) -> int:
        """Training episodes that all agents but those that are gone have learned from, in this run and those before."""
        return self._episodes_before + self.last_episode + 1

    @property
    def died_after(self) -> dict[str, int]:
        """Agents that died in the run and have a policy, and the training episodes that each has learned from."""
        return {name: self.learned_by(name) for name, agent in self.agents.items() if agent.gone and agent.has_learned}

    def learned_by(self, agent: str) -> int:
        """Training episodes that one agent has learned from, in this run and those before."""
        last = self.agents[agent].after_episode
        return self._episodes_before + (0 if last is None else last + 1)

    @property
    def _episodes_before(self) -> int:
        begun_with = self.document.get("initial_policy")
        before = begun_with.get("episodes") if isinstance(begun_with, dict) else None
        return before if isinstance(before, int) else 0
