"""Processes killed with -9: a run ends by itself, or goes on when asked to, with the results of an undisturbed one."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runs import (
    DROPS,
    TINY,
    Started,
    children_of,
    foretell,
    need_mosquitto,
    participant_pid,
    simulate_here,
    start,
    summary,
    until,
)

from scenarios.running.procfs import is_alive

pytestmark = [pytest.mark.processes, pytest.mark.long]

EPISODES = 40
SCENARIO = (
    *("exchange-quick", "--episodes", str(EPISODES), *TINY, "--set", DROPS, "--set", "exchange.patience_s=0.3"),
    *("--set", "learning.rounds=1", "--set", "environment.steps=3", "--set", "recovery.checkpoint_every=5"),
    *("--set", "recovery.hung_after_s=600"),
)
FIGURES = (
    *("curve_digest", "weights_digest", "ledger_digest", "episodes", "rounds", "env_steps", "faults_applied"),
    *("shares_sent", "shares_heard", "shares_missing", "shares_late", "rejected", "dropped", "lost", "complete"),
)


def figures(out: Path) -> dict[str, Any]:
    found = summary(out)
    return {name: found[name] for name in FIGURES}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("undisturbed") / "simulate"
    simulate_here(out, *SCENARIO)
    return figures(out)


def recorded(out: Path) -> int:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(DISTINCT episode) FROM episodes").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def lives(out: Path) -> list[tuple[int, str]]:
    with contextlib.closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as database:
        return database.execute("SELECT after_episode, why FROM lives ORDER BY incarnation").fetchall()


@pytest.fixture
def launched() -> Iterator[list[Started]]:
    """Launchers to be ended with all they started, whatever happens."""
    found: list[Started] = []
    with contextlib.ExitStack() as all_of_them:
        yield found
        for process in found:
            all_of_them.enter_context(process)


def kill_when(out: Path, episodes: int, victim: str, how: int = signal.SIGKILL) -> None:
    """Kill a participant as soon as so many episodes are recorded."""
    until(lambda: recorded(out) >= episodes, f"{episodes} episodes")
    os.kill(participant_pid(out, victim), how)


@pytest.mark.parametrize("transport", ["zeromq", "mqtt"])
def test_whoever_is_killed_the_results_are_those_of_an_undisturbed_run(
    tmp_path: Path, launched: list[Started], undisturbed: dict[str, Any], transport: str
) -> None:
    if transport == "mqtt":
        need_mosquitto()
    out = tmp_path / "run"
    process = start("run", *SCENARIO, "--transport", transport, "--out", str(out))
    launched.append(process)
    for number, victim in enumerate(["agent-1", "environment", *(["broker"] if transport == "mqtt" else [])]):
        kill_when(out, 6 + 8 * number, victim)
        until(lambda number=number: len(lives(out)) == number + 2, "another life")  # type: ignore[misc]
    children = children_of(process.pid)
    until(lambda: recorded(out) >= 28, "28 episodes")
    process.kill()
    process.communicate()
    until(lambda: not any(map(is_alive, children)), "the end of all processes")

    done = foretell("run", "--resume", str(out))
    assert done.returncode == 0, done.stderr
    assert figures(out) == undisturbed
    went_on_after, whys = zip(*lives(out), strict=True)
    assert all(after >= 0 for after in went_on_after[1:])
    assert "agent-1 died: signal SIGKILL" in whys
    assert "environment died: signal SIGKILL" in whys
    assert ("the broker died: it was started again" in whys) == (transport == "mqtt")
    assert "the run is resumed" in done.stderr


def test_a_stopped_participant_is_taken_for_hung_and_the_run_goes_on_without_loss(
    tmp_path: Path, launched: list[Started], undisturbed: dict[str, Any]
) -> None:
    out = tmp_path / "run"
    process = start("run", *SCENARIO, "--set", "recovery.hung_after_s=3", "--out", str(out))
    launched.append(process)
    kill_when(out, 12, "agent-0", signal.SIGSTOP)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert "agent-0 died: it hung: no sign of its working loop for" in said
    assert figures(out) == undisturbed


def test_ctrl_c_says_how_to_go_on_and_going_on_loses_nothing(
    tmp_path: Path, launched: list[Started], undisturbed: dict[str, Any]
) -> None:
    out = tmp_path / "run"
    process = start("run", *SCENARIO, "--out", str(out))
    launched.append(process)
    until(lambda: recorded(out) >= 12, "12 episodes")
    environment = participant_pid(out, "environment")
    os.kill(environment, signal.SIGSTOP)  # so that the run is still under way when it is interrupted
    refused = foretell("run", "--resume", str(out))
    os.killpg(process.pid, signal.SIGINT)
    os.kill(environment, signal.SIGCONT)
    _, said = process.communicate()
    assert f"go on with: foretell resume {out}" in said
    assert refused.returncode == 2
    assert "another process works on" in refused.stderr
    harm_newest_checkpoint(out / "checkpoints" / "agent-2")
    done = foretell("run", "--resume", str(out))
    assert done.returncode == 0, done.stderr
    assert figures(out) == undisturbed
    again = foretell("run", "--resume", str(out))
    assert again.returncode == 0
    assert "is complete: there is nothing to go on with" in again.stderr


def harm_newest_checkpoint(folder: Path) -> None:
    """Cut the arrays of the last one, as a full disk or a lost sector may."""
    newest = max(folder.glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-10])


def test_a_folder_without_a_run_or_with_a_damaged_one_is_a_sentence(tmp_path: Path) -> None:
    nothing = foretell("run", "--resume", str(tmp_path))
    assert nothing.returncode == 2
    assert "holds no run: expected the folder that `foretell run` or `foretell simulate` left" in nothing.stderr
    both = foretell("run", "exchange-quick", "--resume", str(tmp_path))
    assert both.returncode == 2
    assert "it takes no scenario" in both.stderr
    out = tmp_path / "run"
    simulate_here(out, *SCENARIO)
    (out / "summary.json").unlink()
    content = bytearray((out / "run.sqlite").read_bytes())
    content[4096:12288] = bytes(8192)
    (out / "run.sqlite").write_bytes(content)
    damaged = foretell("resume", str(out))
    assert damaged.returncode == 2
    assert "run.sqlite" in damaged.stderr
    assert "Traceback" not in damaged.stderr
    assert (out / "run.sqlite").read_bytes() == content


def test_why_names_who_waits_for_whom(tmp_path: Path, launched: list[Started]) -> None:
    out = tmp_path / "run"
    process = start("run", *SCENARIO, "--episodes", "100000", "--out", str(out))
    launched.append(process)
    asked = ["why", str(out)]
    until(lambda: "agent-0 in " in foretell(*asked).stdout, "a first sign")
    os.kill(participant_pid(out, "agent-0"), signal.SIGSTOP)
    until(lambda: "no sign of it for" in foretell(*asked).stdout, "silence")
    found = foretell(*asked).stdout
    assert "goes on" in found
    assert "agent-0" in found.split("environment in STEPPING")[1].split("\n")[0]
    process.kill()
    process.communicate()
    assert "has stopped" in foretell(*asked).stdout
