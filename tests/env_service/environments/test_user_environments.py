"""An environment that somebody brought: what it must not give is refused at its source, and what it draws is held."""

# ruff: noqa: NPY002 - the legacy generators of the process are what it is about

from __future__ import annotations

import random
import sys
from decimal import Decimal
from types import ModuleType

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

from broker.errors import ScenarioError, UserCodeFailed, UserCodeRefused
from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import PettingZooConfig
from env_service.environments import make_task
from env_service.environments.given import flag_of
from env_service.environments.task import Float, Integer
from env_service.trial import play_once

RUNNING, TERMINATED, _ = Ended
HUGE = 1e39


class Plain(ParallelEnv):
    """Agents a and b; every test breaks one thing of it."""

    metadata = {"name": "plain_v0"}
    possible_agents = ["a", "b"]

    def __init__(self):
        self.agents = []

    def observation_space(self, agent):
        return Box(-1, 1, (2,))

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        return self.look(), {}

    def step(self, actions):
        self.time += 1
        return self.look(), self.rewards(), self.flags(), self.cut(), {}

    def look(self):
        return {agent: self.seen(agent) for agent in self.agents}

    def seen(self, agent):
        return np.zeros(2, np.float32)

    def rewards(self):
        return dict.fromkeys(self.agents, 1.0)

    def flags(self):
        return {}

    def cut(self):
        return {}

    def state(self):
        return np.zeros(2)


def serve(monkeypatch, build, *, copies=1, observation="own", seed=0):
    module = ModuleType("toy")
    module.parallel_env = build
    monkeypatch.setitem(sys.modules, "toy", module)
    return make_task(PettingZooConfig(env="toy", steps=10, observation=observation), copies, seed)


def play(task, steps=3, seed=0):
    task.reset(generator(seed))
    copies = len(task.observations())
    return [task.step(np.zeros((copies, 2), np.int64)) for _ in range(steps)]


def refusal(monkeypatch, build, kind=UserCodeRefused, **settings):
    with pytest.raises(kind) as caught:
        play(serve(monkeypatch, build, **settings))
    assert type(caught.value) is kind
    return str(caught.value)


def giving(**methods):
    return type("Broken", (Plain,), methods)


def rewarding(value):
    return giving(rewards=lambda self: {"a": value if self.time == 3 else 1.0, "b": 0.0})


class Unwilling:
    """A value whose type does not want to be converted, as a tensor that is differentiated does not."""

    def __array__(self, *_, **__):
        raise RuntimeError("detach it first")

    def __bool__(self):
        raise RuntimeError("which of them?")

    def __repr__(self):
        return "unwilling"


def test_a_flag_that_does_not_want_to_be_one_is_refused_by_agent_and_step():
    with pytest.raises(UserCodeRefused, match='termination of "a" at step 3 is unwilling, expected True or False'):
        flag_of("a", Unwilling(), "termination", 3)


# When it is closed


class Held(Plain):
    """Counts who is open; every test lets something of it fail."""

    open = 0

    def __init__(self):
        super().__init__()
        type(self).open += 1

    def close(self):
        type(self).open -= 1


def holding(**methods):
    return type("Holding", (Held,), methods)


def broken(self, *_, **__):
    raise RuntimeError("broken")


def broken_after_closing(self):
    Held.close(self)
    raise RuntimeError("the window is gone")


def test_all_copies_are_closed_and_what_one_raised_is_said(monkeypatch):
    build = holding(close=broken_after_closing)
    task = serve(monkeypatch, build, copies=3)
    assert build.open == 3
    with pytest.raises(UserCodeFailed, match=r"close\(\) of toy raised RuntimeError: the window is gone"):
        task.close()
    assert build.open == 0


@pytest.mark.parametrize("close", [Held.close, broken_after_closing])
def test_copies_that_were_made_before_one_cannot_be_are_closed_and_that_one_is_said(monkeypatch, close):
    def third_fails(self):
        if type(self).open == 2:
            raise RuntimeError("no third window")
        Held.__init__(self)

    build = holding(__init__=third_fails, close=close)
    with pytest.raises(ScenarioError, match="no third window"):
        serve(monkeypatch, build, copies=3)
    assert build.open == 0


