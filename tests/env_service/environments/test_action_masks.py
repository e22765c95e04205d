"""Action masks of PettingZoo environments: taken from observation and info, refused at their source when wrong."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from masked_toy import COUNTS, LASTS, parallel_env
from pettingzoo import ParallelEnv
from task_cases import step

from broker.arithmetic.draws import integers
from broker.errors import UserCodeRefused, UserError
from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import ExchangeTaskConfig, NavigationConfig, PettingZooConfig, PredationConfig
from env_service.environments import make_task
from env_service.environments.exchange import ExchangeTask
from env_service.environments.parallel import TaskParallelEnv
from env_service.trial import play_once

AGENTS = tuple(COUNTS)


def toy(by, copies=2, **settings):
    settings = {"observation": "own", "steps": 20, "options": {"by": by}, **settings}
    return make_task(PettingZooConfig(env="masked_toy", **settings), copies, 0)


def first_possible(task):
    return task.action_masks().argmax(axis=2)


@pytest.mark.parametrize(
    ("by", "observation"),
    [*((by, "own") for by in ("observation", "info", "both", "turns")), ("observation", "state"), ("info", "state")],
)
def test_masks_are_found_wherever_they_are_and_follow_the_environment_from_step_to_step(by, observation):
    task = toy(by, observation=observation)
    assert task.observation_size == 3  # nobody sees a mask
    task.reset(generator(5))
    plain = [parallel_env(by="observation") for _ in range(2)]
    told = [
        environment.reset(seed=seed)[0]
        for environment, seed in zip(plain, integers(generator(5), 2**31, (2,)).tolist(), strict=True)
    ]
    ended = np.zeros((2, 3), np.uint8)
    for time in range(max(LASTS.values())):
        masks = task.action_masks()
        assert (masks.shape, masks.dtype) == ((2, 3, 9), np.uint8)
        for copy, index in zip(*np.nonzero(ended == Ended.RUNNING), strict=True):
            agent = AGENTS[index]
            assert masks[copy, index, : COUNTS[agent]].tolist() == told[copy][agent]["action_mask"].tolist()
            assert not masks[copy, index, COUNTS[agent] :].any()
        chosen = first_possible(task)
        ended = task.step(chosen).ended
        assert (ended[:, 2] == (Ended.TERMINATED if time + 1 >= 6 else Ended.RUNNING)).all()
        told = [
            environment.step({agent: int(chosen[copy, AGENTS.index(agent)]) for agent in environment.agents})[0]
            for copy, environment in enumerate(plain)
        ]
    assert (ended == Ended.TERMINATED).all()


def test_one_that_waits_for_its_turn_can_do_its_first_action_where_the_scenario_says_so():
    task = toy("waiting", action_masks="turns")
    for _ in range(2):
        task.reset(generator(3))
        for time in range(3):
            acting, waiting = time % 2, 1 - time % 2
            masks, left = task.action_masks(), task.observations()[:, 0]
            assert masks[:, acting].tolist() == (left > [0, 1, 2]).astype(int).tolist()
            assert masks[:, waiting].tolist() == [[1, 0, 0]] * 2
            task.step(np.zeros((2, 2), np.int64))
    with pytest.raises(UserCodeRefused) as caught:
        toy("waiting").reset(generator(3))
    assert str(caught.value) == (
        'environment: action mask of "second" at step 0 leaves no action. If it waits for its turn, '
        'set environment.action_masks = "turns"'
    )


def test_our_own_tasks_mask_nothing():
    for config in (ExchangeTaskConfig(), NavigationConfig(), PredationConfig()):
        task = make_task(config, 2, 0)
        task.reset(generator(0))
        assert task.action_masks() is None


class Plain(ParallelEnv):
    """Agents a and b with three actions each; `info` and `seen` are what each test makes of them."""

    metadata = {"name": "plain_v0"}
    possible_agents = ["a", "b"]

    def __init__(self):
        self.agents = []

    def observation_space(self, agent):
        return Box(-1, 1, (2,))

    def action_space(self, agent):
        return Discrete(3, start=5)

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        return self.look(self.seen), self.look(self.info)

    def step(self, actions):
        self.time += 1
        self.done = actions
        return self.look(self.seen), dict.fromkeys(self.agents, 1.0), self.flags(), {}, self.look(self.info)

    def look(self, part):
        return {agent: part(agent) for agent in self.agents}

    def seen(self, agent):
        return np.zeros(2, np.float32)

    def info(self, agent):
        return {"action_mask": np.array([0, 1, 1], np.int8)}

    def flags(self):
        return {}


def serve(monkeypatch, masks="auto", **methods):
    module = ModuleType("brought")
    module.parallel_env = type("Brought", (Plain,), methods)
    monkeypatch.setitem(sys.modules, "brought", module)
    return make_task(PettingZooConfig(env="brought", steps=10, observation="own", action_masks=masks), 1, 0)


def play(task, steps=3):
    task.reset(generator(0))
    return [task.step(first_possible(task)) for _ in range(steps)]


def at_step_2(mask):
    """An info that is right but for agent b after two steps."""
    return lambda self, agent: {"action_mask": mask if (agent, self.time) == ("b", 2) else [1, 1, 1]}


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([0, 0, 0], "leaves no action"),
        ([False, False, False], "leaves no action"),
        ([1, 1], r"has shape \(2,\), expected \(3,\): a 1 or 0 for each action"),
        ([1, 1, 1, 0], r"has shape \(4,\), expected \(3,\)"),
        ([[1, 1, 1]], r"has shape \(1, 3\), expected \(3,\)"),
        (1, r"has shape \(\), expected \(3,\)"),
        ([1, 2, 0], "is 2 in place 1 of 3, expected 1 or 0"),
        ([1, -1, 0], "is -1 in place 1 of 3, expected 1 or 0"),
        ([0.5, 0.5, 0], "is 0.5 in place 0 of 3, expected 1 or 0"),
        ([1, float("nan"), 0], "is nan in place 1 of 3"),
        (None, "is None"),
        (["left", "right", "up"], ".*, expected numbers"),
    ],
)
@pytest.mark.parametrize("part", ["info", "seen"])
def test_a_wrong_mask_is_refused_by_agent_and_step(monkeypatch, mask, said, part):
    methods = {"info": at_step_2(mask)}
    if part == "seen":
        info = at_step_2(mask)
        space = Dict({"observation": Box(-1, 1, (2,)), "action_mask": MultiBinary(3)})
        methods = {
            "observation_space": lambda *_: space,
            "seen": lambda self, agent: {"observation": [0, 0], **info(self, agent)},
            "info": lambda *_: {},
        }
    with pytest.raises(UserCodeRefused, match=f'^environment: action mask of "b" at step 2 {said}'):
        play(serve(monkeypatch, **methods))


@pytest.mark.parametrize("mask", [[True, False, True], np.array([1.0, 0.0, 1.0]), (1, 0, 1)])
def test_ones_and_zeros_of_any_kind_are_a_mask(monkeypatch, mask):
    task = serve(monkeypatch, info=lambda *_: {"action_mask": mask})
    task.reset(generator(0))
    assert task.action_masks().tolist() == [[[1, 0, 1]] * 2]


def test_a_mask_counts_from_the_first_action_of_its_space(monkeypatch):
    kept = []
    task = serve(monkeypatch, flags=lambda self: kept.append(self.done) or {})
    play(task, steps=1)
    assert kept == [{"a": 6, "b": 6}]


COMBINED = [
    (MultiDiscrete([2, 3]), ([1, 0], [0, 1, 1]), [0, 1, 1, 0, 0, 0]),
    (MultiDiscrete([2, 3]), [0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1]),
    (Tuple([Discrete(2), MultiDiscrete([2, 2])]), ([0, 1], ([1, 0], [1, 1])), [0, 0, 0, 0, 1, 1, 0, 0]),
    (Dict({"go": Discrete(2), "say": Discrete(2)}), {"go": [1, 1], "say": [0, 1]}, [0, 1, 0, 1]),
    (MultiDiscrete([[2], [3]]), (([1, 0],), ([0, 1, 1],)), [0, 1, 1, 0, 0, 0]),
    (MultiDiscrete([[2, 2], [1, 2]]), (([1, 0], [1, 1]), ([1], [0, 1])), [0, 1, 0, 1, 0, 0, 0, 0]),
    (MultiDiscrete([[2, 2], [2, 2]]), (np.array([[1, 0], [1, 1]]),) * 2, [1, 1, 0, 0] * 2 + [0] * 8),
]


@pytest.mark.parametrize(("space", "mask", "expected"), COMBINED)
def test_actions_with_parts_are_masked_by_combination_or_part_by_part(monkeypatch, space, mask, expected):
    kept = []
    methods = {
        "action_space": lambda *_: space,
        "info": lambda *_: {"action_mask": mask},
        "flags": lambda self: kept.append(self.done) or {},
    }
    task = serve(monkeypatch, **methods)
    play(task, steps=1)
    assert task.action_masks().tolist() == [[expected] * 2]
    assert all(space.contains(action) for done in kept for action in done.values())


@pytest.mark.parametrize(
    "mask",
    [([1, 0],), ([1, 0], [0, 1]), ([1, 0], None), ([0, 0], [1, 1, 1]), ([1, 2], [1, 1, 1]), ([1, 0, 1], [0, 1])],
)
def test_a_wrong_mask_of_a_part_is_refused(monkeypatch, mask):
    methods = {"action_space": lambda *_: MultiDiscrete([2, 3]), "info": lambda *_: {"action_mask": mask}}
    with pytest.raises(UserCodeRefused, match=r'^environment: action mask of "a" at step 0 '):
        play(serve(monkeypatch, **methods))


def test_a_part_without_a_mask_of_its_own_is_refused(monkeypatch):
    mask = {"action_mask": ([1, 1], 1)}
    methods = {"action_space": lambda *_: MultiDiscrete([[2], [2]]), "info": lambda *_: mask}
    with pytest.raises(UserCodeRefused, match=r"has 1 in it, expected a mask for each part of the action"):
        play(serve(monkeypatch, **methods))


def test_two_masks_that_differ_are_refused(monkeypatch):
    space = Dict({"observation": Box(-1, 1, (2,)), "action_mask": MultiBinary(3)})
    methods = {
        "observation_space": lambda *_: space,
        "seen": lambda self, _: {"observation": [0, 0], "action_mask": [0, 1, self.time != 1]},
    }
    with pytest.raises(UserCodeRefused, match=r'^environment: action masks of "a" at step 1 differ in its observation'):
        play(serve(monkeypatch, **methods))


def test_an_observation_without_its_mask_is_refused(monkeypatch):
    space = Dict({"observation": Box(-1, 1, (2,)), "action_mask": MultiBinary(3)})
    methods = {"observation_space": lambda *_: space, "info": lambda *_: {}}
    for seen in ({"observation": [0, 0]}, [0, 0]):
        with pytest.raises(UserCodeRefused, match=r'^environment: observation of "a" at step 0 is .* expected a dict'):
            play(serve(monkeypatch, "on", seen=lambda *_, seen=seen: seen, **methods))


def test_one_that_has_ended_has_no_choice_and_its_mask_is_not_looked_at(monkeypatch):
    def flags(self):
        return {"a": self.time >= 1}  # it stays among the agents, as some environments have it

    def info(self, agent):
        return {"action_mask": [0, 0, 0] if agent == "a" and self.time >= 1 else [0, 1, 0]}

    task = serve(monkeypatch, flags=flags, info=info)
    outcomes = play(task)
    assert outcomes[-1].ended.tolist() == [[Ended.TERMINATED, Ended.RUNNING]]
    assert task.action_masks().tolist() == [[[1, 1, 1], [0, 1, 0]]]


def test_a_live_agent_of_which_nothing_is_said_at_a_step_may_do_anything(monkeypatch):
    task = serve(monkeypatch, info=lambda self, _: {"action_mask": [0, 1, 0]} if self.time != 1 else {})
    task.reset(generator(0))
    said = [task.action_masks()[0, 0].tolist()]
    for _ in range(2):
        task.step(first_possible(task))
        said.append(task.action_masks()[0, 0].tolist())
    assert said == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


def late(self, _):
    return {} if self.time < 2 else {"action_mask": [0, 1, 1]}


def test_masks_that_come_although_a_first_reset_had_none_are_refused_with_the_setting_that_takes_them(monkeypatch):
    with pytest.raises(UserCodeRefused) as caught:
        play_unmasked(serve(monkeypatch, info=late))
    assert str(caught.value) == (
        'environment: action mask of "a" at step 2, although no agent had one after the first reset. '
        'Set environment.action_masks = "on"'
    )
    play(serve(monkeypatch, "on", info=late))


@pytest.mark.parametrize("by", ["observation", "info", "turns", "waiting"])
def test_the_step_that_check_plays_is_a_possible_one(by):
    for seed in range(20):
        play_once(PettingZooConfig(env="masked_toy", observation="own", options={"by": by}, action_masks="turns"), seed)


def test_masks_are_ignored_where_the_scenario_says_so(monkeypatch):
    task = serve(monkeypatch, "off")
    assert task.action_masks() is None
    play_unmasked(task)


def play_unmasked(task, steps=3):
    task.reset(generator(0))
    for _ in range(steps):
        step(task, 0, 0)


# Tasks of our own that mask


class Careful(ExchangeTask):
    """Exchange in which agent 0 cannot stay and agent 1 cannot open."""

    def action_masks(self):
        masks = np.ones((len(self.observations()), 2, 6), np.uint8)
        masks[:, 0, 5] = masks[:, 1, 4] = 0
        return masks


def test_a_task_of_our_own_that_masks_tells_pettingzoo_users_too_and_refuses_what_it_masked():
    environment = TaskParallelEnv(Careful(ExchangeTaskConfig(agents=2, grid=3), 1), "careful_v0")
    _, infos = environment.reset(seed=0)
    expected = {"agent_0": [1, 1, 1, 1, 1, 0], "agent_1": [1, 1, 1, 1, 0, 1]}
    assert {agent: info["action_mask"].tolist() for agent, info in infos.items()} == expected
    for agent in environment.agents:
        environment.action_space(agent).sample(infos[agent]["action_mask"])
    *_, infos = environment.step({"agent_0": 4, "agent_1": 5})
    assert infos["agent_1"]["action_mask"].tolist() == expected["agent_1"]
    with pytest.raises(UserError, match="careful_v0: action 4 of agent_1 is masked"):
        environment.step({"agent_0": 4, "agent_1": 4})
