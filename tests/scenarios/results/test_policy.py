"""What the agents of a run have learned outlives it: `policy/`, at every end and on both substrates."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent_node.learning import learner as learning
from agent_node.learning.perceptron import action_weights
from agent_node.policy_folder import read_policy
from agent_node.trained_policy import load_policies
from scenarios.document.loading import load_scenario
from scenarios.document.scenario import Scenario
from scenarios.trials.quiet_run import try_out

TINY = {
    "episodes": 3,
    "parallel_episodes": 2,
    "environment.steps": 4,
    "learning.hidden": [6, 5],
    "learning.rounds": 2,
    "recovery.checkpoint_every": 2,
}


def scenario_of(**settings: Any) -> Scenario:
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    return load_scenario("exchange-quick", TINY | dotted)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    try_out(scenario_of(), out)
    return out


def told(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "policy" / "policy.json").read_text(encoding="utf-8"))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("algorithm", ["anticipation-sharing", "independent", "policy-sharing"])
def test_a_loaded_policy_gives_the_probabilities_that_the_agent_draws_from_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    """One more episode is played with what was learned until then: at every step, by every agent."""
    scenario = scenario_of(algorithm__name=algorithm)
    try_out(scenario, tmp_path / "run")
    policies = load_policies(tmp_path / "run" / "policy")
    drawn_from: list[np.ndarray] = []
    compared = 0

    def spied(logits: np.ndarray) -> np.ndarray:
        drawn_from.append(action_weights(logits))
        return drawn_from[-1]

    class Spied(learning.Learner):
        def act(self, step: int, data: memoryview) -> np.ndarray:
            nonlocal compared
            actions = super().act(step, data)
            if self._episode == scenario.episodes:
                observations = np.frombuffer(data, np.float32, 2 * 15).reshape(2, 15)
                weights = drawn_from[-1]
                expected = weights / np.add.accumulate(weights, axis=1)[:, -1:]
                found = policies[self._name](observations)
                assert (found.dtype, found.tobytes()) == (expected.dtype, expected.tobytes())
                np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
                compared += 1
            return actions

    monkeypatch.setattr(learning, "action_weights", spied)
    monkeypatch.setattr("agent_node.build.Learner", Spied)
    try_out(scenario.model_copy(update={"episodes": scenario.episodes + 1}), tmp_path / "longer")
    assert compared == 3 * 4


def test_it_is_what_the_weights_digest_of_the_run_is_of(finished: Path) -> None:
    document, arrays = read_policy(finished / "policy")
    for agent, learned in document.agents.items():
        actor = [
            np.concatenate(
                [arrays[f"{agent}/actor/{other}/{layer}/{part}"].ravel() for layer, part in parts_of(learned)]
            )
            for other in learned.policies
        ]
        critic = np.concatenate([arrays[f"{agent}/critic/{layer}/{part}"].ravel() for layer, part in parts_of(learned)])
        assert learned.weights_digest == sha256(np.stack(actor).tobytes() + critic.tobytes()).hexdigest()
    joint = "\n".join(f"{agent} {learned.weights_digest}" for agent, learned in document.agents.items())
    summary = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    assert summary["weights_digest"] == sha256(joint.encode()).hexdigest()


def parts_of(learned: Any) -> list[tuple[int, str]]:
    return [(layer, part) for layer in range(1 + len(learned.actor.hidden)) for part in ("weight", "bias")]


def test_its_document_says_all_that_is_needed_to_use_it_without_the_run(finished: Path) -> None:
    found = told(finished)
    assert found["scenario_digest"] == scenario_of().digest
    assert (found["scenario"], found["episodes"], found["algorithm"]) == ("exchange-quick", 3, "anticipation-sharing")
    assert list(found["agents"]) == ["agent-0", "agent-1", "agent-2"]
    agent = found["agents"]["agent-1"]
    assert agent | {"weights_digest": ""} == {
        "after_episode": 2,
        "gone": False,
        "observation_space": {"kind": "box", "dtype": "float32", "shape": [15]},
        "action_space": {"kind": "discrete", "n": 6},
        "policies": ["agent-1", "agent-0", "agent-2"],
        "actor": {"inputs": 15, "hidden": [6, 5], "outputs": 6},
        "critic": {"inputs": 15, "hidden": [6, 5], "outputs": 1},
        "weights_digest": "",
    }
