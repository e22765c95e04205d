"""Any PettingZoo parallel environment with finitely many actions, as a task.

Shapes use E for parallel copies, N for possible agents, S for the size of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from broker.arithmetic.draws import integers
from broker.errors import UserCodeFailed
from broker.seeding import derive
from broker.wire.messages import Ended
from env_service.config import PettingZooConfig
from env_service.environments.action_masks import ActionMasks, masks_in, refuse_masks
from env_service.environments.builder import find_builder, open_environment
from env_service.environments.foreign import ForeignEnvironment, OwnView, StateView, calling, numbered_actions
from env_service.environments.given import (
    flag_of,
    live_agents,
    name_of,
    of_agents,
    parts_of,
    refused,
    rendering_of,
    reward_of,
)
from env_service.environments.scene import Rendering
from env_service.environments.task import Flags, Float, Integer, Outcome, Task, closed_on_failure
from env_service.global_streams import GlobalStreams

_OF_THE_IMPORT = 0
"""Seed of what a module draws when it is imported: that happens once in a process, whichever run is first."""
RENDER_MODES = ("rgb_array", "ansi")
"""Those of PettingZoo's that give what can be shown elsewhere."""
_RUNNING, _TERMINATED, _TRUNCATED = map(int, Ended)  # numpy takes microseconds to read an IntEnum
_VANISHED = "and no flag says that it ended: taken as terminated, there and wherever it comes again"
_BEGINS_WITHOUT = (
    "although another episode began with it: taken as one that comes later, if it does. Does reset fill `agents`?"
)
_PARTS = ("observations", "rewards", "terminations", "truncations", "infos")


