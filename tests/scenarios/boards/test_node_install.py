"""A plain `pip install foretell`, as requirements-node.lock pins it: a node that joins, and no more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from boards.node_install import install_node, locked, required
from limits import LIMIT_S
from ports import free_ports
from runs import TINY, command, simulate_here, summary

from agent_node.learning.differentiated import Differentiated
from broker.driving.process import WRONG
from broker.errors import UserError
from broker.release import EXTRAS, lacking
from scenarios.running.processes import child

pytestmark = pytest.mark.processes

DIGESTS = ("curve_digest", "weights_digest", "ledger_digest")
SSH = """#!/bin/sh
for remote; do :; done
exec sh -c "$remote"
"""
"""What reaches every host: it is this one."""
HOSTS = """
[launcher]
dial = "127.0.0.1"

[board]
ssh = "board"
dial = "127.0.0.1"
participants = ["*"]
python = "{python}"
folder = "{folder}"
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_node(tmp_path_factory.mktemp("node") / "venv")


@pytest.fixture
def said(node: Path) -> Callable[..., tuple[int, str]]:
    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run([node, "-P", *words], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    return run


def test_the_lock_names_all_that_a_node_requires_and_nothing_that_an_extra_brings() -> None:
    assert required() <= locked().keys()
    assert locked().keys().isdisjoint({"gymnasium", "matplotlib", "pettingzoo", "pillow", "rich", "scipy", "torch"})


def test_it_says_its_version_and_lists_scenarios(said: Callable[..., tuple[int, str]]) -> None:
    code, version = said("-m", "scenarios.commands.main", "--version")
    assert (code, version.split(",")[0]) == (0, "foretell")
    code, scenarios = said("-m", "scenarios.commands.main", "list")
    assert code == 0
    assert "exchange-quick" in scenarios


@pytest.mark.parametrize("words", [("simulate", "exchange-quick"), ("run", "exchange-quick"), ("study", "fig5")])
def test_a_command_that_needs_more_names_the_extra_in_one_sentence(
    said: Callable[..., tuple[int, str]], words: tuple[str, ...]
) -> None:
    code, sentence = said("-m", "scenarios.commands.main", *words)
    assert code == 2, sentence
    (line,) = sentence.splitlines()
    assert line.startswith("foretell: this needs ")
    assert line.endswith("which is not installed: pip install 'foretell[lab]'")


def test_our_own_tasks_play_there_and_those_of_pettingzoo_name_the_extra(said: Callable[..., tuple[int, str]]) -> None:
    code, shown = said("-m", "scenarios.commands.main", "check", "exchange-quick")
    assert code == 0, shown
    code, sentence = said("-m", "scenarios.commands.main", "check", "simple-spread-mpe2")
    assert code == 2
    needed = "an environment of PettingZoo's kind needs gymnasium, which is not installed: pip install 'foretell[lab]'"
    assert sentence == f"foretell: environment.env: {needed}"


def test_what_no_extra_brings_is_somebody_elses() -> None:
    assert lacking(ModuleNotFoundError("No module named 'mine'", name="mine")) == ""
    assert lacking(ValueError("torch")) == ""
    assert {lacking(ModuleNotFoundError(name=f"{name}.x")).partition("[")[2] for name in EXTRAS} == {
        *("lab]'", "torch]'", "watch]'"),
        *("mlflow]'", "opentelemetry]'", "prometheus]'", "wandb]'"),
    }


def test_a_participant_that_lacks_an_extra_ends_with_2_and_says_which(caplog: pytest.LogCaptureFixture) -> None:
    assert child._tell("environment", ModuleNotFoundError(name="gymnasium.spaces")) == WRONG
    assert caplog.messages == [
        "environment needs gymnasium, which is not installed: pip install 'foretell[lab]'",
    ]
    assert child._tell("environment", ModuleNotFoundError(name="mine")) != WRONG
    assert caplog.messages[-1] == "environment broke; this is a bug in Foretell"


def test_an_algorithm_that_leaves_its_gradient_to_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    left = SimpleNamespace(name="left")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError) as raised:
        Differentiated.make_ready(left)  # type: ignore[arg-type]
    said = "the algorithm left needs torch, which is not installed: pip install 'foretell[torch]'"
    assert str(raised.value) == said


def test_agents_and_a_task_of_our_own_with_the_lock_alone_learn_what_a_simulation_learns(
    node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(ssh.parent), prepend=":")
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(HOSTS.format(python=node, folder=tmp_path / "board"))
    words = ("exchange-quick", *TINY, "--episodes", "3")
    out = tmp_path / "run"
    ports = ("--set", f"transport.zeromq.base_port={free_ports(5)}")
    run = command("run", *words, "--on", "ssh", "--hosts", str(hosts), "--out", str(out), *ports)
    done = subprocess.run(run, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    simulated = simulate_here(tmp_path / "simulated", *words)
    assert [summary(out)[name] for name in DIGESTS] == [simulated[name] for name in DIGESTS]
