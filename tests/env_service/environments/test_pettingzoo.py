"""Any PettingZoo environment as a task: what is passed on, what early endings do, and what is refused."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from pydantic import ValidationError
from task_cases import step

from broker.arithmetic.draws import integers
from broker.errors import ScenarioError, UserCodeRefused
from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import PettingZooConfig
from env_service.environments import make_task

RUNNING, TERMINATED, TRUNCATED = Ended


class Countdown(ParallelEnv):
    """Agent number i is out after i + `first` steps and gains its action; an agent sees the step and their number."""

    metadata = {"name": "countdown_v0"}

    def __init__(self, agents=2, first=2, cut=(), silent=False, starts=(0, 0, 0), state_size=1):
        self.possible_agents = [f"walker_{index}" for index in range(agents)]
        self.agents = []
        self.first, self.cut, self.silent, self.starts, self.state_size = first, cut, silent, starts, state_size
        self.seeds, self.actions, self.closed = [], [], False

    def observation_space(self, agent):
        return Box(-1, 100, (2, 1))

    def action_space(self, agent):
        index = self.possible_agents.index(agent)
        return Discrete(2 + index, start=self.starts[index])

    def reset(self, seed=None, options=None):
        self.seeds.append(seed)
        self.agents, self.time = list(self.possible_agents), 0
        return self.look(), {agent: {} for agent in self.agents}

    def look(self):
        return {agent: np.array([[self.time], [self.possible_agents.index(agent)]]) for agent in self.agents}

    def step(self, actions):
        assert list(actions) == self.agents, "an action of an agent that is not live"
        self.actions.append(actions)
        self.time += 1
        over = {agent: self.time >= self.possible_agents.index(agent) + self.first for agent in self.agents}
        observations, rewards = self.look(), {agent: 0.5 + actions[agent] for agent in self.agents}
        ended = {agent: over[agent] and agent not in self.cut and not self.silent for agent in over}
        cut = {agent: over[agent] and agent in self.cut for agent in over}
        self.agents = [agent for agent in self.agents if not over[agent]]
        return observations, rewards, ended, cut, {}

    def state(self):
        return np.full(self.state_size if self.time < 2 else 1, self.time)

    def close(self):
        self.closed = True


class Stateless(Countdown):
    state = ParallelEnv.state


@pytest.fixture
def serve(monkeypatch):
    """Serve `build` as the module `toy` and return the task that wraps it; `serve.built` are all that were built."""

    def make(build=Countdown, copies=1, steps=10, observation="own", **options):
        def build_and_keep(**options):
            make.built.append(build(**options))
            return make.built[-1]

        module = ModuleType("toy")
        module.parallel_env = build_and_keep
        monkeypatch.setitem(sys.modules, "toy", module)
        config = PettingZooConfig(env="toy", steps=steps, observation=observation, options=options)
        return make_task(config, copies, 0)

    make.built = []
    return make


def test_each_copy_is_an_instance_with_the_options(serve):
    serve(copies=3, agents=1)
    assert [environment.possible_agents for environment in serve.built] == [["walker_0"]] * 3


def test_action_counts_come_from_the_spaces_of_all_possible_agents(serve):
    task = serve(agents=3)
    assert task.action_counts == (2, 3, 4)
    assert task.noop_action is None
    assert task.positions() is None


def test_actions_are_counted_from_the_start_of_the_space(serve):
    task = serve(starts=[5, -1])
    task.reset(generator(0))
    step(task, 1, 2)
    assert serve.built[0].actions == [{"walker_0": 6, "walker_1": 1}]


def test_each_copy_gets_its_own_seed_from_the_generator(serve):
    for _ in range(2):
        task = serve(copies=4)
        task.reset(generator(7))
    seeds, again = ([environment.seeds[-1] for environment in copies] for copies in (serve.built[:4], serve.built[4:]))
    assert seeds == again
    assert len(set(seeds)) == 4
    task.reset(generator(8))
    assert seeds != [environment.seeds[-1] for environment in serve.built[4:]]


def test_an_agent_that_ended_keeps_its_flag_and_gains_nothing(serve):
    task = serve(first=1)
    task.reset(generator(0))
    assert step(task, 1, 1) == ([1.5, 1.5], [TERMINATED, RUNNING])
    assert step(task, 1, 1) == ([0, 1.5], [TERMINATED, TERMINATED])
    assert step(task, 1, 1) == ([0, 0], [TERMINATED, TERMINATED])
    assert serve.built[0].actions == [{"walker_0": 1, "walker_1": 1}, {"walker_1": 1}]


def test_what_an_ended_agent_saw_last_stays(serve):
    task = serve(first=1)
    task.reset(generator(0))
    for _ in range(3):
        step(task, 0, 0)
    assert task.observations().tolist() == [[[1, 0], [2, 1]]]


def test_what_an_ended_agent_is_still_shown_it_sees(serve):
    class Watched(Countdown):
        def look(self):
            return {
                agent: np.array([[self.time], [index]], np.float32) for index, agent in enumerate(self.possible_agents)
            }

    task = serve(Watched, first=1)
    task.reset(generator(0))
    step(task, 0, 0)
    assert step(task, 0, 0)[1] == [TERMINATED, TERMINATED]
    assert task.observations().tolist() == [[[2, 0], [2, 1]]]


def test_an_agent_that_the_environment_cuts_is_truncated(serve):
    task = serve(first=1, cut=["walker_0"])
    task.reset(generator(0))
    assert step(task, 0, 0)[1] == [TRUNCATED, RUNNING]
    assert step(task, 0, 0)[1] == [TRUNCATED, TERMINATED]


def test_the_step_limit_truncates_who_still_runs_and_stops_stepping(serve):
    task = serve(first=2, steps=2)
    task.reset(generator(0))
    step(task, 0, 0)
    assert step(task, 1, 1) == ([1.5, 1.5], [TERMINATED, TRUNCATED])
    assert step(task, 1, 1) == ([0, 0], [TERMINATED, TRUNCATED])
    assert len(serve.built[0].actions) == 2


def test_a_copy_without_agents_is_over_even_if_no_flag_said_so(serve):
    task = serve(first=1, silent=True, agents=1)
    task.reset(generator(0))
    assert step(task, 0)[1] == [TERMINATED]


def test_a_new_episode_starts_everything_again(serve):
    task = serve(first=1)
    for _ in range(2):
        task.reset(generator(0))
        assert task.observations().tolist() == [[[0, 0], [0, 1]]]
        assert step(task, 0, 0)[1] == [TERMINATED, RUNNING]


def test_own_observations_are_flattened_to_float32(serve):
    task = serve(copies=3)
    task.reset(generator(0))
    assert task.observation_size == 2
    assert task.observations().shape == (3, 2, 2)
    assert task.observations().dtype == np.float32


def test_discrete_observations_become_one_hot(serve):
    class Coin(Countdown):
        def observation_space(self, agent):
            return Discrete(3)

        def look(self):
            return {agent: self.possible_agents.index(agent) for agent in self.agents}

    task = serve(Coin)
    task.reset(generator(0))
    assert task.observations().tolist() == [[[1, 0, 0], [0, 1, 0]]]


def test_an_agent_that_comes_late_runs_and_sees_zeros_until_then(serve):
    class Relay(Countdown):
        def reset(self, seed=None, options=None):
            super().reset(seed, options)
            self.agents = ["walker_0"]
            return self.look(), {}

        def step(self, actions):
            result = super().step(actions)
            self.agents = self.agents or ["walker_1"] * (self.time == 1)
            return result

    task = serve(Relay, first=1)
    for _ in range(2):
        task.reset(generator(0))
        assert task.observations().tolist() == [[[0, 0], [0, 0]]]
        assert step(task, 0, 0) == ([0.5, 0], [TERMINATED, RUNNING])
        assert step(task, 0, 1) == ([0, 1.5], [TERMINATED, TERMINATED])
        assert task.observations().tolist() == [[[1, 0], [2, 1]]]


def test_who_never_came_has_ended_when_nobody_is_left(serve):
    class Alone(Countdown):
        def reset(self, seed=None, options=None):
            super().reset(seed, options)
            self.agents = ["walker_0"]
            return self.look(), {}

    task = serve(Alone, first=2)
    task.reset(generator(0))
    assert step(task, 0, 0)[1] == [RUNNING, RUNNING]
    assert step(task, 0, 0)[1] == [TERMINATED, TERMINATED]


def test_the_state_is_seen_by_all(serve):
    task = serve(copies=2, observation="state")
    task.reset(generator(0))
    step(task, 0, 0)
    assert task.observation_size == 1
    assert task.observations().tolist() == [[1], [1]]


def test_closing_closes_every_copy(serve):
    task = serve(copies=2)
    task.close()
    assert [environment.closed for environment in serve.built] == [True, True]


def refusal(build, *args, **kwargs):
    with pytest.raises(ScenarioError) as caught:
        build(*args, **kwargs)
    return caught.value.path, caught.value.problem


def mpe(env="mpe2.simple_spread_v3", **settings):
    return make_task(PettingZooConfig(env=env, **settings), 1, 0)


def test_a_module_without_parallel_env_is_refused():
    path, problem = refusal(mpe, "json")
    assert path == "environment.env"
    assert "`parallel_env`, found none in json" in problem


def test_an_import_name_is_checked_when_the_scenario_is_read():
    for name in ("", "../x", "a..b", ".a", "a b", "a;b"):
        with pytest.raises(ValidationError):
            PettingZooConfig(env=name)


def test_an_option_the_environment_refuses_is_named():
    path, problem = refusal(mpe, options={"agents": 3})
    assert path == "environment.options"
    assert "{'agents': 3}" in problem
    assert "unexpected keyword argument 'agents'" in problem


def test_an_environment_that_fails_without_options_is_named(serve):
    def build():
        raise RuntimeError("no display")

    assert refusal(serve, build) == ("environment.env", "toy.parallel_env refused {}: RuntimeError: no display")


def test_an_environment_without_possible_agents_is_refused(serve):
    path, problem = refusal(serve, object)
    assert path == "environment.env"
    assert "possible_agents" in problem


def test_an_environment_without_a_state_points_to_own_observations(serve):
    path, problem = refusal(serve, Stateless, observation="state")
    assert path == "environment.observation"
    assert 'Set environment.observation = "own"' in problem
    assert serve(Stateless, observation="own").observation_size == 2


def test_a_state_that_is_not_numbers_is_refused(serve):
    class Worded(Countdown):
        def state(self):
            return {"board": [1, 2]}

    assert refusal(serve, Worded, observation="state")[0] == "environment.observation"


def test_a_state_that_changes_its_size_is_refused(serve):
    task = serve(observation="state", state_size=3, first=5)
    task.reset(generator(0))
    step(task, 0, 0)
    with pytest.raises(UserCodeRefused, match="state at step 2 has 1 number, expected 3 as at first"):
        step(task, 0, 0)


def test_own_observations_of_different_sizes_are_refused_with_both():
    path, problem = refusal(mpe, "mpe2.simple_tag_v3", observation="own")
    assert path == "environment.observation"
    assert "adversary_0 sees 16 and agent_0 sees 14" in problem
    assert mpe("mpe2.simple_tag_v3", observation="state").observation_size == 3 * 16 + 14


@pytest.mark.parametrize(("observation", "shape"), [("state", (4, 54)), ("own", (4, 3, 18))])
def test_simple_spread_plays_a_whole_episode(observation, shape):
    task = make_task(PettingZooConfig(env="mpe2.simple_spread_v3", observation=observation), 4, 0)
    task.reset(generator(0))
    assert task.action_counts == (5, 5, 5)
    for time in range(25):
        assert task.observations().shape == shape
        outcome = task.step(np.ones((4, 3), np.int64))
        assert (outcome.rewards < 0).all()
        assert (outcome.ended == (TRUNCATED if time == 24 else RUNNING)).all()


def test_simple_spread_gives_what_it_gives_without_us():
    from mpe2 import simple_spread_v3

    task = make_task(PettingZooConfig(env="mpe2.simple_spread_v3", options={"N": 2}), 2, 0)
    task.reset(generator(5))
    plain = simple_spread_v3.parallel_env(N=2)
    plain.reset(seed=integers(generator(5), 2**31, (2,)).tolist()[1])
    for _ in range(25):
        assert task.observations()[1].tolist() == plain.state().tolist()
        rewards = plain.step({"agent_0": 1, "agent_1": 4})[1]
        assert task.step(np.array([[0, 0], [1, 4]])).rewards[1] == pytest.approx(list(rewards.values()))
