"""Whoever is killed while a run starts has died, like anybody who dies later: it is no interruption and no mistake."""

from __future__ import annotations

import os
import signal
import subprocess
from multiprocessing import forkserver
from pathlib import Path

import pytest
from limits import LIMIT_S
from runs import until

from broker.errors import ParticipantDied
from broker.servers import forwarder
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import make_run_folder
from scenarios.running.meeting.meeting import meeting
from scenarios.running.processes.forked_nodes import ForkedNodes
from scenarios.running.procfs import await_stopped

pytestmark = pytest.mark.processes


def kill_the_first(monkeypatch: pytest.MonkeyPatch, count: int) -> list[subprocess.Popen[str]]:
    """Kill as many forwarders as soon as they are there; all that were started."""
    popen, started = subprocess.Popen, []

    def start(*arguments, **options):
        started.append(popen(*arguments, **options))
        if len(started) <= count:
            started[-1].kill()
            started[-1].wait(LIMIT_S)
        return started[-1]

    monkeypatch.setattr(forwarder.subprocess, "Popen", start)
    return started


def meet(tmp_path: Path):
    plan = make_plan(load_scenario("exchange-quick", {"transport": {"zeromq": {"mode": "forwarder"}}}))
    sockets = tmp_path / "s"
    sockets.mkdir()
    return meeting(plan, make_run_folder(tmp_path / "run", "r", 1), sockets, "r-aaaaaaaa", lambda _: None)


def test_a_forwarder_killed_before_it_listens_is_started_again(tmp_path, monkeypatch):
    started = kill_the_first(monkeypatch, 1)
    with meet(tmp_path) as found:
        assert found.begin().startswith("ipc://")
        assert not found.look()
    assert len(started) == 2


def test_a_forwarder_that_is_killed_before_it_listens_again_and_again_has_died(tmp_path, monkeypatch):
    kill_the_first(monkeypatch, 100)
    with pytest.raises(ParticipantDied, match="signal SIGKILL before it listened"), meet(tmp_path) as found:
        found.begin()


@pytest.mark.parametrize("when", ["before it is asked", "before it forks"])
def test_a_fork_server_killed_while_it_forks_is_the_death_of_whom_it_forks(tmp_path, monkeypatch, when):
    nodes = ForkedNodes(make_run_folder(tmp_path / "run", "r", 1), None)
    ask = forkserver.reduction.sendfds

    def kill_first(*arguments):
        monkeypatch.setattr(forkserver.reduction, "sendfds", ask)
        pid = forkserver._forkserver._forkserver_pid
        os.kill(pid, signal.SIGSTOP)
        await_stopped(pid)  # or it may have forked before it is killed
        if when == "before it forks":
            ask(*arguments)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        if when == "before it is asked":
            ask(*arguments)

    monkeypatch.setattr(forkserver.reduction, "sendfds", kill_first)
    nodes.start("agent-0", "{}")
    end = nodes.ended()["agent-0"]
    assert end.code == 255
    assert end.said.startswith("the server that forks participants died")
    nodes.start("agent-0", "{}")
    until(lambda: "agent-0" in nodes.ended(), "the end of a participant with a wrong slice")
    assert nodes.ended()["agent-0"].code == 1
    nodes.end()