def test_copies_that_cannot_be_served_are_closed(monkeypatch):
    build = holding(action_space=lambda *_: Box(0, 1, (2,)))
    with pytest.raises(ScenarioError, match="expected Discrete actions"):
        serve(monkeypatch, build, copies=2)
    assert build.open == 0


@pytest.mark.parametrize("close", [Held.close, broken_after_closing])
@pytest.mark.parametrize("call", ["reset", "step"])
def test_a_trial_that_fails_closes_it_and_says_what_failed_first(monkeypatch, call, close):
    build = holding(**{call: broken, "close": close})
    serve(monkeypatch, Plain)
    sys.modules["toy"].parallel_env = build
    with pytest.raises(UserCodeFailed, match=rf"{call}\(.* of toy raised RuntimeError: broken"):
        play_once(PettingZooConfig(env="toy", observation="own", action_masks="off"), 0)
    assert build.open == 0


@pytest.mark.parametrize("value", [float("nan"), 2, -1, 0.5, None, "no", [], np.zeros(2)])
def test_what_is_neither_true_nor_false_is_no_flag(value):
    with pytest.raises(UserCodeRefused, match=r'termination of "a" at step 3 is .*, expected True or False'):
        flag_of("a", value, "termination", 3)


@pytest.mark.parametrize("one", [True, 1, 1.0, np.True_, np.int8(1), np.array(True), np.array([1]), torch.tensor(True)])
def test_true_and_1_of_any_kind_are_a_flag(one):
    assert flag_of("a", one, "termination", 3) is True
    assert flag_of("a", one * 0, "termination", 3) is False


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "is nan"),
        (np.float32("nan"), "is nan"),
        (np.array([np.nan]), "is nan"),
        (float("inf"), "is inf"),
        (-np.inf, "is -inf"),
        (None, "is None"),
        (HUGE, "is 1e+39, beyond float32"),
        (10**400, "beyond float32"),
        ("much", "is 'much', expected numbers"),
        (1j, "is 1j, expected numbers"),
        (np.zeros(2), "has shape (2,), expected one number"),
        (np.zeros(0), "has shape (0,), expected one number"),
        ({"a": 1}, "is {'a': 1}, expected numbers"),
        (Unwilling(), "is unwilling, expected numbers"),
    ],
)
def test_a_reward_that_is_no_number_for_float32_is_refused_by_agent_and_step(monkeypatch, value, said):
    text = refusal(monkeypatch, rewarding(value))
    assert text.startswith('environment: reward of "a" at step 3 ')
    assert said in text


def test_a_reward_that_is_missing_for_an_agent_that_was_there_is_refused_by_agent_and_step(monkeypatch):
    build = giving(rewards=lambda self: {"b": 0.0} if self.time == 2 else {"a": 1.0, "b": 0.0})
    assert refusal(monkeypatch, build) == 'environment: reward of "a" at step 2 is missing'


@pytest.mark.parametrize("value", [1, True, np.float32(0.5), np.float64(-3), np.array([2.0]), Decimal("0.25"), 3e38])
def test_any_other_number_is_a_reward(monkeypatch, value):
    outcome = play(serve(monkeypatch, rewarding(value)))[-1]
    assert outcome.rewards[0, 0] == np.float32(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([0, float("nan")], "is nan in place 1 of 2"),
        (np.array([0, np.nan], np.float32), "is nan in place 1 of 2"),
        (np.zeros(1, np.float32), "has 1 number, expected 2"),
        ([HUGE, 0], "is 1e+39, beyond float32 in place 0 of 2"),
        (None, "is None"),
        ([], "has 0 numbers, expected 2"),
        ([0.0], "has 1 number, expected 2"),
        ([0, 0, 0], "has 3 numbers, expected 2"),
        (["left", "right"], "expected numbers"),
    ],
)
def test_an_observation_that_cannot_be_sent_is_refused_by_agent_and_step(monkeypatch, value, said):
    fine = np.zeros(2, np.float32)
    build = giving(seen=lambda self, agent: value if (agent, self.time) == ("b", 2) else fine)
    text = refusal(monkeypatch, build)
    assert text.startswith('environment: observation of "b" at step 2 ')
    assert said in text


