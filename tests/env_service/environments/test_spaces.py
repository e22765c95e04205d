"""What agents of somebody's environment may see and do: flattened, padded and numbered, or refused with what goes."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, Sequence, Tuple
from gymnasium.spaces.utils import flatten
from test_user_environments import Plain, play, refusal, serve

from broker.errors import ScenarioError
from broker.seeding import generator
from env_service.config import PettingZooConfig
from env_service.environments import make_task
from env_service.environments.actions import number_actions
from env_service.environments.observed import flat, size_of
from env_service.environments.task import MOST_ACTIONS

PLACE = Box(-1, 1, (2, 2))
NESTED = Dict({"here": PLACE, "seen": Tuple((Discrete(3, start=1), MultiDiscrete([2, 3]))), "flags": MultiBinary(2)})


class Sees(Plain):
    """Both agents see what `spaces` says of them."""

    spaces = {"a": NESTED, "b": NESTED}
    given = None

    def observation_space(self, agent):
        return self.spaces[agent]

    def seen(self, agent):
        space = self.spaces[agent]
        space.seed(self.time)
        return space.sample() if self.given is None else self.given


def seeing(spaces, given=None, **methods):
    return type("Seeing", (Sees,), {"spaces": spaces, "given": given, **methods})


def without_state(self):
    raise NotImplementedError("no state")


def loading_refused(monkeypatch, build, **settings):
    with pytest.raises(ScenarioError) as caught:
        serve(monkeypatch, build, **settings)
    return caught.value.path, caught.value.problem


# What they see


@pytest.mark.parametrize(
    "space", [NESTED, Tuple((PLACE, Discrete(2))), MultiBinary(3), MultiDiscrete([[2, 3], [1, 2]])]
)
def test_observations_of_several_parts_are_flattened_as_gymnasium_does(monkeypatch, space):
    task = serve(monkeypatch, seeing({"a": space, "b": space}))
    task.reset(generator(0))
    space.seed(0)
    expected = flatten(space, space.sample())
    assert task.observation_size == size_of(space) == len(expected)
    assert np.array_equal(task.observations()[0, 0], np.float32(expected))


@pytest.mark.parametrize("space", [Sequence(PLACE), Graph(PLACE, None), Dict({"many": Sequence(PLACE)}), "a space"])
def test_observations_without_a_fixed_size_are_refused_by_agent_and_space(monkeypatch, space):
    path, problem = loading_refused(monkeypatch, seeing({"a": PLACE, "b": space}))
    assert path == "environment.observation"
    assert problem.startswith("expected an observation that has a fixed size when it is flat, found ")
    assert problem.endswith(" for b of toy")


@pytest.mark.parametrize(
    ("space", "given", "said"),
    [
        (Discrete(3), -1, "is -1, which does not fit Discrete(3)"),
        (Discrete(3, start=5), 4, "is 4, which does not fit"),
        (Discrete(3), 1.5, "is 1.5, which does not fit"),
        (MultiDiscrete([2, 3]), [2, 0], "is [2, 0], which does not fit"),
        (MultiDiscrete([2, 3]), [0, -1], "is [0, -1], which does not fit"),
        (MultiDiscrete([2, 3]), [0], "is [0], which does not fit"),
        (Box(0, 255, (1,), np.uint8), np.array([300]), "is array([300]), which does not fit"),
        (Box(0, 1, (1,), np.int8), np.array([5]), "is array([5]), which does not fit"),
        (Box(np.array([0, -2]), np.array([1, 2]), dtype=np.int64), [0, -3], "is [0, -3], which does not fit"),
        (Box(0, 1, (2,), np.bool_), [0, 7], "is [0, 7], which does not fit"),
        (MultiBinary(2), [0, 7], "is [0, 7], which does not fit MultiBinary(2)"),
        (MultiBinary(2), [0.5, 1], "is [0.5, 1], which does not fit MultiBinary(2)"),
        (MultiBinary(2), [0], "is [0], which does not fit MultiBinary(2)"),
        (MultiBinary(2), [np.nan, 1], "is nan in place 0 of 2"),
        (Dict({"x": PLACE}), {}, "is without 'x'"),
        (Dict({"x": PLACE}), [1, 2], "is [1, 2], which does not fit"),
        (Tuple((PLACE, PLACE)), (np.zeros((2, 2)),), "which does not fit"),
        (Dict({"x": PLACE, "y": Discrete(2)}), {"x": np.zeros((2, 2)), "y": 2}, "is 2, which does not fit Discrete(2)"),
        (Tuple((PLACE,)), ([np.nan] * 4,), "is nan"),
    ],
)
def test_what_flattening_would_hide_is_refused_by_agent_and_step(monkeypatch, space, given, said):
    text = refusal(monkeypatch, seeing({"a": space, "b": space}, given))
    assert text.startswith("environment: ")
    assert 'observation of "a" at step 0 ' in text
    assert said in text


def test_flat_observations_are_float32_and_of_the_size_that_was_said():
    NESTED.seed(0)
    found = flat("it", NESTED, NESTED.sample())
    assert (found.dtype, found.shape) == (np.float32, (size_of(NESTED),))


THREE_SIZES = {"a": Box(-1, 1, (3,)), "b": Box(-1, 1, (5,))}


def test_agents_that_see_different_numbers_of_values_without_a_state_are_offered_padding_alone(monkeypatch):
    build = seeing(THREE_SIZES, state=without_state)
    for observation in ("own", "state"):
        path, problem = loading_refused(monkeypatch, build, observation=observation)
        assert path == "environment.observation"
        assert 'environment.observation = "padded"' in problem
        assert '"own"' not in problem
        assert '"state"' not in problem
    assert serve(monkeypatch, build, observation="padded").observation_size == 5


def test_agents_that_see_different_numbers_of_values_are_offered_the_state_where_there_is_one():
    with pytest.raises(ScenarioError) as caught:
        make_task(PettingZooConfig(env="mpe2.simple_tag_v3", observation="own"), 1, 0)
    assert 'environment.observation = "padded" (filled up with zeros) or "state", which all see' in str(caught.value)


def test_padded_observations_are_ones_own_and_then_zeros(monkeypatch):
    class Ones(Sees):
        spaces = THREE_SIZES

        def seen(self, agent):
            return np.full(THREE_SIZES[agent].shape, 1 + self.time, np.float32)

    task = serve(monkeypatch, Ones, observation="padded", copies=2)
    play(task, steps=1)
    assert task.observations().tolist() == [[[2, 2, 2, 0, 0], [2, 2, 2, 2, 2]]] * 2


# What they do


class Acts(Plain):
    """Both agents do what `space` says; keeps what it was given."""

    space = None

    def action_space(self, agent):
        return self.space

    def step(self, actions):
        self.done = getattr(self, "done", [])
        self.done.append(actions)
        return super().step(actions)


def acting(space):
    return type("Acting", (Acts,), {"space": space})


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (Discrete(3, start=-1), 3),
        (MultiDiscrete([2, 3]), 6),
        (MultiDiscrete([[2, 3], [1, 2]], start=[[1, 1], [0, -1]]), 12),
        (MultiBinary(4), 16),
        (Tuple((Discrete(2), MultiDiscrete([3, 2]))), 12),
        (Dict({"move": Discrete(4), "shoot": MultiBinary(1)}), 8),
    ],
)
def test_every_combination_of_a_finite_space_is_one_action_and_each_another(space, count):
    numbered = number_actions(space)
    assert numbered.count == count
    actions = [numbered.decode(number) for number in range(count)]
    assert all(space.contains(action) for action in actions)
    assert len({repr(action) for action in actions}) == count


def test_the_last_part_of_a_combination_changes_fastest():
    decode = number_actions(MultiDiscrete([2, 3])).decode
    assert [decode(number).tolist() for number in range(6)] == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_an_environment_gets_combinations_as_its_space_has_them(monkeypatch):
    built = []

    def build():
        built.append(acting(MultiDiscrete([2, 3]))())
        return built[-1]

    task = serve(monkeypatch, build)
    assert task.action_counts == (6, 6)
    task.reset(generator(0))
    task.step(np.array([[4, 2]]))
    (done,) = built[0].done
    assert {agent: action.tolist() for agent, action in done.items()} == {"a": [1, 1], "b": [0, 2]}
    assert all(MultiDiscrete([2, 3]).contains(action) for action in done.values())


@pytest.mark.parametrize(
    "space", [MultiDiscrete([9] * 9), MultiBinary(100), Tuple((Discrete(MOST_ACTIONS), Discrete(2)))]
)
def test_more_combinations_than_a_network_can_tell_apart_are_refused_with_their_number(monkeypatch, space):
    path, problem = loading_refused(monkeypatch, acting(space))
    assert path == "environment.env"
    assert problem.startswith(f"expected at most {MOST_ACTIONS} combinations of actions, ")
    assert f"found {number_actions(space).count} in " in problem


def test_more_combinations_than_can_be_written_down_are_refused_by_their_power(monkeypatch):
    _, problem = loading_refused(monkeypatch, acting(MultiBinary((128, 128))))
    assert "found about 2**16384 in MultiBinary((128, 128))" in problem


@pytest.mark.parametrize("space", [Box(0, 1, (2,)), Tuple((Discrete(2), Box(0, 1, (2,)))), Sequence(Discrete(2)), None])
def test_actions_that_cannot_be_numbered_are_refused_with_what_could_be_done(monkeypatch, space):
    path, problem = loading_refused(monkeypatch, acting(space))
    assert path == "environment.env"
    assert problem.startswith("expected Discrete actions or combinations of such, found ")
    assert "docs/environments.md" in problem
    assert "continuous_actions" in problem


def test_continuous_actions_that_an_option_asked_for_are_refused_at_that_option():
    options = {"continuous_actions": True}
    with pytest.raises(ScenarioError) as caught:
        make_task(PettingZooConfig(env="mpe2.simple_spread_v3", options=options), 1, 0)
    assert caught.value.path == "environment.options.continuous_actions"
    assert "found Box(0.0, 1.0, (5,), float32) for agent_0 of mpe2.simple_spread_v3" in caught.value.problem
    assert caught.value.problem.endswith("Set continuous_actions = false")
