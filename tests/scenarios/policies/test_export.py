"""`foretell policy export`: each agent's policy elsewhere gives the probabilities that it acts with here."""

from __future__ import annotations

import ast
import io
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent_node.policy_folder import read_document
from agent_node.trained_policy import load_policies
from broker.errors import UserError
from scenarios.commands.main import foretell as commands
from scenarios.document.loading import load_scenario
from scenarios.policies import exported, folder, onnx_files, torch_files
from scenarios.policies.exported import ExportedPolicy, policies_of, questions_for
from scenarios.trials.quiet_run import try_out

HERE = Path(__file__).parent.parent
TINY: dict[str, Any] = {"episodes": 2, "parallel_episodes": 2, "learning.hidden": [7, 5], "learning.rounds": 1}
FAST = {"learning.actor_learning_rate": 0.05}
"""So that probabilities are far from equal, and any mistake shows."""
MASKED = """name = "masked"
seed = 1
topology.kind = "complete"
[environment]
kind = "pettingzoo"
env = "masked_toy"
observation = "own"
steps = 9
options = {by = "info"}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    try_out(load_scenario("navigation-quick", TINY | FAST | {"environment.steps": 6}), out)
    return out


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Agents with 3, 9 and 2 actions, which an environment masks."""
    place = tmp_path_factory.mktemp("masked")
    (place / "masked.toml").write_text(MASKED)
    settings = TINY | FAST | {"learning.hidden": [4], "environment.file": str(HERE / "masked_toy.py")}
    try_out(load_scenario(str(place / "masked.toml"), settings), place / "run")
    return place / "run"


def export(place: Path, format_: str, out: Path) -> None:
    commands(["policy", "export", str(place), "--format", format_, "--out", str(out)], standalone_mode=False)


