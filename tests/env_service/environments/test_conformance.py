"""The contract that every task keeps, ours and foreign ones, and PettingZoo's own conformance kit."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from mpe2 import simple_spread_v3
from pydantic import TypeAdapter

from broker.errors import EnvironmentMissing, UserError
from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import (
    EnvironmentConfig,
    ExchangeTaskConfig,
    NavigationConfig,
    PettingZooConfig,
    PredationConfig,
    SimpleSpreadConfig,
    VmasConfig,
)
from env_service.environments import exchange, make_task, navigation, predation
from env_service.environments.parallel import TaskParallelEnv
from env_service.environments.task import all_possible

CONFIGS = {
    "exchange": ExchangeTaskConfig(steps=20),
    "exchange-small": ExchangeTaskConfig(agents=2, grid=2, steps=40),
    "exchange-timed": ExchangeTaskConfig(steps=20, observe_time=True),
    "navigation": NavigationConfig(),
    "predation-approach": PredationConfig(),
    "predation-capture": PredationConfig(agents=3, engagement="capture"),
    "simple-spread": SimpleSpreadConfig(),
    "simple-spread-seen-alone": SimpleSpreadConfig(agents=4, observation="own"),
    "mpe2-state": PettingZooConfig(env="mpe2.simple_spread_v3", steps=10),
    "mpe2-own": PettingZooConfig(env="mpe2.simple_spread_v3", observation="own"),
    "masked": PettingZooConfig(env="masked_toy", observation="own", options={"by": "both"}),
}
COPIES = 5

needs_vmas = pytest.mark.skipif(find_spec("vmas") is None, reason="vmas is not installed")
vmas = pytest.param(VmasConfig(env="simple_push", observation="padded", steps=10), id="vmas", marks=needs_vmas)
every_task = pytest.mark.parametrize(
    "config", [*(pytest.param(config, id=name) for name, config in CONFIGS.items()), vmas]
)
own_environment = pytest.mark.parametrize("module", [exchange, navigation, predation], ids=lambda m: m.__name__)


def random_actions(task, random, copies=COPIES):
    """Any actions, or any that are possible."""
    masks = task.action_masks()
    if masks is not None:
        return (random.random(masks.shape) * masks).argmax(axis=-1)
    return np.stack([random.integers(count, size=copies) for count in task.action_counts], axis=1)


def play(config, seed, episodes=2):
    """Everything that can be seen of `episodes` random episodes, as one list of arrays."""
    task, starts, random = make_task(config, COPIES, 0), generator(seed, "task"), generator(seed, "actions")
    seen = []
    for _ in range(episodes):
        task.reset(starts)
        seen.append(task.observations())
        for _ in range(task.steps):
            outcome = task.step(random_actions(task, random))
            seen += [outcome.rewards, outcome.ended, task.observations()]
            if task.positions() is not None:
                seen.append(task.positions())
    task.close()
    return seen


def same(left, right):
    return len(left) == len(right) and all(np.array_equal(one, two) for one, two in zip(left, right, strict=True))


@every_task
def test_shapes_and_types_are_those_of_the_contract(config):
    task, random = make_task(config, COPIES, 0), generator(0)
    agents = len(task.action_counts)
    task.reset(random)
    for _ in range(3):
        outcome = task.step(random_actions(task, random))
        assert (outcome.rewards.shape, outcome.rewards.dtype) == ((COPIES, agents), np.float32)
        assert (outcome.ended.shape, outcome.ended.dtype) == ((COPIES, agents), np.uint8)
        observations = task.observations()
        assert observations.shape in ((COPIES, task.observation_size), (COPIES, agents, task.observation_size))
        assert observations.dtype == np.float32
        positions = task.positions()
        assert positions is None or (positions.shape[:2], positions.dtype) == ((COPIES, agents), np.float32)


@every_task
def test_equal_seeds_give_equal_trajectories(config):
    assert same(play(config, 1), play(config, 1))


@every_task
def test_different_seeds_give_different_trajectories(config):
    assert not same(play(config, 1), play(config, 2))


@every_task
def test_episodes_of_one_stream_and_copies_of_one_episode_differ(config):
    task, starts = make_task(config, COPIES, 0), generator(0)
    task.reset(starts)
    first = task.observations()
    task.reset(starts)
    assert not np.array_equal(first, task.observations())
    assert len(np.unique(first.reshape(COPIES, -1), axis=0)) > 1


@every_task
def test_an_episode_does_not_depend_on_the_one_before(config):
    fresh, used = make_task(config, COPIES, 0), make_task(config, COPIES, 0)
    random = generator(0)
    used.reset(random)
    for _ in range(used.steps):
        used.step(random_actions(used, random))
    seen = []
    for task in (fresh, used):
        task.reset(generator(9))
        start = task.observations()
        outcome = task.step(random_actions(task, generator(3)))
        seen.append([start, outcome.rewards, outcome.ended, task.observations()])
    assert same(*seen)


@every_task
def test_every_copy_ends_within_the_limit_and_is_frozen_then(config):
    task, random = make_task(config, COPIES, 0), generator(0)
    task.reset(random)
    ended = np.zeros((COPIES, len(task.action_counts)), np.uint8)
    for _ in range(task.steps + 3):
        before = task.observations()
        outcome = task.step(random_actions(task, random))
        over = (ended != Ended.RUNNING).all(axis=1)
        assert np.array_equal(outcome.ended[over], ended[over])
        assert np.array_equal(task.observations()[over], before[over])
        assert not outcome.rewards[over].any()
        ended = outcome.ended
    assert (ended != Ended.RUNNING).all()


@every_task
def test_masks_are_absent_always_or_leave_every_live_agent_an_action_of_its_own(config):
    task, random = make_task(config, COPIES, 0), generator(0)
    masks = task.action_masks() is not None
    task.reset(random)
    ended = np.zeros((COPIES, len(task.action_counts)), np.uint8)
    for _ in range(task.steps):
        told = task.action_masks()
        assert (told is not None) == masks
        if told is not None:
            assert told.shape == (*ended.shape, max(task.action_counts))
            assert not told[:, all_possible(task.action_counts) == 0].any()
            assert told.max() == 1
            assert told[ended == Ended.RUNNING].any(axis=-1).all()
        ended = task.step(random_actions(task, random)).ended


@every_task
def test_what_a_step_returned_never_changes_later(config):
    task, random = make_task(config, COPIES, 0), generator(0)
    task.reset(random)
    kept = []
    for _ in range(task.steps):
        outcome = task.step(random_actions(task, random))
        kept += [(array, array.copy()) for array in (outcome.rewards, outcome.ended, task.observations())]
    assert all(np.array_equal(array, copy) for array, copy in kept)


@every_task
def test_before_the_first_reset_nothing_runs(config):
    task = make_task(config, COPIES, 0)
    outcome = task.step(random_actions(task, generator(0)))
    assert not outcome.rewards.any()
    assert (outcome.ended == Ended.TRUNCATED).all()


@pytest.mark.parametrize("name", ["exchange", "navigation"])
def test_a_noop_changes_nothing_that_others_see(name):
    task = make_task(CONFIGS[name], COPIES, 0)
    task.reset(generator(0))
    before = task.observations()
    task.step(np.full((COPIES, len(task.action_counts)), task.noop_action))
    assert np.array_equal(before, task.observations())


@pytest.mark.parametrize("name", ["exchange", "navigation", "predation-approach", "predation-capture"])
def test_own_tasks_see_numbers_between_minus_one_and_one(name):
    task, random = make_task(CONFIGS[name], COPIES, 0), generator(0)
    task.reset(random)
    for _ in range(task.steps):
        assert np.abs(task.observations()).max() <= 1
        task.step(random_actions(task, random))


@every_task
def test_a_document_names_its_task_by_kind(config):
    adapter = TypeAdapter(EnvironmentConfig)
    assert adapter.validate_python(config.model_dump()) == config
    assert adapter.validate_json(adapter.dump_json(config)) == config


@pytest.mark.processes
def test_our_own_tasks_load_neither_pettingzoo_nor_gymnasium_nor_torch():
    code = (
        "import sys; from env_service.environments import make_task\n"
        "from env_service.config import ExchangeTaskConfig; make_task(ExchangeTaskConfig(), 2, 0)\n"
        "print([name for name in ('pettingzoo', 'gymnasium', 'torch', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ModuleNotFoundError(name='vmas')", "vmas is not installed: `pip install 'foretell[vmas]'`"),
        (
            "import gym_of_old",
            "vmas needs the module gym_of_old, which is not installed: `pip install 'foretell[vmas]'`",
        ),
    ],
)
def test_without_vmas_or_what_it_needs_a_sentence_names_the_extra(monkeypatch, tmp_path, code, said):
    (tmp_path / "vmas.py").write_text(code)
    for name in [name for name in sys.modules if name.partition(".")[0] == "vmas"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentMissing) as caught:
        make_task(VmasConfig(env="navigation"), 1, 0)
    assert caught.value.problem == said


# PettingZoo 1.27's own kit imports one of its environments the way it now calls old.
old_import_in_the_kit = pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")


@old_import_in_the_kit
@pytest.mark.parametrize(
    "build",
    [exchange.parallel_env, navigation.parallel_env, predation.parallel_env, simple_spread_v3.parallel_env],
    ids=["exchange", "navigation", "predation", "simple_spread"],
)
def test_environments_pass_the_conformance_kit_of_pettingzoo(build):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(build(), num_cycles=120)
    parallel_seed_test(build, num_cycles=120)


def episodes(environment, seed, count=2):
    """All that a PettingZoo user sees in `count` episodes with fixed actions."""
    seen = []
    for episode in range(count):
        observations, infos = environment.reset(seed=seed if episode == 0 else None)
        seen.append({agent: observation.tolist() for agent, observation in observations.items()} | {"infos": infos})
        random = generator(seed, "actions")
        while environment.agents:
            actions = {a: int(random.integers(environment.action_space(a).n)) for a in environment.agents}
            observations, *rest = environment.step(actions)
            seen.append([{agent: observation.tolist() for agent, observation in observations.items()}, *rest])
    return seen


@own_environment
def test_whole_episodes_repeat_for_equal_seeds_and_differ_for_others(module):
    assert episodes(module.parallel_env(), 3) == episodes(module.parallel_env(), 3)
    assert episodes(module.parallel_env(), 3) != episodes(module.parallel_env(), 4)


@own_environment
def test_without_a_seed_the_stream_goes_on_with_another_episode(module):
    streams = []
    for environment in (module.parallel_env(), module.parallel_env()):
        states = []
        for seed in (3, None, None):
            environment.reset(seed=seed)
            states.append(environment.state())
        streams.append(np.stack(states))
    assert len(np.unique(streams[0], axis=0)) == 3
    assert np.array_equal(*streams)


@own_environment
def test_observations_lie_in_their_spaces_and_equal_the_state(module):
    environment = module.parallel_env()
    observations, _ = environment.reset(seed=0)
    for agent, observation in observations.items():
        assert environment.observation_space(agent).contains(observation)
        assert np.array_equal(observation, environment.state())
    assert environment.state_space.contains(environment.state())


@own_environment
def test_the_last_step_flags_every_agent_once_and_leaves_none(module):
    environment = module.parallel_env(steps=2)
    environment.reset(seed=0)
    stay = dict.fromkeys(environment.agents, 0)
    assert environment.agents == environment.possible_agents
    assert not any(environment.step(stay)[3].values())
    _, _, terminations, truncations, _ = environment.step(stay)
    assert terminations == dict.fromkeys(environment.possible_agents, False)
    assert truncations == dict.fromkeys(environment.possible_agents, True)
    assert environment.agents == []
    assert environment.step({}) == ({}, {}, {}, {}, {})


def test_opening_all_boxes_terminates_for_pettingzoo_users():
    task = exchange.ExchangeTask(ExchangeTaskConfig(agents=2, grid=2), 1)
    environment = TaskParallelEnv(task, "exchange_v0")
    environment.reset(seed=0)
    task.place(agents=np.array([[0, 3]]), boxes=np.array([[3, 0]]))
    _, rewards, terminations, truncations, _ = environment.step({"agent_0": 4, "agent_1": 4})
    assert rewards == pytest.approx({"agent_0": 4.99, "agent_1": 4.99})
    assert terminations == {"agent_0": True, "agent_1": True}
    assert truncations == {"agent_0": False, "agent_1": False}


@own_environment
@pytest.mark.parametrize("action", [None, 6, -1, 1.5])
def test_an_action_outside_its_space_is_refused_by_name(module, action):
    environment = module.parallel_env()
    environment.reset(seed=0)
    actions = dict.fromkeys(environment.agents, 0) | {"agent_1": action}
    with pytest.raises(UserError, match=r"expected an action of agent_1 from 0 to \d, found"):
        environment.step({agent: action for agent, action in actions.items() if action is not None})


@own_environment
def test_names_follow_the_convention(module):
    environment = module.parallel_env()
    short = module.__name__.rpartition(".")[2]
    assert str(environment) == f"{short}_v0"
    assert environment.metadata["render_modes"] == ["ansi"]
    assert environment.possible_agents[:2] == ["agent_0", "agent_1"]
    environment.reset(seed=0)
    assert isinstance(environment.render(), str)
