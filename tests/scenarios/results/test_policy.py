"""What the agents of a run have learned outlives it: `policy/`, at every end and on both substrates."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy as tensors
from acting_spy import spy_on_acting

from agent_node.learning.network_sizes import Networks, Sizes
from agent_node.policy_document import ActionSpace, LearnedAgent, NetworkLayout, ObservationSpace, PolicyDocument
from agent_node.policy_folder import arrays_of, read_policy, read_training, write_policy
from agent_node.trained_policy import load_policies
from broker.errors import UserError
from broker.participants.checkpoint import FileCheckpoints, State
from scenarios.commands.main import main
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


@pytest.mark.parametrize(
    "algorithm", ["anticipation-sharing", "independent", "networked-actor-critic", "policy-sharing"]
)
def test_a_loaded_policy_gives_the_probabilities_that_the_agent_draws_from_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    """One more episode is played with what was learned until then: at every step, by every agent."""
    scenario = scenario_of(algorithm__name=algorithm)
    try_out(scenario, tmp_path / "run")
    policies = load_policies(tmp_path / "run" / "policy")
    compared = 0

    def look(agent: str, data: memoryview, expected: np.ndarray) -> None:
        nonlocal compared
        seen = np.frombuffer(data, np.float32, 2 * 15).reshape(2, 15)
        found = policies[agent](seen)
        assert (found.dtype, found.tobytes()) == (expected.dtype, expected.tobytes())
        one_by_one = np.concatenate([policies[agent](row[None]) for row in seen])
        many = policies[agent](np.tile(seen, (20, 1)))  # of other sizes than the agent's
        assert one_by_one.tobytes() == expected.tobytes()
        assert many.tobytes() == np.tile(expected, (20, 1)).tobytes()
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        compared += 1

    spy_on_acting(monkeypatch, scenario.episodes, look)
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
        "estimators": {},
        "weights_digest": "",
    }


def test_networks_of_an_algorithms_own_are_in_it_with_their_sizes_and_its_digest_is_of_them_too(tmp_path: Path) -> None:
    try_out(scenario_of(algorithm__name="networked-actor-critic"), tmp_path / "run")
    document, arrays = read_policy(tmp_path / "run" / "policy")
    for agent, learned in document.agents.items():
        sizes = learned.estimators["team_reward"]
        assert (sizes.inputs, sizes.hidden, sizes.outputs) == (30, (6, 5), 1)
        prefixes = (f"{agent}/actor/{agent}", f"{agent}/critic", f"{agent}/estimator/team_reward")
        bits = [arrays[f"{each}/{layer}/{part}"].tobytes() for each in prefixes for layer, part in parts_of(learned)]
        assert learned.weights_digest == sha256(b"".join(bits)).hexdigest()


# Written whole or not at all


class PowerLost(BaseException):
    """Nothing can be done after it."""


def lose(monkeypatch: pytest.MonkeyPatch, after: int, how: BaseException) -> None:
    """Let the system's next call but so many, of those that bring files to the disk, fail."""
    left = after

    def failing(really: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise how
            return really(*arguments, **options)

        return call

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(Path, "replace", failing(Path.replace))
    monkeypatch.setattr(Path, "mkdir", failing(Path.mkdir))


@pytest.mark.parametrize("how", [PowerLost(), OSError(errno.ENOSPC, "No space left on device")], ids=["power", "room"])
@pytest.mark.parametrize("first", [True, False])
def test_a_policy_is_written_whole_or_not_at_all_whenever_the_disk_is_full_or_power_is_lost(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: BaseException, *, first: bool
) -> None:
    document, arrays = read_policy(finished / "policy")
    training = read_training(finished / "policy", document)
    other = {name: array + 1 for name, array in arrays.items()}
    moments = 0
    while True:
        folder = tmp_path / str(moments)
        if not first:
            write_policy(folder, document, arrays, training)
        with monkeypatch.context() as patch:
            lose(patch, moments, how)
            try:
                write_policy(folder, document.model_copy(update={"episodes": 99}), other, other)
                break
            except (PowerLost, OSError):
                pass
        if not first or (folder / "policy.json").exists():
            found = read_policy(folder)
            assert same(found[1], arrays if found[0] == document else other)
            assert same(read_training(folder, found[0]), training if found[0] == document else other)
        if isinstance(how, OSError):
            left = contents(folder).keys() if folder.exists() else set()
            there = read_policy(folder)[0] if left else None
            assert left == (set() if there is None else {"policy.json", there.arrays, there.training})
        write_policy(folder, document.model_copy(update={"episodes": 99}), other, other)
        assert same(read_policy(folder)[1], other), "another try finds nothing in its way"
        moments += 1
    assert moments >= 6


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


def test_a_policy_that_cannot_be_written_is_one_sentence_and_is_written_when_the_run_is_resumed(
    tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(out / "policy")
    (out / "policy").write_text("in the way")
    assert called(monkeypatch, "resume", str(out)) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("foretell: ")]
    assert said == [f"foretell: cannot write the run's policy to {out / 'policy'}: File exists"]
    (out / "policy").unlink()
    assert called(monkeypatch, "resume", str(out)) == 0
    assert contents(out / "policy") == contents(finished / "policy")


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run a command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["foretell", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_complete_run_that_has_not_kept_what_it_learned_last_says_so_and_learns_it_again(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: FileCheckpoints, episode: int, state: State, *, really: Any = FileCheckpoints.write) -> None:
        if episode == 2 and "agent-1" in str(self._folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        really(self, episode, state)

    with monkeypatch.context() as patch:
        patch.setattr(FileCheckpoints, "write", full)
        with pytest.raises(UserError) as caught:
            try_out(scenario_of(), tmp_path / "run")
    assert str(caught.value) == (
        "what the agents have learned is not kept: expected a checkpoint of everybody after episode 2, "
        "found the last one after episode 1. The run's events say why; `foretell resume` plays on from there"
    )
    assert not (tmp_path / "run" / "policy").exists()
    assert called(monkeypatch, "resume", str(tmp_path / "run")) == 0
    assert contents(tmp_path / "run" / "policy") == contents(finished / "policy")


# Read again


def harmed(folder: Path, how: str) -> None:
    document, arrays = folder / "policy.json", next(folder.glob("weights-*"))
    found = json.loads(document.read_text(encoding="utf-8"))
    match how:
        case "no file":
            document.unlink()
        case "no JSON":
            document.write_text('{"version": 2, "agents"')
        case "no text":
            document.write_bytes(b"\xff\xfe")
        case "a list":
            document.write_text("[1]")
        case "another version":
            document.write_text(json.dumps(found | {"version": 1}))
        case "another field":
            document.write_text(json.dumps(found | {"more": 1}))
        case "no width":
            found["agents"]["agent-0"]["actor"]["hidden"] = [-4]
            document.write_text(json.dumps(found))
        case "no shape":
            found["agents"]["agent-0"]["observation_space"]["shape"] = []
            document.write_text(json.dumps(found))
        case "no arrays":
            arrays.unlink()
        case "other arrays":
            arrays.write_bytes(arrays.read_bytes()[:-4] + b"abcd")
        case "elsewhere":
            document.write_text(json.dumps(found | {"arrays": "../../../etc/passwd"}))
        case "no network":
            content = tensors.save({"something": np.zeros(1, np.float32)})
            arrays.write_bytes(content)
            document.write_text(json.dumps(found | {"sha256": sha256(content).hexdigest()}))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no file", "holds no policy: expected policy.json in it (No such file or directory). A run leaves one in"),
        ("no JSON", "policy.json cannot be used: it is not what was written"),
        ("no text", "policy.json cannot be used: it is not what was written"),
        ("a list", "policy.json cannot be used: it is not what was written"),
        ("another version", "policy.json is of version 1, and this Foretell reads version 2"),
        ("another field", "policy.json cannot be used: it is not what was written"),
        ("no width", "policy.json cannot be used: it is not what was written"),
        ("no shape", "policy.json cannot be used: it is not what was written"),
        ("no arrays", "cannot be read ([Errno 2] No such file"),
        ("other arrays", "is not what was written"),
        ("elsewhere", "cannot be read ([Errno 2] No such file"),
        ("no network", "the policy of agent-0 cannot be used: the array 'agent-0/actor/agent-0/0/weight' is missing"),
    ],
)
def test_a_policy_that_cannot_be_used_is_one_sentence(finished: Path, tmp_path: Path, how: str, said: str) -> None:
    folder = shutil.copytree(finished / "policy", tmp_path / "policy")
    harmed(folder, how)
    with pytest.raises(UserError) as caught:
        load_policies(folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(15,), (2, 14), (1, 2, 15)])