def test_nan_among_whole_numbers_is_refused_although_a_cast_would_hide_it(monkeypatch):
    build = giving(observation_space=lambda *_: Box(0, 9, (2,), np.int32), seen=lambda *_: [1.0, float("nan")])
    assert 'observation of "a" at step 0 is nan' in refusal(monkeypatch, build)


def test_a_discrete_observation_outside_its_space_is_refused(monkeypatch):
    build = giving(observation_space=lambda *_: Discrete(3), seen=lambda *_: 7)
    assert 'observation of "a" at step 0 is 7, which does not fit Discrete(3)' in refusal(monkeypatch, build)


def test_a_state_that_cannot_be_sent_is_refused(monkeypatch):
    build = giving(state=lambda self: np.array([0, np.inf if self.time == 1 else 0]))
    assert "environment: state at step 1 is inf in place 1 of 2" in refusal(monkeypatch, build, observation="state")


@pytest.mark.parametrize("shape", [3, (1, 3), 0])
def test_a_state_that_changes_its_size_while_it_is_played_is_refused_by_step(monkeypatch, shape):
    build = giving(state=lambda self: np.zeros(shape if self.time == 2 else 2))
    found = f"{np.zeros(shape).size} numbers"
    said = refusal(monkeypatch, build, observation="state")
    assert said == f"environment: state at step 2 has {found}, expected 2 as at first"


def test_an_agent_that_is_there_from_the_beginning_without_an_observation_is_refused(monkeypatch):
    assert 'observation of "a" at step 0 is missing' in refusal(monkeypatch, giving(look=lambda _: {}))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_agent_that_is_there_and_is_told_nothing_later_is_refused_by_agent_and_step(monkeypatch, dtype):
    def look(self):
        seen = {agent: np.zeros(2, dtype) for agent in self.agents}
        return seen if self.time < 2 else {"a": seen["a"]}

    assert 'observation of "b" at step 2 is missing, although' in refusal(monkeypatch, giving(look=look))


def test_one_that_has_ended_needs_no_observation_wherever_it_stays(monkeypatch):
    build = giving(
        look=lambda self: {agent: np.zeros(2, np.float32) for agent in self.agents if agent == "a" or self.time < 1},
        flags=lambda self: {"b": self.time >= 1},
    )
    assert play(serve(monkeypatch, build))[-1].ended.tolist() == [[RUNNING, TERMINATED]]


@pytest.mark.parametrize("observation", ["own", "state"])
def test_observations_of_no_numbers_are_refused_when_the_scenario_is_loaded(monkeypatch, observation):
    build = giving(observation_space=lambda *_: Box(0, 1, (0,)), state=lambda _: np.zeros(0))
    with pytest.raises(ScenarioError, match="at least one number"):
        serve(monkeypatch, build, observation=observation)


def test_an_agent_that_joins_although_nobody_knew_it_is_refused(monkeypatch):
    def flags(self):
        self.agents = ["a", "b", "c"]
        return {}

    text = refusal(monkeypatch, giving(flags=flags))
    assert text == 'environment: agent "c" at step 1 is none of possible_agents (a, b)'