class PettingZooTask(Task):
    """E instances of one PettingZoo environment, stepped one after the other.

    An agent may end before the others: it gets no reward from then on. It sees what the environment still gives it, and
    without that what it saw last; nobody learns from either. Where the environment keeps it in `agents`, it is given an
    action all the same, as PettingZoo's `step` takes one for each of these. One that has been there and is there no
    more has ended, even if no flag says so. A copy is over when no agent is left in it, or after `steps` steps
    (truncated). Agents that are in no dict the environment returns, because they have not come yet, run with zero
    reward.

    What copies draw from the generators that a process shares follows from the seed, too, for each copy by itself.

    Args:
        config: What to import and how to look at it.
        copies: E.
        seed: Of what is drawn while the environments are made.
        masks: Whether it masks actions; None: look.

    Raises:
        ScenarioError: The environment cannot be had or cannot be served.
        UserCodeFailed: It raised.
    """

    def __init__(self, config: PettingZooConfig, copies: int, seed: int, *, masks: bool | None = None) -> None:
        self._config = config
        self._streams = GlobalStreams([*(derive(seed, "opening", copy) for copy in range(copies)), _OF_THE_IMPORT])
        self._environments: list[ForeignEnvironment] = []
        with closed_on_failure(self):
            masked = self._open(copies, masks=masks)
        turns = config.action_masks == "turns"
        self._masks = ActionMasks(self._agents, self._actions, copies, turns=turns) if masked else None
        self.steps = config.steps
        self.noop_action: int | None = None
        self._time = config.steps  # before the first reset every copy stands ended
        self._ended: Flags = np.full((copies, len(self._agents)), Ended.TRUNCATED, np.uint8)
        self._there = [self._nobody] * copies
        self._come = [self._nobody] * copies
        self._stepping, self._asking = calling(config, "step()"), calling(config, "agents")
        self._began = self._nobody
        self._notes: list[str] = []
        self._noted: set[tuple[str, str]] = set()

    def _open(self, copies: int, *, masks: bool | None) -> bool:
        """Make the copies and look at the first; returns whether it masks actions."""
        with self._streams.lent() as turn_to:
            turn_to(copies)
            build = find_builder(self._config)
            for copy in range(copies):
                turn_to(copy)
                self._environments.append(open_environment(self._config, build))
            turn_to(0)
            self._look_at(self._config)
            return self._masks_actions() if masks is None else masks

    def _look_at(self, config: PettingZooConfig) -> None:
        """Take down who there is, and what they can do and see."""
        self._agents = tuple(self._environments[0].possible_agents)
        self._possible = dict.fromkeys(self._agents)
        with calling(config, "possible_agents"):
            self.agent_names = tuple(map(name_of, self._agents))
        self._actions = tuple(numbered_actions(config, self._environments[0]))
        self.action_counts = tuple(actions.count for actions in self._actions)
        self._named = list(self._agents)
        self._everybody, self._nobody = ([flag] * len(self._agents) for flag in (True, False))
        view = StateView if config.observation == "state" else OwnView
        self._view: StateView | OwnView = view(config, self._environments)
        self.observation_size = self._view.size

    def _masks_actions(self) -> bool:
        """Whether actions are masked: as the scenario says, or as a first reset shows."""
        if self._config.action_masks != "auto":
            return self._config.action_masks != "off"
        given = self._reset(0, 0)
        return any(masks_in(agent, *given) for agent in self._agents)

    def reset(self, generator: Generator) -> None:
        """Start an episode in every copy, each with a seed of its own drawn from `generator`.

        Raises:
            UserCodeFailed: The environment raised, or gave what nobody can use; `step` raises the same.
        """
        seeds = integers(generator, 2**31, (len(self._environments),)).tolist()
        self._view.seen.fill(0)
        self._time = 0
        self._ended = np.zeros_like(self._ended)
        for copy, seed in enumerate(seeds):
            self._streams.seed(copy, seed)
        with self._streams.lent() as turn_to:
            for copy, seed in enumerate(seeds):
                turn_to(copy)
                self._begin(copy, seed)

    def step(self, actions: Integer) -> Outcome:
        """Advance every running copy; `actions` is (E, N) int64, of which only those of live agents count."""
        rewards: Float = np.zeros(self._ended.shape, np.float32)
        ended = self._ended.copy()
        self._time += 1
        with self._streams.lent() as turn_to:
            for copy in np.flatnonzero((ended == _RUNNING).any(axis=1)).tolist():
                turn_to(copy)
                rewards[copy], ended[copy] = self._advance(copy, actions[copy].tolist(), ended[copy].tolist())
        if self._time >= self.steps:
            ended[ended == _RUNNING] = _TRUNCATED
        self._ended = ended
        notes, self._notes = tuple(self._notes), []
        return Outcome(rewards, ended, notes)

    def observations(self) -> Float:
        """What agents see now: (E, S) float32 with "state", (E, N, S) with "own"."""
        return self._view.seen.copy()

    def positions(self) -> None:
        """A foreign environment does not tell where its agents are."""

    def action_masks(self) -> Flags | None:
        """What the environment says of each copy, (E, N, A) uint8; None where it masks nothing."""
        return None if self._masks is None else self._masks.possible.copy()

    def scene(self) -> Rendering | None:
        """What the first copy shows of itself; None where `render_mode` among its options is none that gives anything.

        What it draws of the shared generators meanwhile, no copy misses: it is played as if nobody looked.
        """
        mode = self._config.options.get("render_mode")
        if not isinstance(mode, str) or mode not in RENDER_MODES:
            return None
        with self._streams.lent() as turn_to:
            turn_to(len(self._environments))
            with calling(self._config, "render()"):
                given = self._environments[0].render()
        return rendering_of(given, mode, self._time)

    def render_modes(self) -> tuple[str, ...]:
        """What its `metadata` says."""
        with self._streams.lent() as turn_to:
            turn_to(len(self._environments))
            with calling(self._config, "metadata"):
                metadata = getattr(self._environments[0], "metadata", None)
        modes = metadata.get("render_modes") if isinstance(metadata, Mapping) else None
        return tuple(map(str, modes)) if isinstance(modes, list | tuple | set | frozenset) else ()

    def close(self) -> None:
        """Close all copies.

        Raises:
            UserCodeFailed: One raised; the others are closed all the same.
        """
        failures = []
        with self._streams.lent() as turn_to:
            for copy, environment in enumerate(self._environments):
                turn_to(copy)
                try:
                    with calling(self._config, "close()"):
                        environment.close()
                except UserCodeFailed as failure:
                    failures.append(failure)
        if failures:
            raise failures[0]

    def _begin(self, copy: int, seed: int) -> None:
        """Start an episode in one copy."""
        observations, infos = self._reset(copy, seed)
        there = self._live(self._environments[copy])
        if not any(there):
            raise refused("reset(seed=...) left nobody in `agents`: expected those that begin. Fill it at every reset")
        self._there[copy] = self._come[copy] = there
        if there is not self._everybody:
            self._note_missing(there)
        self._began = [began or begins for began, begins in zip(self._began, there, strict=True)]
        self._look(copy, there, there, observations, infos)

    def _reset(self, copy: int, seed: int) -> tuple[Any, ...]:
        """Observations and infos of one copy at the beginning of an episode."""
        with calling(self._config, "reset(seed=...)"):
            given = self._environments[copy].reset(seed=seed)
        return parts_of(given, "reset(seed=...)", ("observations", "infos"))

    def _advance(self, copy: int, actions: list[int], ended: list[int]) -> tuple[list[float], list[int]]:
        """Step one copy with `actions` of its N agents, which stood as `ended` says.

        Returns:
            What each gets, and how it stands now.
        """
        environment, there, time = self._environments[copy], self._there[copy], self._time
        acting = zip(self._agents, self._actions, actions, there, strict=True)
        chosen = {agent: numbered.decode(action) for agent, numbered, action, is_there in acting if is_there}
        with self._stepping:
            given = environment.step(chosen)
        observations, *parts, infos = parts_of(given, "step()", _PARTS)
        gained, terminated, truncated = (
            of_agents(part, name, self._possible, time) for part, name in zip(parts, _PARTS[1:-1], strict=True)
        )
        rewards = [0.0] * len(ended)
        for index, agent in enumerate(self._agents):
            if ended[index] == _RUNNING:
                if agent in gained:
                    rewards[index] = reward_of(agent, gained[agent], time)
                elif there[index]:
                    raise refused(f'reward of "{self.agent_names[index]}" at step {time} is missing')
                ended[index] = self._standing(agent, terminated, truncated)
        before = there
        self._there[copy] = there = self._live(environment)
        if there is not self._everybody:
            self._end_vanished(copy, there, ended)
        self._come[copy] = [came or come for came, come in zip(self._come[copy], there, strict=True)]
        live = [is_there and stands == _RUNNING for is_there, stands in zip(there, ended, strict=True)]
        known = [lives and was_there for lives, was_there in zip(live, before, strict=True)]
        self._look(copy, live, known, observations, infos)
        return rewards, ended

    def _look(self, copy: int, live: list[bool], known: list[bool], observations: Any, infos: Any) -> None:
        """Take what is to be seen in a copy now, and what its N agents may do, as far as they are `live`.

        Those that are `known` have to see something; who has just come may see it from the next step on.
        """
        self._view.look(copy, known, observations, self._time)
        if self._masks is not None:
            self._masks.look(copy, live, observations, infos, self._time)
        elif self._config.action_masks == "auto":
            refuse_masks(self._agents, observations, infos, self._time)

    def _live(self, environment: ForeignEnvironment) -> list[bool]:
        """Which of the N possible agents are in the environment now; `_everybody` itself where all are."""
        with self._asking:
            named = environment.agents
            if type(named) is list and named == self._named:
                return self._everybody
            live = live_agents(named, self._agents, self._time)
        return [agent in live for agent in self._agents]

    def _standing(self, agent: str, terminated: Mapping[str, Any], truncated: Mapping[str, Any]) -> int:
        if flag_of(agent, terminated.get(agent, False), "termination", self._time):
            return _TERMINATED
        cut = flag_of(agent, truncated.get(agent, False), "truncation", self._time)
        return _TRUNCATED if cut else _RUNNING

    def _end_vanished(self, copy: int, there: list[bool], ended: list[int]) -> None:
        """Take those of a copy that were there, are not and have no flag as terminated; say so once of each.

        Where nobody is left at all, those who never came have ended, too.
        """
        for index, come in enumerate(self._come[copy]):
            if ended[index] != _RUNNING or there[index]:
                continue
            if come:
                ended[index] = _TERMINATED
                self._note(self.agent_names[index], f"step {self._time}", _VANISHED)
            elif not any(there):
                ended[index] = _TERMINATED

    def _note_missing(self, there: list[bool]) -> None:
        """Say once of each that an episode begins without it, though another has begun with it."""
        for name, began, begins in zip(self.agent_names, self._began, there, strict=True):
            if began and not begins:
                self._note(name, "a reset", _BEGINS_WITHOUT)

    def _note(self, name: str, when: str, why: str) -> None:
        """Say once of an agent that it is not there."""
        if (name, why) not in self._noted:
            self._noted.add((name, why))
            self._notes.append(f'agent "{name}" is not among `agents` after {when}, {why}')
