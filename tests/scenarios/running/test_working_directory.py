"""No process of a run takes a module from the folder in which somebody happens to work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from limits import LIMIT_S
from runs import TINY, need_mosquitto

from broker.servers.mqtt_server import start_mqtt_server
from scenarios.document.loading import load_scenario

pytestmark = pytest.mark.processes

NAMES = (
    "scenarios",
    "broker",
    "agent_node",
    "env_service",
    "zmq",
    "safetensors",
    "msgspec",
    "click",
    "socket",
    "signal",
)
TRAP = """
from pathlib import Path
with (Path({folder!r}) / "executed").open("a") as file:
    print(__name__, file=file)
raise ImportError("a module of the working directory was taken")
"""
SCRIPT = """
import sys
from scenarios.commands.main import main
if __name__ == "__main__":
    sys.exit(main())
"""
MEASURE = """
from os import getpid
from scenarios.bench.workers import end, fork
if __name__ == "__main__":
    end(fork(getpid, [()]))
"""
RUN = ("exchange-quick", "--episodes", "2", *TINY)
SECURED = ("--set", 'transport.security.mode="on"')
TASK = """
import os
from pathlib import Path
from mpe2.simple_spread_v3 import parallel_env
with Path(__file__).with_name("seen").open("a") as file:
    print(os.environ.get("PYTHONSAFEPATH"), file=file)
"""


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, full of modules that call themselves like those that a run needs."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(TRAP.format(folder=str(tmp_path)))
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return folder


def script(trapped: Path, source: str) -> tuple[str, str]:
    """A command as pip leaves it: a script in a folder of its own."""
    path = trapped.parent / "bin" / "command"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    return sys.executable, str(path)


def finished(*command: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def executed(trapped: Path) -> str:
    file = trapped.parent / "executed"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("transport", ["forwarder", "mqtt"])  # zeromq: below
def test_a_run_executes_nothing_of_the_working_directory(trapped: Path, transport: str) -> None:
    if transport == "mqtt":
        need_mosquitto()
    out = str(trapped.parent / "run")
    done = finished(*script(trapped, SCRIPT), "run", *RUN, *SECURED, "--transport", transport, "--out", out)
    assert (done.returncode, executed(trapped)) == (0, ""), done.stderr


def test_a_batch_of_runs_executes_nothing_of_the_working_directory(trapped: Path) -> None:
    faulty = ("--set", 'faults=[{kind="drop",probability=0.3}]')
    out = str(trapped.parent / "twin")
    done = finished(*script(trapped, SCRIPT), "twin", *RUN, *faulty, "--seeds", "1", "--jobs", "1", "--out", out)
    assert (done.returncode, executed(trapped)) == (0, ""), done.stderr


def test_the_broker_in_pure_python_executes_nothing_of_the_working_directory(trapped: Path) -> None:
    pytest.importorskip("amqtt")
    start_mqtt_server("amqtt", trapped.parent, load_scenario("exchange-quick", {}).transport).close()
    assert executed(trapped) == ""


def test_workers_of_benchmarks_execute_nothing_of_the_working_directory(trapped: Path) -> None:
    done = finished(*script(trapped, MEASURE))
    assert (done.returncode, executed(trapped)) == (0, ""), done.stderr


@pytest.mark.parametrize("module", ["agent_node", "env_service"])
def test_a_participant_started_by_hand_takes_its_libraries_from_where_they_are_installed(
    trapped: Path, module: str
) -> None:
    for name in ("agent_node", "env_service", "socket", "signal"):
        (trapped / f"{name}.py").unlink()
    done = finished(sys.executable, "-m", module, said="{}")
    assert (done.returncode, executed(trapped)) == (2, ""), done.stderr


def test_an_environment_of_the_user_is_found_where_pythonpath_says_and_may_start_interpreters_as_ever(
    trapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mpe2")
    own = trapped.parent / "own"
    own.mkdir()
    (own / "my_task.py").write_text(TASK)
    monkeypatch.setenv("PYTHONPATH", str(own))
    task = ("--set", 'environment={kind="pettingzoo",env="my_task",options={N=3}}')
    done = finished(*script(trapped, SCRIPT), "run", *RUN, *SECURED, *task, "--out", str(trapped.parent / "run"))
    assert (done.returncode, executed(trapped)) == (0, ""), done.stderr
    assert (own / "seen").read_text().splitlines() == ["None"] * 2, "in the launcher and in the environment's process"
