"""Time in which nobody ran is nobody's fault: stopped together and let go on, a run is that of simulate."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from runs import (
    DROPS,
    TINIEST,
    TINY,
    children_of,
    need_mosquitto,
    participant_pid,
    simulate_here,
    start,
    summary,
    until,
)
from thread_nodes import in_threads

from broker.errors import ParticipantDied, UserError
from broker.own_clock import OwnClock
from broker.servers import forwarder
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store
from scenarios.results.summary import Summary
from scenarios.running.control.run import run
from scenarios.running.launched.inbox import Inbox
from scenarios.running.launched.launch import launched
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.procfs import await_stopped

HUNG_AFTER_S = 3
SCENARIO = (
    *("exchange-quick", "--episodes", "16", *TINY, "--set", DROPS, "--set", "exchange.patience_s=0.3"),
    *("--set", "learning.rounds=1", "--set", "environment.steps=3", "--set", "recovery.checkpoint_every=5"),
    *("--set", f"recovery.hung_after_s={HUNG_AFTER_S}"),
)
ON_CRASH = {
    "restart": ("--set", 'recovery.on_crash="restart"'),
    "degrade": (
        *("--set", 'recovery.on_crash="degrade"', "--set", 'service.missing_action="noop"'),
        *("--set", "service.action_patience_s=100", "--set", "service.ready_patience_s=100"),
    ),
}
FIGURES = ("curve_digest", "weights_digest", "ledger_digest", "shares_heard", "shares_missing", "lost", "complete")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found = simulate_here(tmp_path_factory.mktemp("undisturbed") / "simulate", *SCENARIO)
    return {name: found[name] for name in FIGURES}


def recorded(out: Path) -> int:
    try:
        with read_store(out / "run.sqlite") as store:
            return store.count_episodes()
    except UserError:
        return 0


def stop(pids: list[int]) -> None:
    """Stop them all, as the terminal, the freezer of a container or a debugger does."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        assert await_stopped(pid)


def let_go_on(pids: list[int]) -> None:
    """Let them go on, one a little later than the other."""
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.1)


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize(("transport", "on_crash"), [("zeromq", "degrade"), ("mqtt", "restart")])
def test_all_stopped_for_longer_than_hung_after_s_is_nobodys_death_and_changes_nothing(
    tmp_path: Path, undisturbed: dict[str, Any], transport: str, on_crash: str
) -> None:
    if transport == "mqtt":
        need_mosquitto()
    out = tmp_path / "run"
    told = ("--transport", transport, *ON_CRASH[on_crash], "--out", str(out))
    with start("run", *SCENARIO, *told) as process:
        until(lambda: recorded(out) >= 3 or process.poll() is not None, "3 episodes")
        everybody = [process.pid, *children_of(process.pid)]
        stop(everybody)
        stopped_at = time.monotonic()
        while time.monotonic() < stopped_at + HUNG_AFTER_S + 1:
            time.sleep(0.1)
        let_go_on(everybody)  # the launcher first: it has heard nobody yet
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert "died" not in said
    found = summary(out)
    assert {name: found[name] for name in FIGURES} == undisturbed
    with read_store(out / "run.sqlite") as store:
        assert len(store.lives()) == 1


@pytest.mark.processes
def test_who_does_not_go_on_with_the_others_is_still_taken_for_hung(tmp_path: Path) -> None:
    out = tmp_path / "run"
    told = ("--set", 'recovery.on_crash="fail"', "--episodes", "100000", "--out", str(out))
    with start("run", *SCENARIO, *told, "--set", "recovery.hung_after_s=2") as process:
        until(lambda: recorded(out) >= 1 or process.poll() is not None, "an episode")
        everybody = [process.pid, *children_of(process.pid)]
        alone = participant_pid(out, "agent-1")
        stop(everybody)
        let_go_on([pid for pid in everybody if pid != alone])
        _, said = process.communicate()
    assert process.returncode == 3
    assert "agent-1" in said
    assert "it hung: no sign of its working loop" in said


# Without processes


SHORT = TINIEST | {"episodes": 6}


def play(tmp_path: Path, way: Any, **settings: Any) -> tuple[Summary, list[str]]:
    """Play a tiny run; its summary, and what was said."""
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    plan = make_plan(load_scenario("exchange-quick", SHORT | dotted))
    said: list[str] = []
    folder = make_run_folder(tmp_path, "tiny", 1)
    observer = Observer(plan, folder, "run", lambda _: None, said.append)
    try:
        run(plan, folder, observer, way, lambda: False)
    finally:
        found = observer.finish()
    return found, said