@pytest.mark.parametrize(
    ("broken", "what", "name"),
    [
        ({"flags": lambda self: {"__all__": self.time >= 2}}, "terminations at step 1", "__all__"),
        ({"flags": lambda self: {"a": False, "bb": True} if self.time == 3 else {}}, "terminations at step 3", "bb"),
        ({"cut": lambda self: {"__all__": self.time >= 2}}, "truncations at step 1", "__all__"),
        ({"rewards": lambda self: {"a": 1.0, "b": 1.0, "boss": 5.0}}, "rewards at step 1", "boss"),
    ],
)
def test_a_flag_or_reward_of_nobody_is_refused_by_its_name_and_step(monkeypatch, broken, what, name):
    said = f'environment: {what} are about "{name}", which is none of possible_agents (a, b): each agent has its own'
    assert refusal(monkeypatch, giving(**broken)) == said


def test_flags_and_rewards_of_agents_that_have_ended_are_no_mistake(monkeypatch):
    def flags(self):
        self.agents = ["b"]
        return {"a": True, "b": False}

    outcomes = play(serve(monkeypatch, giving(flags=flags, rewards=lambda _: {"a": 7.0, "b": 1.0})))
    assert [outcome.rewards[0].tolist() for outcome in outcomes] == [[7, 1], [0, 1], [0, 1]]
    assert all(outcome.ended.tolist() == [[TERMINATED, RUNNING]] for outcome in outcomes)


def test_infos_may_be_about_anybody(monkeypatch):
    infos = {"a": {}, "__common__": {"seen": 3}}
    build = giving(step=lambda self, actions: (*Plain.step(self, actions)[:-1], infos))
    assert len(play(serve(monkeypatch, build))) == 3


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"reset": lambda self, seed=None: {}}, "reset(seed=...) gave dict, expected 2: observations, infos"),
        ({"step": lambda self, _: (1, 2, 3, 4)}, "step() gave 4 values, expected 5: observations, rewards,"),
        ({"rewards": lambda _: [1, 2]}, "rewards at step 1 are list, expected a dict by agent"),
        ({"flags": lambda _: {"a": np.array([True, False])}}, 'termination of "a" at step 1 is array'),
        ({"look": lambda _: None}, "observations at step 0 are NoneType, expected a dict by agent"),
    ],
)
def test_what_does_not_look_like_pettingzoo_is_refused(monkeypatch, broken, said):
    assert f"environment: {said}" in refusal(monkeypatch, giving(**broken))


def test_a_reset_without_seed_is_said_with_the_call(monkeypatch):
    text = refusal(monkeypatch, giving(reset=lambda self: ({}, {})), UserCodeFailed)
    assert text.startswith("environment: reset(seed=...) of toy raised TypeError: ")
    assert "unexpected keyword argument 'seed'" in text


