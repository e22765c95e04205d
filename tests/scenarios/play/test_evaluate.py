"""`foretell evaluate`: trained agents act, nobody learns, and what they earn has an interval."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import foretell

from agent_node.fixed_policy import FixedPolicy
from agent_node.policy_folder import read_document
from agent_node.registry import BUILT_IN
from agent_node.trained_policy import load_policies
from broker.errors import ScenarioError, UserError
from scenarios.commands.main import foretell as commands
from scenarios.document.agent_names import AgentNames
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.document.planning import make_plan
from scenarios.play.evaluate import EvaluationWish, evaluation_of, scenario_of
from scenarios.policies.exported import policies_of
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.trials.quiet_run import try_out
from scenarios.watching.run_book import RunBook

TINY: dict[str, Any] = {
    "episodes": 3,
    "parallel_episodes": 2,
    "environment.steps": 6,
    "learning.hidden": [5],
    "learning.rounds": 2,
}
LOST = 'faults=[{kind="drop",probability=0.2,messages=["timestep","action"]}]'


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    try_out(load_scenario("navigation-quick", TINY), out)
    return out


@pytest.fixture
def evaluated(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """What `foretell evaluate --json` says, called in this process."""

    def evaluate(place: Path, *options: str) -> dict[str, Any]:
        capsys.readouterr()
        commands(["evaluate", str(place), "--episodes", "6", "--json", *options], standalone_mode=False)
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return evaluate


def test_it_prints_returns_with_intervals_and_learns_nothing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    commands(["evaluate", str(trained), "--episodes", "6", "--out", str(out)], standalone_mode=False)
    shown = capsys.readouterr().out
    found = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    for who, of in {"team return": found["team"], **found["agents"]}.items():
        assert of["low"] <= of["mean"] <= of["high"], who
        (line,) = [line for line in shown.splitlines() if line.startswith(who)]
        assert line.split()[-4:] == [f"{of['mean']:.2f}", f"{of['low']:.2f}", "to", f"{of['high']:.2f}"]
    assert "after 3 episodes of anticipation-sharing, drawn actions, seed 1, simulate" in shown
    assert "means of 6 episodes, with 95% t intervals" in shown
    before = json.loads((trained / "summary.json").read_text(encoding="utf-8"))
    assert found["weights_digest"] == before["weights_digest"]
    assert found["curve_digest"] != before["curve_digest"]
    assert not (out / "policy").exists()
    assert sum(found["agents"][agent]["mean"] for agent in found["agents"]) == pytest.approx(found["team"]["mean"])


def test_equal_returns_are_told_to_be_equal_and_nothing_is_said_to_be_sure_of_them(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenarios.play.evaluate.added", lambda _: 4.4)
    commands(["evaluate", str(trained), "--episodes", "2"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert re.search(r"^team return +4\.40 +all 2 equal *$", shown, re.MULTILINE)
    assert "means of 2 episodes, with 95% t intervals, none of equal returns" in shown


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_what_any_algorithm_has_learned_is_evaluated(
    algorithm: str, tmp_path: Path, evaluated: Callable[..., dict[str, Any]]
) -> None:
    summary = try_out(load_scenario("navigation-quick", TINY | {"algorithm.name": algorithm}), tmp_path / "run")
    found = evaluated(tmp_path / "run")
    assert found["algorithm"] == algorithm
    assert found["weights_digest"] == summary.weights_digest


def test_a_single_episode_has_no_interval_and_none_is_promised(
    trained: Path, evaluated: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    team = evaluated(trained, "--episodes", "1")["team"]
    assert (team["low"], team["high"]) == (None, None)
    commands(["evaluate", str(trained), "--episodes", "1"], standalone_mode=False)
    assert "means of 1 episode, too few for intervals" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"episodes": 4, "seed": 7, "greedy": True}, (4, 7, "greedy")),
        ({"episodes": None}, (3, 5, "drawn")),
    ],
)
def test_what_is_wished_goes_before_settings_as_an_option_goes_before_set(
    trained: Path, wish: dict[str, Any], expected: tuple[object, ...]
) -> None:
    found = scenario_of(EvaluationWish(trained, **wish, settings={"episodes": 3, "seed": 5, "acts_only": "drawn"}))
    assert (found.episodes, found.seed, found.acts_only) == expected
    assert scenario_of(EvaluationWish(trained, None)).episodes == 100


@pytest.mark.parametrize(
    ("path", "value"),
    [("algorithm.name", "independent"), ("learning", {"rounds": 9}), ("initial_policy", "runs/another")],
)
def test_how_a_policy_was_learned_cannot_be_set_afterwards(trained: Path, path: str, value: object) -> None:
    with pytest.raises(ScenarioError, match=rf"^{path}.*: expected no such setting: the policy in .* has been learned"):
        scenario_of(EvaluationWish(trained, 2, settings={path: value}))


DEATH = {
    "recovery.on_crash": "degrade",
    "recovery.checkpoint_every": 1,
    "service.missing_action": "noop",
    "faults": [{"kind": "crash", "participants": ["agent-1"], "at_episodes": [2]}],
}


def test_an_agent_that_died_in_training_is_told_with_what_it_knew(
    tmp_path: Path, evaluated: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    try_out(load_scenario("navigation-quick", TINY | DEATH), tmp_path / "run")
    found = evaluated(tmp_path / "run")
    assert (found["learned_from"], found["died_after"]) == (3, {"agent-1": 2})
    commands(["evaluate", str(tmp_path / "run"), "--episodes", "2"], standalone_mode=False)
    assert "agent-1 died in training, and acts with what it had learned from 2 episodes" in capsys.readouterr().out
    commands(
        ["policy", "export", str(tmp_path / "run"), "--format", "torch", "--out", str(tmp_path / "out")],
        standalone_mode=False,
    )
    assert "agent-1 died in its run: its policy is of 2 episodes" in capsys.readouterr().err
    policies, without = policies_of(tmp_path / "run")
    told = {each.facts["agent"]: (each.facts["learned_from"], each.facts["died"]) for each in policies}
    assert told == {"agent-0": (3, False), "agent-1": (2, True), "agent-2": (3, False)}
    assert without == []


def test_what_was_played_is_told_of_the_policy_that_was_played_whatever_became_of_its_place(
    trained: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(trained / "policy", tmp_path / "elsewhere")
    scenario, folder = scenario_of(EvaluationWish(copied, 2)), RunFolder(tmp_path / "out")
    plan, summary = make_plan(scenario), try_out(scenario, folder.root)
    shutil.rmtree(copied)
    found = evaluation_of(plan, folder, summary)
    assert (found.learned_from, found.algorithm, found.policy) == (3, "anticipation-sharing", str(copied))


def test_a_policy_is_evaluated_without_its_run(
    trained: Path, tmp_path: Path, evaluated: Callable[..., dict[str, Any]]
) -> None:
    copied = tmp_path / "elsewhere"
    copied.mkdir()
    for path in (trained / "policy").iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    one, other = evaluated(trained), evaluated(copied)
    assert one | {"policy": ""} == other | {"policy": ""}
    assert one != evaluated(trained, "--seed", "2")


@pytest.mark.processes
def test_policies_of_processes_and_of_a_simulation_evaluate_to_one_digest_on_either_substrate(
    trained: Path, tmp_path: Path, evaluated: Callable[..., dict[str, Any]]
) -> None:
    settings = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    done = foretell("run", "navigation-quick", *settings, "--out", str(tmp_path / "processes"))
    assert done.returncode == 0, done.stderr
    expected = evaluated(trained)
    for place, options in ((tmp_path / "processes", []), (trained, ["--processes"])):
        answer = foretell("evaluate", str(place), "--episodes", "6", "--json", *options)
        assert answer.returncode == 0, answer.stderr
        found = json.loads(answer.stdout)
        same = {"policy": "", "substrate": ""}
        assert found | same == expected | same


def test_no_episode_of_training_is_played_again(tmp_path: Path, evaluated: Callable[..., dict[str, Any]]) -> None:
    """The policy hardly moves, so equal streams would give equal episodes."""
    unmoved = {"learning.actor_learning_rate": 1e-30, "parallel_episodes": 1, "episodes": 6}
    try_out(load_scenario("navigation-quick", TINY | unmoved), tmp_path / "run")
    before = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert evaluated(tmp_path / "run")["curve_digest"] != before["curve_digest"]
    one, other = scenario_of(EvaluationWish(tmp_path / "run", 6)), load_scenario("navigation-quick", TINY)
    assert one.seed == other.seed
    assert one.stream_seed != other.stream_seed


# How they act


def acting(place: Path, *, greedy: bool) -> dict[str, list[tuple[bytes, bytes]]]:
    """By agent, what it saw and did at every step of an evaluation."""
    seen: dict[str, list[tuple[bytes, bytes]]] = {}

    def act(self: FixedPolicy, step: int, data: memoryview, *, really: Any = FixedPolicy.act) -> np.ndarray:
        actions: np.ndarray = really(self, step, data)
        seen.setdefault(self._config.link.name, []).append((bytes(data), actions.tobytes()))
        return actions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FixedPolicy, "act", act)
        scenario = scenario_of(EvaluationWish(place, 2, greedy=greedy))
        try_out(scenario, place.parent / f"acting-{greedy}")
    return seen


def test_greedy_agents_take_their_likeliest_action_and_others_draw(trained: Path) -> None:
    policies = load_policies(trained / "policy")
    likeliest = {}
    for greedy in (True, False):
        seen = acting(trained, greedy=greedy)
        assert set(seen) == set(policies)
        pairs = [
            (policies[agent](np.frombuffer(data, np.float32, 12)[None]).argmax(), np.frombuffer(done, np.int32)[0])
            for agent, steps in seen.items()
            for data, done in steps
        ]
        likeliest[greedy] = np.mean([one == other for one, other in pairs])
        assert len(pairs) >= 3 * 6
    assert likeliest[True] == 1
    assert likeliest[False] < 0.9


def test_greedy_agents_never_take_what_is_masked(tmp_path: Path, evaluated: Callable[..., dict[str, Any]]) -> None:
    """The toy ends a run in which somebody does."""
    here = Path(__file__).parent.parent / "masked_toy.py"
    document = f"""