def load_torch(path: Path) -> tuple[torch.nn.Sequential, dict[str, Any]]:
    """As docs/policy.md says."""
    saved = torch.load(path, weights_only=True)
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(saved["policy"]["layers"]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    network.load_state_dict(saved["state_dict"])
    return network, saved["policy"]


# Torch


def test_a_torch_file_gives_the_probabilities_that_an_agent_acts_with(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(trained, "torch", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"agent-{n}.pt" for n in range(3)]
    for agent, ours in load_policies(trained / "policy").items():
        network, facts = load_torch(tmp_path / "out" / f"{agent}.pt")
        seen = np.random.default_rng(1).normal(size=(50, 12)).astype(np.float32)
        found = network(torch.from_numpy(seen)).softmax(-1).detach().numpy()
        np.testing.assert_allclose(found, ours(seen), atol=1e-6)
        assert ours(seen).std() > 0.02
        assert facts["agent"] == agent
    shown = capsys.readouterr().out
    assert "3 policies, from 12 numbers to 5 actions" in shown
    assert "(allowed: 1e-05)" in shown


def test_a_file_says_what_it_is(trained: Path, tmp_path: Path) -> None:
    export(trained, "torch", tmp_path / "out")
    document, digest = read_document(trained / "policy")
    _, facts = load_torch(tmp_path / "out" / "agent-1.pt")
    assert facts == {
        "agent": "agent-1",
        "scenario": "navigation-quick",
        "algorithm": "anticipation-sharing",
        "learned_from": 2,
        "died": False,
        "layers": [12, 7, 5, 5],
        "actions": ["up", "down", "left", "right", "stay"],
        "masks": False,
        "weights_digest": document.agents["agent-1"].weights_digest,
        "policy_digest": digest,
    }


def test_agents_with_fewer_actions_than_others_have_no_outputs_for_those(masked: Path, tmp_path: Path) -> None:
    export(masked, "torch", tmp_path / "out")
    policies = load_policies(masked / "policy")
    for agent, actions in (("agent-0", 3), ("agent-1", 9), ("agent-2", 2)):
        network, facts = load_torch(tmp_path / "out" / f"{agent}.pt")
        assert (facts["layers"], facts["actions"], facts["masks"]) == ([3, 4, actions], [], True)
        seen = np.random.default_rng(2).normal(size=(20, 3)).astype(np.float32)
        found = network(torch.from_numpy(seen)).softmax(-1).detach().numpy()
        np.testing.assert_allclose(found, policies[agent](seen), atol=1e-6)


# ONNX


def test_an_onnx_model_gives_the_probabilities_and_takes_masks_where_there_may_be_any(
    trained: Path, masked: Path, tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'foretell[onnx]'")
    for place, size, may_mask in ((trained, 12, False), (masked, 3, True)):
        out = tmp_path / str(size)
        export(place, "onnx", out)
        for agent, ours in load_policies(place / "policy").items():
            model = onnx.load(out / f"{agent}.onnx")
            assert [each.name for each in model.graph.input] == ["observations", "possible"][: 1 + may_mask]
            seen = np.random.default_rng(3).normal(size=(30, size)).astype(np.float32)
            found = run_onnx(model, {"observations": seen})
            np.testing.assert_allclose(found, ours(seen), atol=1e-6)
            if may_mask:
                actions = found.shape[1]
                possible = np.arange(30)[:, None] % actions <= np.arange(actions)
                found = run_onnx(model, {"observations": seen, "possible": possible})
                np.testing.assert_allclose(found, ours(seen, possible), atol=1e-6)
                assert (found[~possible] == 0).all()


def run_onnx(model: Any, given: dict[str, np.ndarray]) -> np.ndarray:
    """By the reference evaluator, and by a runtime that people use, where it is installed."""
    from onnx.reference import ReferenceEvaluator

    (found,) = ReferenceEvaluator(model).run(["probabilities"], given)
    try:
        import onnxruntime
    except ImportError:
        return found
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    (theirs,) = onnxruntime.InferenceSession(model.SerializeToString(), options).run(["probabilities"], given)
    np.testing.assert_allclose(theirs, found, atol=1e-6)
    return theirs


def test_an_onnx_model_says_what_it_is(trained: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'foretell[onnx]'")
    export(trained, "onnx", tmp_path / "out")
    model = onnx.load(tmp_path / "out" / "agent-2.onnx")
    facts = {each.key: each.value for each in model.metadata_props}
    (policy,) = [policy for policy in policies_of(trained)[0] if policy.facts["agent"] == "agent-2"]
    assert set(facts) == set(policy.facts)
    assert facts["weights_digest"] == policy.facts["weights_digest"]
    assert json.loads(facts["actions"]) == ["up", "down", "left", "right", "stay"]
    assert json.loads(facts["layers"]) == [12, 7, 5, 5]
    assert (facts["masks"], facts["learned_from"], facts["agent"]) == ("false", "2", "agent-2")
    assert model.producer_name == "foretell"


def test_without_onnx_its_format_is_one_sentence_and_nothing_is_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError) as caught:
        export(trained, "onnx", tmp_path / "out")
    assert str(caught.value) == (
        "--format onnx needs onnx, which is not installed: pip install 'foretell[onnx]', or use --format torch"
    )
    assert list(tmp_path.iterdir()) == []


# The check


@pytest.mark.parametrize("write", [torch_files.to_torch, onnx_files.to_onnx])
@pytest.mark.parametrize("mistake", ["a layer turned", "a bias forgotten", "another agent's"])
def test_a_policy_that_would_act_otherwise_elsewhere_is_not_written(trained: Path, write: Any, mistake: str) -> None:
    if write is onnx_files.to_onnx:
        pytest.importorskip("onnx", reason="onnx is not installed: pip install 'foretell[onnx]'")
    policy, other, _ = policies_of(trained)[0]
    layers = list(policy.layers)
    if mistake == "a layer turned":
        layers[1] = (np.flip(layers[1][0]), layers[1][1])
    elif mistake == "a bias forgotten":
        layers[2] = (layers[2][0], np.zeros_like(layers[2][1]))
    else:
        layers = list(other.layers)
    with pytest.raises(
        UserError, match=r"the exported policy of agent-0 .* expected at most 1e-05: nothing was written"
    ):
        write(ExportedPolicy(policy.facts, tuple(layers), policy.ours))


def test_probabilities_that_are_no_numbers_or_of_other_actions_are_found(trained: Path) -> None:
    policy = policies_of(trained)[0][0]
    ours = policy.ours(questions_for(policy)[0])
    assert exported.greatest_difference(policy, ours, None) == 0
    for wrong in (ours * np.nan, ours[:, :-1], ours + np.float32(2e-5)):
        with pytest.raises(UserError):
            exported.greatest_difference(policy, wrong, None)


def test_every_mask_that_is_asked_about_leaves_an_action_and_some_forbid_others(masked: Path) -> None:
    for policy in policies_of(masked)[0]:
        _, possible = questions_for(policy)
        assert possible.any(axis=1).all()
        assert not possible.all()


# Where it goes


@pytest.mark.parametrize(
    ("out", "said"),
    [("there", "is there already"), ("no/out", "there is no folder"), ("/proc/out", "cannot make /proc/out")],
)
def test_a_folder_that_cannot_be_made_is_one_sentence(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=said):
        export(trained, "torch", Path(out))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_an_export_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write_bytes(self: Path, content: bytes, *, really: Any = Path.write_bytes) -> int:
        written.append(self.name)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return really(self, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(UserError, match=r"cannot make .*out: No space left on device"):
        folder.write_folder(tmp_path / "out", {"a": b"1", "b": b"2"})
    assert list(tmp_path.iterdir()) == []


def test_an_agent_that_kept_nothing_is_told_of_and_left_out(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "policy"
    place.mkdir()
    for path in (trained / "policy").iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    document = json.loads((place / "policy.json").read_text())
    document["agents"]["agent-1"]["after_episode"] = None
    (place / "policy.json").write_text(json.dumps(document))
    export(place, "torch", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["agent-0.pt", "agent-2.pt"]
    assert "agent-1 died before it kept anything, so there is no policy of it" in capsys.readouterr().err


def test_a_policy_without_its_scenario_is_exported_all_the_same(trained: Path, tmp_path: Path) -> None:
    place = tmp_path / "policy"
    place.mkdir()
    for path in (trained / "policy").iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    document = json.loads((place / "policy.json").read_text())
    document["document"] = {}
    (place / "policy.json").write_text(json.dumps(document))
    export(place, "torch", tmp_path / "out")
    _, facts = load_torch(tmp_path / "out" / "agent-0.pt")
    assert (facts["actions"], facts["masks"]) == ([], True)


def test_what_never_masks_has_no_input_for_masks(tmp_path: Path) -> None:
    settings = TINY | FAST | {"environment.steps": 4, "learning.hidden": [4]}
    try_out(load_scenario("simple-spread-quick", settings), tmp_path / "run")
    export(tmp_path / "run", "torch", tmp_path / "out")
    _, facts = load_torch(tmp_path / "out" / "agent-0.pt")
    assert facts["masks"] is False


def test_the_environment_need_not_be_there(masked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("env_service.environments.pettingzoo.find_builder", None)
    export(masked, "torch", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_what_is_no_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no policy: expected policy\.json in it"):
        export(tmp_path, "torch", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_torch_reads_a_file_without_running_anything_in_it(trained: Path) -> None:
    content, _ = torch_files.to_torch(policies_of(trained)[0][0])
    assert set(torch.load(io.BytesIO(content), weights_only=True)) == {"state_dict", "policy"}
    loads = [node for node in ast.walk(ast.parse(Path(torch_files.__file__).read_text())) if isinstance(node, ast.Call)]
    (load,) = [node for node in loads if ast.unparse(node.func) == "torch.load"]
    assert "weights_only=True" in ast.unparse(load)