@pytest.mark.parametrize("call", ["reset", "step", "state", "observation_space", "action_space", "close"])
def test_whatever_part_of_it_raises_becomes_one_line(monkeypatch, call):
    def broken(self, *_, **__):
        raise RuntimeError("out of\n\n  \x1b[31mfuel" + "!" * 1000)

    with pytest.raises(UserCodeFailed) as caught:  # noqa: PT012 - whichever part it is
        task = serve(monkeypatch, giving(**{call: broken}), observation="state" if call == "state" else "own")
        play(task)
        task.close()
    assert f"{call}(" in str(caught.value)
    assert " of toy raised RuntimeError: out of [31mfuel!!!" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_sentence_shows_the_last_line_of_the_users_own_package(tmp_path, monkeypatch):
    (tmp_path / "brought_v0.py").write_text(
        "import json\n"
        "from test_user_environments import Plain\n"
        "class parallel_env(Plain):\n"
        "    def step(self, actions):\n"
        "        return json.loads('{')  # mine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserCodeFailed) as caught:
        play(make_task(PettingZooConfig(env="brought_v0", observation="own"), 1, 0))
    assert "step() of brought_v0 raised JSONDecodeError: " in str(caught.value)
    assert str(caught.value).endswith("(brought_v0.py, line 5: return json.loads('{') # mine)")


def test_an_environment_that_wants_to_end_the_process_has_failed(monkeypatch):
    assert "step() of toy raised SystemExit: 0" in refusal(
        monkeypatch, giving(step=lambda *_: sys.exit(0)), UserCodeFailed
    )


def test_an_agent_that_vanishes_without_a_flag_has_ended_and_is_said_once(monkeypatch):
    def flags(self):
        self.agents = ["b"] if self.time >= 2 else ["a", "b"]
        return {}

    task = serve(monkeypatch, giving(flags=flags), copies=2)
    first, second, third = play(task)
    assert (first.ended == RUNNING).all()
    assert first.notes == ()
    assert second.ended.tolist() == third.ended.tolist() == [[TERMINATED, RUNNING]] * 2
    (said,) = second.notes
    assert 'agent "a" is not among `agents` after step 2' in said
    assert third.notes == ()
    assert not any(outcome.notes for outcome in play(task, seed=1))


def forgetful(self, seed=None, options=None):
    self.time = 0
    return {agent: np.zeros(2, np.float32) for agent in self.possible_agents}, {}


def emptied(self):
    self.agents = [] if (ends := self.time >= 2) else self.agents
    return dict.fromkeys(self.possible_agents, ends)


def begun_full(self):
    self.agents = list(self.possible_agents)


@pytest.mark.parametrize("observation", ["own", "state"])
def test_a_reset_after_which_nobody_is_there_is_refused_in_the_first_episode(monkeypatch, observation):
    said = refusal(monkeypatch, giving(reset=forgetful), observation=observation)
    assert said.startswith("environment: reset(seed=...) left nobody in `agents`: expected those that begin.")


def test_a_reset_that_brings_nobody_back_is_refused_in_the_second_episode(monkeypatch):
    build = giving(__init__=begun_full, reset=forgetful, flags=emptied, rewards=lambda _: {"a": 1.0, "b": 1.0})
    task = serve(monkeypatch, build)
    assert play(task)[1].ended.tolist() == [[TERMINATED, TERMINATED]]
    with pytest.raises(UserCodeRefused, match=r"reset\(seed=...\) left nobody in `agents`"):
        play(task)


ONCE = "expected {}, found a generator, which can be looked through only once: make a list of it"


@pytest.mark.parametrize("observation", ["own", "state"])
def test_agents_that_can_be_looked_through_only_once_are_refused_as_what_they_are(monkeypatch, observation):
    def flags(self):
        self.agents = (agent for agent in ("a", "b"))
        return {}

    always = property(lambda self: (agent for agent in self.possible_agents), lambda *_: None)
    expected = ONCE.format("`agents` at step {} to be a list")
    said = refusal(monkeypatch, giving(agents=always), observation=observation)
    assert said == f"environment: {expected.format(0)}"
    assert refusal(monkeypatch, giving(flags=flags), observation=observation) == f"environment: {expected.format(1)}"


def test_possible_agents_that_can_be_looked_through_only_once_are_refused(monkeypatch):
    with pytest.raises(ScenarioError) as caught:
        serve(monkeypatch, giving(possible_agents=(agent for agent in "ab")))
    assert caught.value.path == "environment.env"
    assert ONCE.format("possible_agents of toy to be a list") in str(caught.value)


def test_agents_may_be_a_tuple_a_set_or_the_keys_of_a_dict(monkeypatch):
    for kind in (tuple, set, dict.fromkeys, lambda names: dict.fromkeys(names).keys()):
        agents = property(lambda self, kind=kind: kind(self.possible_agents), lambda *_: None)
        (outcome,) = play(serve(monkeypatch, giving(agents=agents)), steps=1)
        assert outcome.rewards.tolist() == [[1.0, 1.0]]


def test_one_that_a_later_reset_does_not_bring_back_is_said_once(monkeypatch):
    def flags(self):
        self.agents, dead = [agent for agent in self.agents if agent == "b" or self.time < 2], self.time >= 2
        return {"a": dead}

    def look(self):
        return {agent: np.zeros(2, np.float32) for agent in self.possible_agents}

    def reset(self, seed=None, options=None):
        self.time = 0
        return self.look(), {}

    task = serve(monkeypatch, giving(__init__=begun_full, reset=reset, look=look, flags=flags), copies=2)
    assert not any(outcome.notes for outcome in play(task))
    first, *others = play(task)
    (said,) = first.notes
    assert said.startswith('agent "a" is not among `agents` after a reset, although another episode began with it: ')
    assert not any(outcome.notes for outcome in (*others, *play(task)))


def test_one_that_has_not_come_yet_has_not_vanished(monkeypatch):
    def reset(self, seed=None):
        self.agents, self.time = ["a"], 0
        return {"a": [0, 0]}, {}

    (outcome,) = play(serve(monkeypatch, giving(reset=reset)), steps=1)
    assert outcome.ended.tolist() == [[RUNNING, RUNNING]]
    assert outcome.notes == ()


# What it draws


def sampled(self, agent):
    self.spaces = getattr(self, "spaces", {}) or {each: Box(-1, 1, (2,), np.float32) for each in self.possible_agents}
    return self.spaces[agent].sample()


def counting(self, seed=None, options=None):
    self.begun = getattr(self, "begun", 0) + 1
    return Plain.reset(self, seed)


def seeded(self, seed=None, options=None):
    self.rng = np.random.default_rng(seed)
    return Plain.reset(self, seed)


@pytest.mark.parametrize(
    ("methods", "observation", "unlike"),
    [
        ({"seen": sampled}, "own", 'observation of "a" after reset'),
        ({"reset": counting, "state": lambda self: [self.begun, 0]}, "state", "state after reset"),
        (
            {"reset": counting, "rewards": lambda self: {"a": 1.0, "b": self.begun}},
            "own",
            'reward of "b" after step 1',
        ),
        ({"reset": counting, "flags": lambda self: {"b": self.begun > 1}}, "own", 'end of "b" after step 1'),
        ({"reset": seeded, "seen": lambda self, _: self.rng.random(2, np.float32)}, "own", ""),
        ({"seen": lambda *_: np.random.rand(2)}, "own", ""),
    ],
)
def test_a_trial_says_what_was_another_although_the_seed_was_the_same(monkeypatch, methods, observation, unlike):
    serve(monkeypatch, giving(**methods))
    assert play_once(PettingZooConfig(env="toy", observation=observation, action_masks="off"), 0) == unlike


class Gambler(Plain):
    """Sees what the generators of the process gave, in the making, in `reset` and in every step."""

    def __init__(self):
        super().__init__()
        self.drawn = self.draw()

    def draw(self):
        return [random.random(), np.random.rand(), np.random.randn(), torch.rand(()).item()]

    def observation_space(self, agent):
        return Box(-9, 9, (8,))

    def reset(self, seed=None, options=None):
        self.first = self.draw()
        return super().reset(seed)

    def seen(self, agent):
        return np.float32([*(self.drawn if not self.time else self.first), *self.draw()])


def seen_by(task, seed=0, steps=2) -> list[Float]:
    task.reset(generator(seed))
    seen = [task.observations()]
    nothing: Integer = np.zeros((len(seen[0]), 2), np.int64)
    for _ in range(steps):
        task.step(nothing)
        seen.append(task.observations())
    return seen


def test_what_an_environment_draws_from_the_generators_of_its_process_follows_from_the_seed(monkeypatch):
    seen = []
    for disturbance in range(2):
        random.seed(disturbance)
        np.random.seed(disturbance)
        torch.manual_seed(disturbance)
        task = serve(monkeypatch, Gambler, copies=2, seed=5)
        seen_by(task, steps=disturbance)  # another episode before, of another length: nothing of it stays
        seen.append(np.array(seen_by(task, seed=7)))
        assert len(np.unique(seen[-1][:, :, 0])) > 20
    assert np.array_equal(*seen)
    assert not np.array_equal(seen[0][..., 4:], np.array(seen_by(task, seed=8))[..., 4:])


def test_a_copy_draws_the_same_however_many_others_there_are(monkeypatch):
    alone, among = (np.array(seen_by(serve(monkeypatch, Gambler, copies=copies), seed=7)) for copies in (1, 3))
    assert np.array_equal(alone[:, 0], among[:, 0])


def test_the_callers_generators_go_on_as_if_no_environment_had_drawn(monkeypatch):
    def begin():
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)
        random.gauss()
        np.random.randn()  # the second half of the pair waits

    def go_on():
        return random.gauss(), random.random(), np.random.randn(), np.random.rand(), torch.rand(()).item()

    begin()
    expected = go_on()
    begin()
    task = serve(monkeypatch, Gambler, copies=2)
    seen_by(task)
    task.close()
    assert go_on() == expected


