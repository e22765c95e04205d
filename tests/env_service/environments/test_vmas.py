"""Scenarios of VMAS as tasks: VMAS's own, all copies at once, from a seed; what cannot be served is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runs import foretell, summary

from broker.arithmetic.draws import integers
from broker.errors import ScenarioError, UserCodeFailed, UserCodeRefused
from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import VmasConfig
from env_service.environments import make_task
from env_service.environments.vmas.opening import open_game
from env_service.environments.vmas.task import REMEMBERING, VmasTask

vmas = pytest.importorskip("vmas")
torch = pytest.importorskip("torch")

RUNNING, TERMINATED, TRUNCATED = Ended
COPIES = 3


def serve(env="navigation", copies=COPIES, seed=0, **settings):
    return make_task(VmasConfig(env=env, **settings), copies, seed)


def actions_of(task, random, copies=COPIES):
    return np.concatenate([integers(random, count, (copies, 1)) for count in task.action_counts], axis=1)


def episode(task, seed, steps=6):
    """All that is seen of an episode with random actions."""
    task.reset(generator(seed))
    random, seen = generator(seed, "actions"), [task.observations(), task.positions()]
    for _ in range(steps):
        outcome = task.step(actions_of(task, random))
        seen += [outcome.rewards, outcome.ended, task.observations(), task.positions()]
    return seen


def same(left, right):
    return all(np.array_equal(one, two) for one, two in zip(left, right, strict=True))


def ending(task, *copies):
    """Let VMAS say from now on that `copies` are over."""
    task._game.scenario.done = lambda: torch.tensor([copy in copies for copy in range(COPIES)])


def refusal(env="navigation", **settings):
    with pytest.raises(ScenarioError) as caught:
        serve(env, **settings)
    return caught.value.path, caught.value.problem


@pytest.mark.parametrize("env", ["navigation", "simple_tag", "football"])
def test_an_episode_is_the_one_that_vmas_plays_from_the_same_seed(env):
    task = serve(env, observation="padded")
    task.reset(generator(3))
    random = generator(4)
    actions = [actions_of(task, random) for _ in range(8)]
    plain = vmas.make_env(env, COPIES, continuous_actions=False)
    observed = [plain.reset(seed=int(integers(generator(3), 2**31, (1,))[0]))]
    places = [[agent.state.pos for agent in plain.agents]]
    rewards = []
    for chosen in actions:
        seen, gained, _, _ = plain.step(list(chosen.T))
        observed.append(seen)
        places.append([agent.state.pos for agent in plain.agents])
        rewards.append(torch.stack(gained, dim=1))
    for step, chosen in enumerate(actions):
        for index, observation in enumerate(observed[step]):
            np.testing.assert_array_equal(task.observations()[:, index, : observation.shape[1]], observation.numpy())
        np.testing.assert_array_equal(task.positions(), torch.stack(places[step], dim=1).numpy())
        np.testing.assert_array_equal(task.step(chosen).rewards, rewards[step].numpy(), err_msg=f"step {step}")


def test_agents_and_actions_are_those_of_the_scenario_with_its_options():
    task = serve(options={"n_agents": 2})
    assert task.agent_names == ("agent_0", "agent_1")
    assert task.action_counts == (9, 9)
    assert (serve("simple_speaker_listener").action_counts, task.action_masks()) == ((27, 9), None)


def test_each_sees_its_own_or_all_see_what_all_see():
    padded, state = (serve("simple_push", observation=what) for what in ("padded", "state"))
    for task in (padded, state):
        task.reset(generator(1))
    assert padded.observations().shape == (COPIES, 2, 19)
    assert not padded.observations()[:, 0, 8:].any()
    together = np.concatenate((padded.observations()[:, 0, :8], padded.observations()[:, 1]), axis=1)
    np.testing.assert_array_equal(state.observations(), together)
    assert serve(observation="own").observation_size == 18


def test_parts_of_an_observation_stand_one_behind_the_other():
    task = serve(observation="own")
    task._game.scenario.observation = lambda agent: {"a": agent.state.pos, "b": torch.ones(COPIES, 16)}
    task.reset(generator(1))
    np.testing.assert_array_equal(task.observations()[:, :, :2], task.positions())
    assert (task.observations()[:, :, 2:] == 1).all()


def test_a_copy_that_is_over_is_frozen_and_the_others_go_on():
    task = serve(steps=3)
    task.reset(generator(0))
    ending(task, 1)
    first = task.step(np.full((COPIES, 4), 5))
    assert first.ended.tolist() == [[RUNNING] * 4, [TERMINATED] * 4, [RUNNING] * 4]
    assert first.rewards[1].any()
    seen, places = task.observations(), task.positions()
    ending(task)
    for cut in (RUNNING, TRUNCATED):
        outcome = task.step(np.full((COPIES, 4), 5))
        assert outcome.ended.tolist() == [[cut] * 4, [TERMINATED] * 4, [cut] * 4]
        assert not outcome.rewards[1].any()
        assert outcome.rewards[0].any()
    for before, after in ((seen, task.observations()), (places, task.positions())):
        np.testing.assert_array_equal(after[1], before[1])
        assert not np.array_equal(after[0], before[0])


@pytest.mark.parametrize("env", ["football", *REMEMBERING])
def test_an_episode_hangs_on_its_seed_alone(env):
    options = {"n_agents": 3, "n_nearing_agents_observed": 1} if env == "road_traffic" else {}
    used, fresh = (serve(env, seed=seed, options=options) for seed in (1, 2))
    before = episode(used, 5, steps=2)
    torch.manual_seed(7)
    found = episode(used, 6, steps=2)
    assert same(found, episode(fresh, 6, steps=2))
    assert not same(found, before)


def test_games_that_take_turns_draw_each_from_streams_of_their_own():
    tasks = [serve("football"), serve("football")]
    alone = [episode(task, 8) for task in tasks]
    assert same(*alone)
    for task in tasks:
        task.reset(generator(8))
    randoms = [generator(8, "actions") for _ in tasks]
    for step in range(6):
        for task, random in zip(tasks, randoms, strict=True):
            outcome = task.step(actions_of(task, random))
            np.testing.assert_array_equal(outcome.rewards, alone[0][2 + 4 * step])
            np.testing.assert_array_equal(task.observations(), alone[0][4 + 4 * step])


def test_what_is_drawn_while_a_game_is_made_follows_from_the_seed():
    drawn = []
    for seed in (1, 1, 2):
        _, streams = open_game(VmasConfig(env="navigation"), COPIES, seed)
        episode(serve("football"), seed)
        drawn.append(streams._own[0].tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_the_process_draws_from_is_left_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    episode(serve("football"), 1)
    assert torch.equal(torch.rand(2), expected)


def test_a_scenario_that_vmas_does_not_have_is_answered_with_the_one_that_is_meant():
    assert refusal("navigatoin") == ("environment.env", "VMAS has no scenario navigatoin. Did you mean navigation?")
    assert "It has asym_joint, balance," in refusal("zzz")[1]


def test_options_that_are_not_the_scenarios_are_refused():
    path, problem = refusal(options={"n_agent": 3})
    assert path == "environment.options"
    assert "{'n_agent': 3} passed but not used by the scenario" in problem
    path, problem = refusal(options={"num_envs": 3, "seed": 1})
    assert (path, "found num_envs, seed, which Foretell decides" in problem) == ("environment.options", True)
    path, problem = refusal(options={"n_agents": "x"})
    assert (path, "TypeError" in problem) == ("environment.options", True)


def test_agents_that_see_different_numbers_of_values_are_offered_what_goes():
    path, problem = refusal("simple_push", observation="own")
    assert path == "environment.observation"
    assert "adversary_0 sees 8 and agent_0 sees 19" in problem
    assert '"padded"' in problem


def test_what_a_game_raises_is_one_sentence_with_its_source():
    task = serve()
    task.reset(generator(0))
    task._game.scenario.reward = lambda agent: 1 / 0
    with pytest.raises(UserCodeFailed, match=r"step\(\) of vmas navigation raised ZeroDivisionError"):
        task.step(np.zeros((COPIES, 4), np.int64))


def test_a_number_that_nobody_can_use_is_refused_by_agent_and_step_unless_its_copy_is_over():
    task = serve()
    task.reset(generator(0))
    spoiled = torch.tensor([0.0, torch.nan, 0.0])
    ending(task, 1)
    task.step(np.zeros((COPIES, 4), np.int64))
    task._game.scenario.reward = lambda agent: spoiled
    assert not task.step(np.zeros((COPIES, 4), np.int64)).rewards.any()
    task._game.scenario.reward = lambda agent: spoiled.flip(0) + spoiled.roll(1)
    with pytest.raises(UserCodeRefused, match=r'reward of "agent_0" at step 3 is nan in place 1 of 2'):
        task.step(np.zeros((COPIES, 4), np.int64))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.zeros(COPIES, 3), "has 3 numbers, expected 18 as at first"),
        (torch.zeros(2, 18), "is Tensor"),
        (None, "raised"),
    ],
)
def test_an_observation_of_another_shape_is_refused(given, said):
    task = serve(observation="own")
    task._game.scenario.observation = lambda agent: given
    with pytest.raises(UserCodeFailed, match=said):
        task.reset(generator(0))


def test_too_many_actions_are_refused(monkeypatch):
    monkeypatch.setattr("env_service.environments.given.MOST_ACTIONS", 8)
    path, problem = refusal()
    assert (path, "found 9 for agent_0 of navigation" in problem) == ("environment.env", True)


def test_it_is_the_task_of_its_kind():
    assert isinstance(serve(), VmasTask)


@pytest.mark.processes
@pytest.mark.long
def test_processes_give_the_digests_of_the_simulation(tmp_path: Path):
    document = tmp_path / "mine.toml"
    document.write_text(
        'name = "mine"\nseed = 1\nepisodes = 2\nparallel_episodes = 2\ntopology = { kind = "complete" }\n'
        'environment = { kind = "vmas", env = "navigation", steps = 4, options = { n_agents = 2 } }\n'
        "learning = { rounds = 1, hidden = [4], actor_learning_rate = 0.01, critic_learning_rate = 0.01 }\n"
    )
    digests = []
    for way in ("simulate", "run"):
        done = foretell(way, str(document), "--out", str(tmp_path / way))
        assert done.returncode == 0, done.stderr
        assert "Gym" not in done.stdout + done.stderr
        digests.append([summary(tmp_path / way)[f"{kind}_digest"] for kind in ("curve", "weights")])
    assert digests[0] == digests[1]