def test_a_date_that_jumps_changes_nothing_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delay = {"kind": "delay", "delay_s": {"distribution": "uniform", "low_s": 0.0, "high_s": 0.01}}
    faults = [{"kind": "drop", "probability": 0.3}, delay]
    settings: dict[str, Any] = {"faults": faults, "exchange__patience_s": 1.0, "transport__security__mode": "off"}
    steady, _ = play(tmp_path / "steady", launched(in_threads), **settings)
    dates, epoch_s = count(), 1.8e9
    monkeypatch.setattr(time, "time", lambda: 0.0 if next(dates) % 3 else epoch_s * (next(dates) % 2))
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
    jumping, said = play(tmp_path / "jumping", launched(in_threads), **settings)
    assert said == []
    assert jumping.complete
    for name in ("curve_digest", "weights_digest", "ledger_digest", "shares_missing"):
        assert getattr(jumping, name) == getattr(steady, name)


class Watched:
    """The launcher's end of a run of three, on a host whose seconds pass when it is told."""

    def __init__(self, folder: Path) -> None:
        self.passed_s = self.computed_s = 0.0
        plan = make_plan(load_scenario("exchange-quick", SHORT))
        self.hung_after_s = plan.scenario.recovery.hung_after_s
        self.joining_s = plan.scenario.joining.give_up_s
        self.observer = Observer(plan, make_run_folder(folder / "run", "run", 1), "run", lambda _: None)
        addresses = make_addresses(plan.participants, plan.scenario.transport.zeromq, folder)
        clock = OwnClock(lambda: self.passed_s, lambda: self.computed_s)
        self.inbox = Inbox(plan, Wiring("run", addresses, observed=True), self.observer, clock, 1.0)

    def silent(self) -> Mapping[str, float]:
        """For how long nobody has said anything, beyond the time that joining may take."""
        return {name: silent_s + self.joining_s for name, silent_s in self.inbox.silent().items()}

    def pass_(self, seconds: float) -> None:
        """Let time pass with the launcher looking all the time."""
        for _ in range(round(seconds / 0.1)):
            self.passed_s += 0.1
            self.inbox.silent()


@pytest.fixture
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    found = Watched(tmp_path_factory.mktemp("w"))
    yield found
    found.inbox.close()
    found.observer.finish()


def test_silence_that_the_launcher_did_not_live_through_is_no_silence(watched: Watched) -> None:
    watched.pass_(10.0)
    assert list(watched.silent().values()) == pytest.approx([10.0] * 4)
    watched.passed_s += 3600.0
    assert max(watched.silent().values()) == pytest.approx(10.0, abs=0.1)
    watched.pass_(watched.hung_after_s)
    assert min(watched.silent().values()) > watched.hung_after_s


def test_silence_while_the_launcher_is_busy_is_silence(watched: Watched) -> None:
    watched.passed_s = watched.computed_s = 100.0
    assert min(watched.silent().values()) == pytest.approx(100.0)


def test_of_silence_counts_all_but_the_seconds_in_which_no_sign_could_come(watched: Watched) -> None:
    watched.pass_(watched.joining_s + 10.0)
    watched.inbox.excuse(["agent-0", "nobody"], 4.0)
    watched.inbox.excuse(["agent-1"], 400.0)
    silent = watched.inbox.silent()
    assert [round(silent[name], 3) for name in ("environment", "agent-0", "agent-1")] == [10.0, 6.0, 0.0]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("on_crash", "deaths", "ends"), [("restart", 4, False), ("restart", 999, True), ("fail", 4, True)]
)
def test_a_broker_killed_again_and_again_before_it_listens_has_died_and_is_treated_by_on_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_crash: str, deaths: int, ends: bool
) -> None:
    popen, started = subprocess.Popen, []

    def start_and_kill(*arguments: Any, **options: Any) -> Any:
        started.append(popen(*arguments, **options))
        if len(started) <= deaths:
            started[-1].kill()
        return started[-1]

    monkeypatch.setattr(forwarder.subprocess, "Popen", start_and_kill)
    settings: dict[str, Any] = {"transport__zeromq__mode": "forwarder", "recovery__on_crash": on_crash}
    if ends:
        with pytest.raises(ParticipantDied, match="signal SIGKILL before it listened"):
            play(tmp_path, launched(in_threads), **settings, recovery__restarts=2)
        assert len(started) == (3 if on_crash == "fail" else 9)
        return
    found, said = play(tmp_path, launched(in_threads), **settings)
    assert found.complete
    assert any("broker died: signal SIGKILL before it listened" in sentence for sentence in said)