def test_observations_of_another_shape_are_refused_by_both_shapes(finished: Path, shape: tuple[int, ...]) -> None:
    policy = load_policies(finished / "policy")["agent-2"]
    with pytest.raises(UserError) as caught:
        policy(np.zeros(shape))
    assert str(caught.value) == f"the policy of agent-2 expects observations of shape (any, 15), found {shape}"


@pytest.mark.parametrize(("value", "said"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e39, "inf")])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_observations_of_which_no_probabilities_come_are_refused_by_place(
    finished: Path, value: float, said: str
) -> None:
    policy, seen = load_policies(finished / "policy")["agent-2"], np.zeros((3, 15))
    seen[1, 4] = value
    with pytest.raises(UserError) as caught:
        policy(seen)
    expected = "expects finite numbers within float32, found"
    assert str(caught.value) == f"the policy of agent-2 {expected} {said} in place 4 of row 1"


@pytest.mark.processes
def test_a_policy_is_loaded_and_used_without_torch(finished: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from agent_node.trained_policy import load_policies
policies = load_policies(Path({str(finished / "policy")!r}))
print([policy([[0.0] * 15]).shape for policy in policies.values()], "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[(1, 6), (1, 6), (1, 6)] False\n"


def test_agents_with_fewer_actions_than_their_neighbors_have_probabilities_of_their_own(tmp_path: Path) -> None:
    """Their networks are as wide as the widest, and only the first outputs are theirs."""
    document, arrays = made(actions=3, outputs=5)
    write_policy(tmp_path / "policy", document, arrays, {})
    (policy,) = load_policies(tmp_path / "policy").values()
    found = policy(np.ones((4, 2), np.float32))
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def made(actions: int, outputs: int) -> tuple[PolicyDocument, dict[str, np.ndarray]]:
    """The policy of one agent by hand."""
    networks = Networks(("agent-0",), Sizes(2, (3,), outputs), Sizes(2, (3,), 1), {})
    draw = np.random.default_rng(1)
    policies, critic = (
        draw.normal(size=(1, each.size)).astype(np.float32) for each in (networks.actor, networks.critic)
    )
    learned = LearnedAgent(
        after_episode=0,
        gone=False,
        observation_space=ObservationSpace(shape=(2,)),
        action_space=ActionSpace(n=actions),
        policies=("agent-0",),
        actor=NetworkLayout(inputs=2, hidden=(3,), outputs=outputs),
        critic=NetworkLayout(inputs=2, hidden=(3,), outputs=1),
        weights_digest="",
    )
    document = PolicyDocument(scenario="s", scenario_digest="", episodes=1, algorithm="a", agents={"agent-0": learned})
    return document, arrays_of("agent-0", networks, policies, critic)