def test_the_callers_generators_come_back_after_an_environment_that_raised(monkeypatch):
    def broken(self, _):
        random.seed(1)
        np.random.seed(1)
        raise RuntimeError

    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    with pytest.raises(UserCodeFailed):
        play(serve(monkeypatch, giving(step=broken)))
    assert (random.random(), np.random.rand()) == expected


def test_what_a_module_draws_when_it_is_imported_is_the_same_in_every_process(tmp_path, monkeypatch):
    drawn = []
    for number in range(2):
        (tmp_path / f"drawn_{number}.py").write_text(
            "import random\n"
            "from test_user_environments import Plain\n"
            "DRAWN = random.random()\n"
            "class parallel_env(Plain): pass\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    for number in range(2):
        random.seed(number)
        make_task(PettingZooConfig(env=f"drawn_{number}", observation="own"), 1, seed=number)
        drawn.append(sys.modules[f"drawn_{number}"].DRAWN)
    assert drawn[0] == drawn[1]


# What agents are called

HOSTILE = {
    1: "1",
    "1": "1",
    "a\nb": "a b",
    "\x1b[2Jc": "[2Jc",
    "x" * 999: "x" * 60 + "...",
    "": "''",
    "\ud800": "'\\ud800'",
}


def calling_them(*names, **methods):
    return giving(possible_agents=[*names], **methods)


@pytest.mark.parametrize("observation", ["own", "state"])
def test_a_name_is_the_text_of_an_agent_on_one_line_not_too_long_and_not_empty(monkeypatch, observation):
    task = serve(monkeypatch, calling_them(*HOSTILE), observation=observation)
    assert task.agent_names == tuple(HOSTILE.values())
    for name in task.agent_names:
        assert name.isprintable()
        name.encode()


@pytest.mark.parametrize(
    "broken",
    [
        {"rewards": lambda self: dict.fromkeys(self.agents, None)},
        {"seen": lambda self, agent: [0, 0] if self.time < 1 else None},
        {"flags": lambda self: dict.fromkeys(self.agents, np.zeros(2))},
    ],
    ids=["reward", "observation", "flag"],
)
def test_a_refusal_is_one_line_whatever_the_agent_is_called(monkeypatch, broken):
    text = refusal(monkeypatch, calling_them("a\n\x1b[2Jenvironment: all is well", "b", **broken))
    assert text.isprintable()
    assert '"a [2Jenvironment: all is well" at step 1 ' in text


def test_an_agent_that_has_no_text_is_a_failure_of_the_environment(monkeypatch):
    class Silent:
        def __str__(self):
            raise RuntimeError("no name")

    with pytest.raises(UserCodeFailed, match="possible_agents of toy raised RuntimeError: no name"):
        serve(monkeypatch, calling_them(Silent(), "b"), observation="state")


def test_two_agents_that_are_one_are_refused(monkeypatch):
    with pytest.raises(ScenarioError, match="expected possible_agents to name each agent once, found a, b, a"):
        serve(monkeypatch, calling_them("a", "b", "a"))


@pytest.mark.parametrize("given", [np.array(["a", "b"]), 3, [["a"], ["b"]]], ids=["array", "number", "lists"])
def test_possible_agents_that_cannot_be_looked_through_are_one_sentence(monkeypatch, given):
    with pytest.raises(UserCodeFailed, match="possible_agents of toy raised"):
        serve(monkeypatch, giving(possible_agents=given))
