"""A toy that masks actions in every way PettingZoo knows, and that refuses whoever does what was masked."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import aec_to_parallel, turn_based_aec_to_parallel

COUNTS = {"left": 3, "middle": 9, "right": 2}
LASTS = {"left": 9, "middle": 9, "right": 6}
"""After how many steps each agent has ended."""


class Board:
    """What happens, whoever asks: each step draws what is possible next; an action pays as far as it is possible."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, seed: int | None) -> None:
        self.random, self.time = np.random.default_rng(seed), 0
        self.draw()

    def draw(self) -> None:
        self.masks = {agent: self.random.integers(0, 2, count).astype(np.int8) for agent, count in COUNTS.items()}
        for agent, mask in self.masks.items():
            mask[self.random.integers(len(mask))] = 1
            mask[:] *= not self.ended(agent)  # who has ended has no choice, and says so
        self.place = self.random.normal(size=3).astype(np.float32)

    def go_on(self, actions: dict[str, int]) -> dict[str, float]:
        for agent, action in actions.items():
            if not self.masks[agent][action]:
                raise RuntimeError(f"{agent} did {action} of {self.masks[agent].tolist()}")
        self.time += 1
        self.draw()
        return {agent: float(self.place[0] + action) for agent, action in actions.items()}

    def ended(self, agent: str) -> bool:
        return self.time >= LASTS[agent]


class MaskedParallel(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """The board, all at once; `by` says where the masks are: "observation", "info" or "both"."""

    metadata: ClassVar[dict[str, Any]] = {"name": "masked_v0"}
    possible_agents: ClassVar[list[str]] = list(COUNTS)

    def __init__(self, by: str) -> None:
        self.by, self.board, self.agents = by, Board(), []

    def observation_space(self, agent: str) -> Any:
        seen = Box(-np.inf, np.inf, (3,), np.float32)
        return seen if self.by == "info" else Dict({"observation": seen, "action_mask": MultiBinary(COUNTS[agent])})

    def action_space(self, agent: str) -> Discrete:
        return Discrete(COUNTS[agent])

    def reset(self, seed: int | None = None, options: object = None) -> Any:
        self.board.begin(seed)
        self.agents = list(COUNTS)
        return self.seen(self.agents), self.infos(self.agents)

    def step(self, actions: dict[str, int]) -> Any:
        acted = self.agents
        rewards = self.board.go_on(actions)
        over = {agent: self.board.ended(agent) for agent in acted}
        self.agents = [agent for agent in acted if not over[agent]]
        return self.seen(acted), rewards, over, dict.fromkeys(acted, False), self.infos(acted)

    def seen(self, agents: list[str]) -> dict[str, Any]:
        place, masks = self.board.place, self.board.masks
        if self.by == "info":
            return dict.fromkeys(agents, place)
        return {agent: {"observation": place, "action_mask": masks[agent]} for agent in agents}

    def infos(self, agents: list[str]) -> dict[str, Any]:
        return {agent: {} if self.by == "observation" else {"action_mask": self.board.masks[agent]} for agent in agents}

    def state(self) -> np.ndarray:
        return self.board.place


class MaskedTurns(AECEnv):  # type: ignore[misc]
    """The board, one after the other: what they chose happens when the last one has chosen."""

    metadata: ClassVar[dict[str, Any]] = {"name": "masked_turns_v0", "is_parallelizable": True}
    possible_agents: ClassVar[list[str]] = list(COUNTS)

    def __init__(self) -> None:
        super().__init__()
        self.board, self.agents = Board(), []
        self.render_mode = None

    def observation_space(self, _agent: str) -> Box:
        return Box(-np.inf, np.inf, (3,), np.float32)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(COUNTS[agent])

    def reset(self, seed: int | None = None, options: object = None) -> None:
        self.board.begin(seed)
        self.agents, self.chosen = list(COUNTS), {}
        self.agent_selection = self.agents[0]
        self.rewards, self._cumulative_rewards = dict.fromkeys(COUNTS, 0.0), dict.fromkeys(COUNTS, 0.0)
        self.terminations, self.truncations = dict.fromkeys(COUNTS, False), dict.fromkeys(COUNTS, False)
        self.infos = {agent: {"action_mask": self.board.masks[agent]} for agent in COUNTS}

    def observe(self, _agent: str) -> np.ndarray:
        return self.board.place

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self.chosen[agent] = action
        waiting = [other for other in self.agents if other not in self.chosen and not self.terminations[other]]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        if not waiting:
            self.rewards |= self.board.go_on(self.chosen)
            self.chosen = {}
            self.terminations = {each: self.board.ended(each) for each in self.agents}
            self.infos = {each: {"action_mask": self.board.masks[each]} for each in self.agents}
        self.agent_selection = self.agents[(self.agents.index(agent) + 1) % len(self.agents)]
        self._accumulate_rewards()
        self._deads_step_first()


class OneAtATime(AECEnv):  # type: ignore[misc]
    """Two agents take away one to three of what lies there, in turns; nobody can do anything while the other plays."""

    metadata: ClassVar[dict[str, Any]] = {"name": "one_at_a_time_v0"}
    possible_agents: ClassVar[list[str]] = ["first", "second"]
    render_mode = None

    def observation_space(self, _agent: str) -> Dict:
        return Dict({"observation": Box(0, 9, (1,), np.float32), "action_mask": MultiBinary(3)})

    def action_space(self, _agent: str) -> Discrete:
        return Discrete(3)

    def reset(self, seed: int | None = None, options: object = None) -> None:
        self.agents, self.left = list(self.possible_agents), 4 + (seed or 0) % 6
        self.agent_selection = "first"
        self.rewards = self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations, self.truncations = dict.fromkeys(self.agents, False), dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}

    def observe(self, agent: str) -> dict[str, Any]:
        turn = agent == self.agent_selection
        mask = np.array([turn and self.left > taken for taken in range(3)], np.int8)
        return {"observation": np.array([self.left], np.float32), "action_mask": mask}

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)
            return
        if action is None or self.left <= action:
            raise RuntimeError(f"{agent} took {action} of {self.left}")
        self.left -= action + 1
        self.rewards = {each: float(each == agent) * (self.left == 0) for each in self.agents}
        self.terminations = dict.fromkeys(self.agents, self.left == 0)
        self.agent_selection = self.agents[1 - self.agents.index(agent)]


def parallel_env(by: str = "observation") -> Any:
    """The toys as PettingZoo parallel environments; `by`: see above, "turns" or, of the last one, "waiting"."""
    if by == "waiting":
        return turn_based_aec_to_parallel(OneAtATime())
    return aec_to_parallel(MaskedTurns()) if by == "turns" else MaskedParallel(by)
