"""Trained agents acting, moment by moment: the very episodes of an evaluation, without messages and without a store.

Environment, policies and draws are those of an evaluation in which nothing is lost; see `scenarios.play.evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from agent_node.build import make_fixed_policy
from broker.seeding import generator
from broker.wire.messages import ENVIRONMENT
from env_service.build import make_planned_task
from env_service.config import EnvironmentConfig, PettingZooConfig
from env_service.environments import make_task
from env_service.environments.task import Integer, Task, closing_task
from env_service.episode import EpisodeUnderWay
from env_service.masks import masks_of
from env_service.proximity import in_range
from env_service.timesteps import Pages
from scenarios.document.plan import Plan
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring
from scenarios.play.frame import Frame
from scenarios.play.moments import Moments

_WIRING = Wiring("play", name="play")


def frames_of(plan: Plan) -> Iterator[Frame]:
    """Play all episodes of a plan whose agents act only, one copy each; `last` marks where one ends.

    Args:
        plan: Of an evaluation, as it begins: faults play no part.

    Raises:
        UserError: A policy is not what was written.
        UserCodeFailed: The environment raised, or gave what nobody can use.
    """
    stage = _Stage(plan)
    with closing_task(stage.task):
        for number in range(plan.scenario.episodes):
            yield from stage.play(number)


def showing_itself(scenario: Scenario, mode: str) -> Scenario:
    """A scenario whose environment shows itself in a render mode of PettingZoo's, if it is a foreign one and has it.

    Raises:
        ScenarioError: The environment cannot be had.
        UserCodeFailed: It raised.
    """
    shown = drawing_itself(scenario.environment, scenario.stream_seed, mode)
    return scenario if shown is scenario.environment else scenario.model_copy(update={"environment": shown})


def drawing_itself(environment: EnvironmentConfig, seed: int, mode: str) -> EnvironmentConfig:
    """The same of an environment alone; raises as `showing_itself` does."""
    if not isinstance(environment, PettingZooConfig) or mode not in render_modes(environment, seed):
        return environment
    return environment.model_copy(update={"options": {**environment.options, "render_mode": mode}})


def render_modes(environment: EnvironmentConfig, seed: int) -> tuple[str, ...]:
    """How a foreign environment says that it can show itself; raises as `showing_itself` does."""
    task = make_task(environment, 1, seed)
    with closing_task(task):
        return task.render_modes()


class _Stage:
    """A task and all agents, in one place."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._config = plan, plan.environment(_WIRING)
        self._names = tuple(map(plan.names.told, plan.agents))
        self._policies = [make_fixed_policy(plan.agent(agent, _WIRING)) for agent in plan.agents]
        self.task: Task = make_planned_task(self._config)
        proximity = self._config.proximity_distance is not None
        actions = max(self.task.action_counts) if plan.masks else None
        size = self.task.observation_size
        self._pages = Pages(len(self._names), 1, size, proximity=proximity, actions=actions)

    def play(self, number: int) -> Iterator[Frame]:
        """One episode."""
        link, task = self._config.link, self.task
        task.reset(generator(link.seed, ENVIRONMENT, link.episodes_before + number))
        for policy in self._policies:
            policy.begin_episode(number)
        episode, moments = EpisodeUnderWay.begin(number, 1, len(self._names)), Moments(task, self._names, number)
        yield moments.first()
        while not episode.last:
            actions = self._act(episode)
            episode.advance(task.step(actions))
            yield moments.after(actions, episode.outcome)

    def _act(self, episode: EpisodeUnderWay) -> Integer:
        """What all do now, (1, N) int64; each agent sees its own page, and nothing else."""
        task, outcome = self.task, episode.outcome
        near, masks = in_range(task, self._config.proximity_distance), masks_of(task, outcome.ended)
        pages = self._pages.write(task.observations(), outcome.rewards, outcome.ended, near, masks)
        each = zip(self._policies, pages, strict=True)
        return np.stack([policy.act(episode.step, page) for policy, page in each], axis=1).astype(np.int64)
