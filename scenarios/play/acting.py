"""Trained agents acting, moment by moment: the very episodes of an evaluation, without messages and without a store.

Environment, policies and draws are those of an evaluation in which nothing is lost; see `scenarios.play.evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np

from agent_node.build import make_fixed_policy
from broker.seeding import generator
from broker.wire.messages import ENVIRONMENT, Ended
from env_service.build import make_planned_task
from env_service.config import PettingZooConfig
from env_service.environments import make_task
from env_service.environments.task import Flags, Integer, Task
from env_service.episode import EpisodeUnderWay
from env_service.masks import masks_of
from env_service.proximity import in_range
from env_service.timesteps import Pages
from scenarios.document.plan import Plan
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring
from scenarios.play.frame import AgentMoment, Frame

_WIRING = Wiring("play", name="play")
_RUNNING = int(Ended.RUNNING)


def frames_of(plan: Plan) -> Iterator[Frame]:
    """Play all episodes of a plan whose agents act only, one copy each; `last` marks where one ends.

    Args:
        plan: Of an evaluation, as it begins: faults play no part.

    Raises:
        UserError: A policy is not what was written.
        UserCodeFailed: The environment raised, or gave what nobody can use.
    """
    stage = _Stage(plan)
    with closing(stage.task):
        for number in range(plan.scenario.episodes):
            yield from stage.play(number)


def showing_itself(scenario: Scenario, mode: str) -> Scenario:
    """A scenario whose environment shows itself in a render mode of PettingZoo's, if it is a foreign one and has it.

    Raises:
        ScenarioError: The environment cannot be had.
        UserCodeFailed: It raised.
    """
    environment = scenario.environment
    if not isinstance(environment, PettingZooConfig) or mode not in render_modes(scenario):
        return scenario
    options = {**environment.options, "render_mode": mode}
    shown = environment.model_copy(update={"options": options})
    return scenario.model_copy(update={"environment": shown})


def render_modes(scenario: Scenario) -> tuple[str, ...]:
    """How a foreign environment says that it can show itself; raises as `showing_itself` does."""
    with closing(make_task(scenario.environment, 1, scenario.stream_seed)) as task:
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
        episode = EpisodeUnderWay.begin(number, 1, len(self._names))
        gained = np.zeros(len(self._names))
        yield self._frame(episode, gained, None, episode.outcome.ended)
        while not episode.last:
            before, actions = episode.outcome.ended, self._act(episode)
            episode.advance(task.step(actions))
            gained = gained + episode.outcome.rewards[0]
            yield self._frame(episode, gained, actions, before)

    def _act(self, episode: EpisodeUnderWay) -> Integer:
        """What all do now, (1, N) int64; each agent sees its own page, and nothing else."""
        task, outcome = self.task, episode.outcome
        near, masks = in_range(task, self._config.proximity_distance), masks_of(task, outcome.ended)
        pages = self._pages.write(task.observations(), outcome.rewards, outcome.ended, near, masks)
        each = zip(self._policies, pages, strict=True)
        return np.stack([policy.act(episode.step, page) for policy, page in each], axis=1).astype(np.int64)

    def _frame(self, episode: EpisodeUnderWay, gained: np.ndarray, actions: Integer | None, before: Flags) -> Frame:
        """The moment after a step.

        Args:
            episode: How it stands.
            gained: (N,) float64.
            actions: What led here, (1, N), or None at the beginning.
            before: Who had ended before that, (1, N).
        """
        names = self.task.action_names
        rewards = episode.outcome.rewards[0].tolist()
        agents = []
        for place, name in enumerate(self._names):
            acted = actions is not None and before[0, place] == _RUNNING
            number = int(actions[0, place]) if actions is not None and acted else None
            action = None if number is None else names[number] if names else str(number)
            agents.append(AgentMoment(name, action, rewards[place], float(gained[place])))
        return Frame(episode.number, episode.step, self.task.steps, episode.last, tuple(agents), self.task.scene())
