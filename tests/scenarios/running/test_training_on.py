"""Training that begins with a saved policy: where another run stopped, bit for bit, or with its networks alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy as tensors
from runs import foretell

from agent_node.config import InitialPolicyConfig
from agent_node.policy_folder import read_policy, read_training
from agent_node.saved_policy import open_policy
from broker.errors import ScenarioError
from scenarios.commands.check import describe
from scenarios.document.loading import load_scenario, parse_scenario
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.document import lengthened, read_document
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store
from scenarios.results.summary import Summary
from scenarios.running.control.run import run
from scenarios.running.ways import way_called
from scenarios.trials.quiet_run import try_out

TINY: dict[str, Any] = {
    "parallel_episodes": 2,
    "environment.steps": 4,
    "learning.hidden": [5],
    "learning.rounds": 2,
    "recovery.checkpoint_every": 2,
}
LOSSES = {"kind": "drop", "probability": 0.3}


def scenario_of(episodes: int, settings: Mapping[str, Any]) -> Scenario:
    return load_scenario("exchange-quick", {"episodes": episodes} | TINY | settings)


def trained(out: Path, episodes: int, settings: Mapping[str, Any], after: Path | None = None) -> Summary:
    begun_with = {} if after is None else {"initial_policy": str(after)}
    return try_out(scenario_of(episodes, {**settings, **begun_with}), out)


def returns(out: Path) -> list[float]:
    with read_store(RunFolder(out).store) as store:
        return [row.value for row in store.episodes()]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    trained(tmp_path / "first", 3, {})
    return tmp_path / "first"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"algorithm.name": "policy-sharing"},
        {"algorithm.name": "value-parameter-sharing", "exchange.skip_probability": 0.5},
        {"exchange.mode": "random-partner", "algorithm.anticipation_sharing.anticipation_noise": 0.3},
        {"faults": [LOSSES | {"messages": ["share", "action"]}], "service.missing_action": "repeat"},
        {
            "faults": [{"kind": "gilbert-elliott", "to_bad": 0.4, "to_good": 0.4}],
            "learning.ratio_reference": "behaviour",
        },
        {"algorithm.name": "networked-actor-critic"},
        {"algorithm.name": "dna-marl", "algorithm.dna_marl.n_steps": 1, "algorithm.dna_marl.target_rate": 0.3},
        {"algorithm.name": "reward-sharing", "environment.observe_time": True},
        {"algorithm.anticipation_sharing.weights": "calibrated"},
    ],
    ids=[
        "anticipations",
        "policies",
        "skipped",
        "noise",
        "losses",
        "bursts",
        "networked",
        "target",
        "rewards",
        "calibrated",
    ],
)
def test_a_policy_is_trained_on_bit_for_bit_where_the_run_stopped_if_nothing_else_changed(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    whole = trained(tmp_path / "whole", 7, settings)
    trained(tmp_path / "first", 3, settings)
    trained(tmp_path / "second", 2, settings, tmp_path / "first")
    third = trained(tmp_path / "third", 2, settings, tmp_path / "second" / "policy")
    assert third.weights_digest == whole.weights_digest
    parts = [returns(tmp_path / name) for name in ("first", "second", "third")]
    assert [value for part in parts for value in part] == returns(tmp_path / "whole")
    assert weights_of(tmp_path / "third") == weights_of(tmp_path / "whole")


def weights_of(out: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    document, arrays = read_policy(out / "policy")
    training = read_training(out / "policy", document)
    networks, rest = ({name: array.tobytes() for name, array in each.items()} for each in (arrays, training))
    return networks, rest


@pytest.mark.processes
def test_it_is_trained_on_as_processes_as_it_is_simulated(tmp_path: Path, first: Path) -> None:
    expected = trained(tmp_path / "simulated", 2, {}, first)
    found = try_out(scenario_of(2, {"initial_policy": str(first)}), tmp_path / "processes", "run")
    assert (found.curve_digest, found.weights_digest) == (expected.curve_digest, expected.weights_digest)


def test_another_seed_plays_other_episodes_with_the_same_networks(tmp_path: Path, first: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    assert trained(same, 1, {}, first).weights_digest != trained(other, 1, {"seed": 9}, first).weights_digest
    assert read_document(RunFolder(same)).initial_policy == read_document(RunFolder(other)).initial_policy.model_copy(
        update={"path": same / "initial-policy"}
    )


def test_it_is_learned_undisturbed_and_then_under_faults(tmp_path: Path, first: Path) -> None:
    found = trained(tmp_path / "disturbed", 2, {"faults": [LOSSES | {"episodes": [0, 1]}]}, first)
    assert found.complete
    assert found.faults_applied > 0
    with read_store(RunFolder(tmp_path / "disturbed").store) as store:
        assert {row.episode for row in store.faults()} == {0}, "windows are those of the run"


def test_a_text_says_the_same_as_a_table_and_relative_paths_count_from_the_scenario(first: Path) -> None:
    text = scenario_of(2, {}).to_toml()
    path = first.parent / "my.toml"
    path.write_text('initial_policy = "first"\n' + text)
    found = load_scenario(str(path))
    path.write_text(text + '\n[initial_policy]\npath = "first/policy"\n')
    table = load_scenario(str(path))
    assert found.initial_policy == table.initial_policy.model_copy(update={"path": first})
    assert found.initial_policy.episodes == 3
    assert found.digest == table.digest
    assert found.digest != scenario_of(2, {}).digest
    assert parse_scenario(found.to_toml(), {}) == found


def test_who_begins_anew_before_the_first_checkpoint_begins_with_the_policy(tmp_path: Path, first: Path) -> None:
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [1]}
    calm = trained(tmp_path / "calm", 3, {}, first)
    found = trained(tmp_path / "struck", 3, {"faults": [crash]}, first)
    with read_store(RunFolder(tmp_path / "struck").store) as store:
        assert [life.after_episode for life in store.lives()] == [-1, -1]
    assert (found.curve_digest, found.weights_digest) == (calm.curve_digest, calm.weights_digest)


def test_a_run_keeps_what_it_began_with_when_that_is_gone_or_another(tmp_path: Path, first: Path) -> None:
    expected = trained(tmp_path / "whole", 4, {}, first)
    trained(tmp_path / "run", 2, {}, first)
    shutil.rmtree(first)
    moved = RunFolder((tmp_path / "run").rename(tmp_path / "moved"))
    plan = make_plan(lengthened(read_document(moved), 4))
    observer = Observer(plan, moved, "simulate", lambda _: None)
    run(plan, moved, observer, way_called("simulate"), lambda: False)
    assert observer.finish().weights_digest == expected.weights_digest


@pytest.mark.parametrize("struck_at", [1, 3], ids=["before the first checkpoint", "after it"])
def test_a_crash_is_mended_when_what_the_run_began_with_is_gone(tmp_path: Path, first: Path, struck_at: int) -> None:
    expected = trained(tmp_path / "whole", 4, {}, first)
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [struck_at]}
    plan = make_plan(scenario_of(4, {"initial_policy": str(first), "faults": [crash]}))
    folder = make_run_folder(tmp_path / "run", "run", 1)
    observer = Observer(plan, folder, "simulate", lambda _: None)
    shutil.rmtree(first)
    run(plan, folder, observer, way_called("simulate"), lambda: False)
    found = observer.finish()
    assert (found.complete, found.weights_digest) == (True, expected.weights_digest)


def test_who_begins_another_life_with_what_it_knew_needs_no_policy(tmp_path: Path, first: Path) -> None:
    expected = trained(tmp_path / "whole", 4, {}, first)
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [3]}
    plan = make_plan(scenario_of(4, {"initial_policy": str(first), "faults": [crash]}))
    folder = make_run_folder(tmp_path / "run", "run", 1)
    observer = Observer(plan, folder, "simulate", lambda _: None)

    def nothing_is_left() -> bool:
        if observer.recorded >= 2:
            shutil.rmtree(folder.initial_policy, ignore_errors=True)
            open_policy.cache_clear()
        return False

    run(plan, folder, observer, way_called("simulate"), nothing_is_left)
    assert observer.finish().weights_digest == expected.weights_digest
    assert not folder.initial_policy.exists()


# What goes on


def test_another_algorithm_begins_with_the_networks_alone(tmp_path: Path, first: Path) -> None:
    begun_with = {"initial_policy": str(first)}
    settings = begun_with | {"algorithm.name": "independent"}
    alone, on = (describe(make_plan(scenario_of(1, each))) for each in (settings, begun_with))
    assert "after 3 episodes, with its networks alone; what else training needs begins anew" in alone
    assert "after 3 episodes, where its training stopped" in on
    unmoved = {"learning.actor_learning_rate": 1e-30, "learning.critic_learning_rate": 1e-30}
    try_out(scenario_of(1, settings | unmoved), tmp_path / "run")
    _, before = read_policy(first / "policy")
    document, after = read_policy(tmp_path / "run" / "policy")
    assert {name: array.tobytes() for name, array in after.items()} == {name: before[name].tobytes() for name in after}
    steps = read_training(tmp_path / "run" / "policy", document)["agent-0/actor/steps"]
    assert steps.tolist() == [2], "Adam counts the two rounds of this run alone"


def test_fewer_policies_than_were_held_begin_with_the_networks_alone(tmp_path: Path, first: Path) -> None:
    """The same algorithm on a line: agents at its ends have one neighbor less, and the one between them goes on."""
    settings = {"initial_policy": str(first), "topology.kind": "line"}
    unmoved = {"learning.actor_learning_rate": 1e-30, "learning.critic_learning_rate": 1e-30}
    try_out(scenario_of(1, settings | unmoved), tmp_path / "run")
    _, before = read_policy(first / "policy")
    document, after = read_policy(tmp_path / "run" / "policy")
    assert after.keys() < before.keys()
    assert {name: array.tobytes() for name, array in after.items()} == {name: before[name].tobytes() for name in after}
    training = read_training(tmp_path / "run" / "policy", document)
    steps = [training[f"agent-{number}/actor/steps"].tolist() for number in range(3)]
    assert steps == [[2, 2], [8, 8, 8], [2, 2]], "Adam counts on from six rounds where all is the same"


def test_what_an_algorithm_keeps_of_its_critic_begins_with_the_critic_it_was_given(tmp_path: Path) -> None:
    trained(tmp_path / "first", 3, {"learning.initial_parameters": "common"})
    unmoved = {"learning.actor_learning_rate": 1e-30, "learning.critic_learning_rate": 1e-30}
    settings = {
        "initial_policy": str(tmp_path / "first"),
        "algorithm.name": "dna-marl",
        "exchange.skip_probability": 1.0,
    }
    try_out(scenario_of(1, settings | unmoved), tmp_path / "run")
    document, after = read_policy(tmp_path / "run" / "policy")
    training = read_training(tmp_path / "run" / "policy", document)
    for agent in document.agents:
        target = training[f"{agent}/algorithm/target_critic"]
        critic = [after[f"{agent}/critic/{layer}/{part}"].ravel() for layer in range(2) for part in ("weight", "bias")]
        np.testing.assert_array_equal(target, np.concatenate(critic))


def test_what_a_policy_was_learned_without_begins_anew_and_all_else_goes_on(tmp_path: Path) -> None:
    trained(tmp_path / "fixed", 3, {"algorithm.anticipation_sharing.weights": "fixed"})
    trained(tmp_path / "on", 1, {"algorithm.anticipation_sharing.weights": "calibrated"}, after=tmp_path / "fixed")
    document, _ = read_policy(tmp_path / "on" / "policy")
    training = read_training(tmp_path / "on" / "policy", document)
    assert training["agent-0/actor/steps"].tolist() == [8, 8, 8], "Adam counts on from six rounds"
    assert "agent-0/algorithm/agent-1" in training


# What does not fit


def without_agent(folder: Path) -> None:
    change(folder, lambda agents: agents["agent-1"].update(after_episode=None))


def with_fewer_actions(folder: Path) -> None:
    change(folder, lambda agents: agents["agent-2"]["action_space"].update(n=5))


def change(folder: Path, how: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "policy" / "policy.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    how(found["agents"])
    path.write_text(json.dumps(found), encoding="utf-8")


def damaged(folder: Path, pattern: str) -> None:
    (path,) = (folder / "policy").glob(pattern)
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"environment.agents": 4}, "it is of 3 agents (agent-0, agent-1, agent-2), and the scenario has 4 (agent-0"),
        (
            {"environment": {"kind": "navigation", "steps": 4}},
            "agent-0 sees observations of 12 numbers here, and has learned from 15",
        ),
        ({"learning.hidden": [7]}, "agent-0 has policies of sizes 15-5-6, and is to have 15-7-6"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_by_name(first: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=r"^initial_policy: the policy in .* does not fit: ") as caught:
        make_plan(scenario_of(2, {**settings, "initial_policy": str(first)}))
    assert said in str(caught.value)


def test_policies_that_were_never_held_are_missed_by_name(tmp_path: Path) -> None:
    trained(tmp_path / "first", 1, {"algorithm.name": "independent"})
    with pytest.raises(ScenarioError) as caught:
        make_plan(scenario_of(2, {"initial_policy": str(tmp_path / "first")}))
    assert str(caught.value).endswith(
        "agent-0 is to hold a policy for agent-1, and has none: it has learned with independent, for agent-0"
    )


@pytest.mark.parametrize("name", ["policy-sharing", "value-parameter-sharing", "networked-actor-critic", "dna-marl"])
def test_networks_that_never_belonged_together_are_not_averaged(name: str, tmp_path: Path, first: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        make_plan(scenario_of(2, {"algorithm.name": name, "initial_policy": str(first)}))
    assert str(caught.value).endswith("belong together, and with anticipation-sharing each has started from its own")
    trained(tmp_path / "averaged", 1, {"algorithm.name": "policy-sharing"})
    make_plan(scenario_of(2, {"algorithm.name": name, "initial_policy": str(tmp_path / "averaged")}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (without_agent, "agent-1 died before it kept anything, so there is no policy of it"),
        (with_fewer_actions, "agent-2 has 6 actions here, and has learned with 5"),
        (lambda folder: damaged(folder, "weights-*"), "is not what was written"),
        (lambda folder: damaged(folder, "training-*"), "is not what was written"),
        (shutil.rmtree, "holds no policy: expected policy.json in it"),
    ],
    ids=["dead", "actions", "weights", "training", "gone"],
)
def test_a_policy_that_cannot_be_begun_with_is_refused(first: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(first)
    with pytest.raises(ScenarioError, match=r"^initial_policy") as caught:
        make_plan(scenario_of(2, {"initial_policy": str(first)}))
    assert said in str(caught.value)


def test_the_home_of_nobody_is_no_place_for_a_policy() -> None:
    with pytest.raises(ScenarioError, match=r"^initial_policy\.path: expected the home of a user, found ~no-one/x$"):
        scenario_of(2, {"initial_policy": "~no-one/x"})


def test_a_policy_that_has_changed_since_it_was_noted_is_refused(first: Path) -> None:
    scenario = scenario_of(2, {"initial_policy": str(first)})
    trained(first.parent / "other", 2, {"seed": 3})
    shutil.rmtree(first / "policy")
    shutil.copytree(first.parent / "other" / "policy", first / "policy")
    with pytest.raises(ScenarioError, match="is not the one that the document names, or that was there when"):
        make_plan(scenario)


@pytest.mark.parametrize(
    ("pinned", "said"),
    [
        ({"digest": "0" * 64}, "initial_policy.path: the policy in .* is not the one that the document names"),
        ({"episodes": 9}, "initial_policy.episodes: expected 3, which the policy in .* has learned from, found 9"),
        ({"digest": "0" * 64, "episodes": 3}, "expected SHA-256 0000000000000000, found "),
    ],
)
def test_another_policy_than_the_document_names_is_refused(first: Path, pinned: dict[str, Any], said: str) -> None:
    scenario = scenario_of(2, {"initial_policy": {"path": str(first), **pinned}})
    with pytest.raises(ScenarioError, match=said):
        make_plan(scenario)


def test_the_policy_that_the_document_names_by_its_digest_alone_is_begun_with(first: Path) -> None:
    known = scenario_of(2, {"initial_policy": str(first)})
    assert known.initial_policy is not None
    named = {"path": str(first), "digest": known.initial_policy.digest}
    assert make_plan(scenario_of(2, {"initial_policy": named})).scenario == known


def test_an_agent_looks_whether_its_networks_are_those_that_were_written(first: Path) -> None:
    """Even where nobody else looks: a slice that is started by hand."""
    config = scenario_of(2, {"initial_policy": str(first)}).initial_policy
    assert isinstance(config, InitialPolicyConfig)
    saved = open_policy(first / "policy", config.digest or "")
    (path,) = (first / "policy").glob("weights-*")
    arrays = tensors.load_file(path)
    arrays["agent-1/critic/0/bias"] += 1
    tensors.save_file(arrays, path)
    assert saved.networks("agent-0")[0].shape == (3, 15 * 5 + 5 + 5 * 6 + 6)
    with pytest.raises(Exception, match="the networks of agent-1 are not what was written"):
        saved.networks("agent-1")


@pytest.mark.processes
def test_the_command_says_it_in_a_sentence(first: Path) -> None:
    done = foretell("check", "exchange-quick", "--set", f"initial_policy={first}")
    assert done.returncode == 2
    assert "foretell: initial_policy: the policy in" in done.stderr
    assert "Traceback" not in done.stderr
