"""The episodes that are played are those that are evaluated, moment by moment."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent_node.fixed_policy import FixedPolicy
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.play.acting import frames_of, render_modes, showing_itself
from scenarios.play.evaluate import EvaluationWish, scenario_of
from scenarios.play.frame import Frame
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.trials.quiet_run import try_out

HERE = Path(__file__).parent.parent
TINY: dict[str, Any] = {"episodes": 2, "parallel_episodes": 2, "learning.hidden": [5], "learning.rounds": 1}
FOREIGN = 'name="toy"\nseed=4\ntopology.kind="complete"\n[environment]\nkind="pettingzoo"\nenv="{0}"\nsteps=12\n'
CASES = {
    "exchange": ("exchange-quick", {"environment.steps": 9}),
    "navigation": ("navigation-quick", {"environment.steps": 7}),
    "predation": ("predation-6-quick", {"environment.steps": 5}),
    "timed": ("navigation-quick", {"environment.steps": 7, "environment.observe_time": True}),
    "near": ("navigation-quick", {"environment.steps": 7, "topology": {"kind": "proximity", "distance": 1.0}}),
    "masked": ("masked_toy", {"environment.observation": "own", "environment.options": {"by": "info"}}),
    "drawn": ("drawn_toy", {"environment.observation": "own"}),
}
Acted = dict[str, list[tuple[bytes, bytes]]]


def train(case: str, place: Path) -> Path:
    name, settings = CASES[case]
    if name.endswith("_toy"):
        place.mkdir()
        (place / "toy.toml").write_text(FOREIGN.format(name))
        settings = {**settings, "environment.file": str(HERE / f"{name}.py")}
        name = str(place / "toy.toml")
    try_out(load_scenario(name, TINY | settings), place / "run")
    return place / "run"


@pytest.fixture(params=CASES)
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return train(request.param, tmp_path / request.param)


def acts(patch: pytest.MonkeyPatch) -> Acted:
    """By agent, what it sees and does at every step from now on."""
    seen: Acted = {}

    def act(self: FixedPolicy, step: int, data: memoryview, *, really: Any = FixedPolicy.act) -> np.ndarray:
        actions: np.ndarray = really(self, step, data)
        seen.setdefault(self._config.link.name, []).append((bytes(data), actions.tobytes()))
        return actions

    patch.setattr(FixedPolicy, "act", act)
    return seen


@pytest.mark.parametrize(("greedy", "seed"), [(False, None), (True, 7)])
def test_what_agents_see_do_and_gain_is_bit_for_bit_that_of_an_evaluation(
    trained: Path, tmp_path: Path, greedy: bool, seed: int | None
) -> None:
    wish = EvaluationWish(trained, 3, greedy=greedy, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        evaluated = acts(patch)
        try_out(scenario_of(wish), tmp_path / "evaluated")
    with pytest.MonkeyPatch.context() as patch:
        played = acts(patch)
        frames = list(frames_of(make_plan(showing_itself(scenario_of(wish), "rgb_array"))))
    assert played == evaluated
    assert len(played["agent-0"]) >= 3
    with read_store(RunFolder(tmp_path / "evaluated").store) as store:
        returns = {(row.episode, row.agent): row.value for row in store.episodes()}
    ends = [frame for frame in frames if frame.last]
    assert [frame.episode for frame in ends] == [0, 1, 2]
    gained = {(end.episode, f"agent-{place}"): each.gained for end in ends for place, each in enumerate(end.agents)}
    assert gained == returns


def test_fewer_episodes_are_the_first_of_many(tmp_path: Path) -> None:
    place = train("predation", tmp_path / "run")
    one, three = (list(frames_of(make_plan(scenario_of(EvaluationWish(place, count))))) for count in (1, 3))
    assert three[: len(one)] == one
    assert len(three) == 3 * len(one) == 3 * 6


def moments(case: str, place: Path) -> list[Frame]:
    return list(frames_of(make_plan(scenario_of(EvaluationWish(train(case, place), 1)))))


def test_a_frame_tells_what_led_to_it_and_what_has_been_gained_so_far(tmp_path: Path) -> None:
    frames = moments("navigation", tmp_path / "run")
    assert [frame.step for frame in frames] == list(range(8))
    assert [frame.last for frame in frames] == [False] * 7 + [True]
    assert {agent.action for agent in frames[0].agents} == {None}
    assert {agent.reward for agent in frames[0].agents} == {0.0}
    for before, after in pairwise(frames):
        for place, (one, other) in enumerate(zip(before.agents, after.agents, strict=True)):
            assert other.gained == one.gained + other.reward
            (row, column), (next_row, next_column) = (frame.scene.marks[place].at for frame in (before, after))
            steps = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1), "stay": (0, 0)}
            down, right = steps[other.action]
            assert (next_row, next_column) == (min(max(row + down, 0), 2), min(max(column + right, 0), 2))
        assert after.team_return == pytest.approx(sum(agent.gained for agent in after.agents))


def test_who_has_ended_does_nothing_any_more(tmp_path: Path) -> None:
    frames = moments("masked", tmp_path / "run")
    names = [agent.name for agent in frames[0].agents]
    assert names == ["left (agent-0)", "middle (agent-1)", "right (agent-2)"]
    acted = {name: [frame.step for frame in frames if frame.agents[place].action] for place, name in enumerate(names)}
    assert acted == {names[0]: list(range(1, 10)), names[1]: list(range(1, 10)), names[2]: list(range(1, 7))}


def test_an_environment_that_cannot_show_itself_is_left_as_it_is(tmp_path: Path) -> None:
    scenario = scenario_of(EvaluationWish(train("masked", tmp_path / "run"), 1))
    assert render_modes(scenario.environment, 1) == ()
    assert showing_itself(scenario, "ansi") is scenario