name = "masked"
seed = 1
episodes = 2
topology.kind = "complete"
learning.hidden = [4]
[environment]
kind = "pettingzoo"
env = "masked_toy"
file = "{here}"
observation = "own"
steps = 20
options = {{by = "observation"}}
"""
    (tmp_path / "masked.toml").write_text(document, encoding="utf-8")
    try_out(load_scenario(str(tmp_path / "masked.toml")), tmp_path / "run")
    for options in (["--greedy"], []):
        found = evaluated(tmp_path / "run", *options)
        assert found["greedy"] == bool(options)
        assert found["episodes"] == 6
        assert found["agent_names"]["agent-1"] == "middle"


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        '{kind="drop",probability=0.2,messages=["timestep","action"]}',
        '{kind="bit-flip",probability=0.5,bits=99,messages=["timestep"]}',
        '{kind="delay",delay_s={distribution="constant",value_s=0.2},messages=["action"]}',
    ],
    ids=["lost", "wrong", "late"],
)
def test_timesteps_and_actions_that_are_lost_late_or_wrong_cost_what_they_cost(
    trained: Path, evaluated: Callable[..., dict[str, Any]], fault: str
) -> None:
    undisturbed = evaluated(trained)
    filled_in = ("--set", 'service.missing_action="repeat"', "--set", "service.action_patience_s=0.05")
    struck = evaluated(trained, "--set", f"faults=[{fault}]", *filled_in)
    assert struck["faults_applied"] > 0
    assert struck["curve_digest"] != undisturbed["curve_digest"]
    assert struck == evaluated(trained, "--set", f"faults=[{fault}]", *filled_in)


@pytest.mark.processes
def test_actions_that_are_lost_and_asked_for_again_cost_nothing_on_either_substrate(
    trained: Path, evaluated: Callable[..., dict[str, Any]]
) -> None:
    options = ("--set", LOST, "--set", "service.action_patience_s=0.05")
    undisturbed, struck = evaluated(trained), evaluated(trained, *options)
    answer = foretell("evaluate", str(trained), "--episodes", "6", "--json", "--processes", *options)
    assert answer.returncode == 0, answer.stderr
    for found in (struck, json.loads(answer.stdout)):
        assert found["faults_applied"] > 0
        assert found["curve_digest"] == undisturbed["curve_digest"]


@pytest.mark.parametrize("fault", ['{kind="drop",probability=0.3}', '{kind="byzantine",lie="uniform",probability=1}'])
def test_faults_of_shares_are_refused_with_the_reason(trained: Path, fault: str) -> None:
    wish = EvaluationWish(trained, 2, settings=parse_settings([f"faults=[{fault}]"]))
    with pytest.raises(ScenarioError) as caught:
        make_plan(scenario_of(wish))
    assert str(caught.value) == (
        "faults[0].messages: expected timestep, action or both, found share: shares play no part in acting, and an "
        "evaluation has none"
    )


def test_faults_of_the_training_are_not_played(tmp_path: Path) -> None:
    faults = {"faults": [{"kind": "drop", "probability": 0.3}]}
    try_out(load_scenario("navigation-quick", TINY | faults), tmp_path / "run")
    assert scenario_of(EvaluationWish(tmp_path / "run", 2)).faults == ()


def test_who_died_while_acting_is_replaced_and_acts_on(trained: Path, tmp_path: Path) -> None:
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [2, 4]}
    calm, struck = (
        try_out(scenario_of(EvaluationWish(trained, 6, settings=settings)), tmp_path / name)
        for name, settings in (("calm", None), ("struck", {"faults": [crash]}))
    )
    assert struck.curve_digest == calm.curve_digest
    with read_store(RunFolder(tmp_path / "struck").store) as store:
        assert len(list(store.lives())) == 3


# What is about sharing alone

SPARSE = {
    "environment.agents": 6,
    "environment.grid": 5,
    "topology": {"kind": "erdos-renyi", "edge_probability": 0.12},
    "seed": 0,
}
OF_NO_GRAPH = 2
"""A seed for which no connected graph as sparse as that is found."""


def test_a_seed_that_has_no_graph_for_the_training_evaluates_all_the_same(
    tmp_path: Path, evaluated: Callable[..., dict[str, Any]]
) -> None:
    no_graph = load_scenario("navigation-quick", TINY | SPARSE | {"seed": OF_NO_GRAPH})
    with pytest.raises(ScenarioError, match=r"^topology"):
        make_plan(no_graph)
    try_out(load_scenario("navigation-quick", TINY | SPARSE), tmp_path / "run")
    assert evaluated(tmp_path / "run", "--seed", str(OF_NO_GRAPH))["seed"] == OF_NO_GRAPH


def test_agents_that_only_act_have_no_neighbors_but_those_that_may_be_near(trained: Path, tmp_path: Path) -> None:
    plan = make_plan(scenario_of(EvaluationWish(trained, 2)))
    assert plan.graph.edges == ()
    assert plan.peers("agent-0") == ("environment",)
    near = {"topology": {"kind": "proximity", "distance": 2.0}}
    try_out(load_scenario("navigation-quick", TINY | near), tmp_path / "near")
    plan = make_plan(scenario_of(EvaluationWish(tmp_path / "near", 2)))
    assert plan.graph.neighbors["agent-0"] == ("agent-1", "agent-2")
    assert plan.graph.proximity_distance == 2.0


def test_the_page_of_an_evaluation_draws_the_graph_that_it_has(trained: Path) -> None:
    scenario = scenario_of(EvaluationWish(trained, 2, seed=OF_NO_GRAPH, settings=SPARSE | {"seed": OF_NO_GRAPH}))
    book = RunBook(scenario, AgentNames.of(6, ()), "run", 0, {})
    assert {"environment"} <= {end for edge in book.edges(goes_on=False) for end in (edge.source, edge.destination)}
    assert all("environment" in (edge.source, edge.destination) for edge in book.edges(goes_on=False))


@pytest.mark.parametrize("topology", ["complete", "proximity"])
def test_no_time_is_needed_for_rounds_that_no_evaluation_has(trained: Path, topology: str) -> None:
    settings: dict[str, Any] = {"service.give_up_s": 5.0, "exchange.patience_s": 4.0}
    with pytest.raises(ScenarioError, match=r"service\.give_up_s"):
        make_plan(load_scenario("navigation-quick", TINY | settings))
    if topology == "proximity":
        settings |= {"topology": {"kind": "proximity", "distance": 2.0}}
    plan = make_plan(scenario_of(EvaluationWish(trained, 2, settings=settings)))
    assert plan.scenario.rounds == 0


# What cannot be evaluated


def test_what_is_no_policy_or_does_not_say_where_it_comes_from_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no policy: expected policy\.json in it"):
        scenario_of(EvaluationWish(tmp_path, 2))
    document, _ = read_document(trained / "policy")
    (tmp_path / "policy.json").write_text(document.model_copy(update={"document": {}}).model_dump_json())
    with pytest.raises(UserError, match="does not say which scenario it is of"):
        scenario_of(EvaluationWish(tmp_path, 2))


def test_an_evaluation_needs_a_policy(trained: Path) -> None:
    with pytest.raises(ScenarioError, match="acts_only: expected initial_policy, the policy that agents act with"):
        load_scenario("navigation-quick", {"acts_only": "greedy"})
    with pytest.raises(ScenarioError, match=r"it is of 3 agents .* and the scenario has 4"):
        make_plan(scenario_of(EvaluationWish(trained, 2, settings={"environment.agents": 4})))
