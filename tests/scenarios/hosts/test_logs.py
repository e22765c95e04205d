"""What the processes of a run say is read in one place, wherever they live, while the run goes on and afterwards.

The run's hosts have IPv6 addresses.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ports import free_ports
from runs import TINY, foretell, simulate_here, start, summary

from scenarios.results.folder import RunFolder, locked
from scenarios.results.reader import read_store
from scenarios.running.log_files import new_in_logs
from scenarios.running.run_logs import HostLogs

pytestmark = pytest.mark.processes

DOCUMENT = ("exchange-quick", *TINY, "--episodes", "1")
FLEET = """
[launcher]
dial = "::1"
[left]
dial = "::1"
folder = "{folder}"
participants = ["environment"]
[right]
dial = "::1"
folder = "{folder}"
participants = ["agent-*"]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run over two hosts."""
    root = tmp_path_factory.mktemp("ran")
    (root / "hosts.toml").write_text(FLEET.format(folder=root / "there"))
    port = f"transport.zeromq.base_port={free_ports(5)}"
    words = (*DOCUMENT, "--transport", "forwarder", "--set", port, "--out", str(root / "run"))
    done = foretell("run", *words, "--on", "here", "--hosts", str(root / "hosts.toml"))
    assert done.returncode == 0, done.stderr
    return root / "run"


def log_there(out: Path, host: str, name: str) -> Path:
    with read_store(RunFolder(out).store) as store:
        return out.parent / "there" / host / str(store.run_name()) / "logs" / f"{name}.log"


def test_hosts_with_ipv6_addresses_decide_what_a_simulation_decides(ran, tmp_path):
    names = ("curve_digest", "weights_digest")
    simulated, found = simulate_here(tmp_path / "simulated", *DOCUMENT), summary(ran)
    assert [found[name] for name in names] == [simulated[name] for name in names]


def test_logs_of_all_hosts_stand_in_one_place(ran):
    log_there(ran, "right", "agent-1").write_text("what an agent says\n")
    all_say, one_says = foretell("logs", str(ran)), foretell("logs", str(ran), "agent-1")
    assert all_say.returncode == one_says.returncode == 0
    assert {line.split()[0] for line in all_say.stdout.splitlines()} >= {"environment@left", "agent-1@right"}
    assert one_says.stdout == f"{'agent-1@right':20}  what an agent says\n"


def test_who_has_no_log_is_told_with_those_who_have(ran):
    done = foretell("logs", str(ran), "agent-7")
    assert done.returncode == 2
    assert "agent-7 has no log in this run: expected some of agent-0, agent-1, agent-2, environment" in done.stderr


def test_logs_are_followed_until_nobody_works_on_the_run(ran):
    log, folder = log_there(ran, "right", "agent-2"), RunFolder(ran)
    with locked(folder.lock, "somebody works here"):
        following = start("logs", str(ran), "agent-2", "--follow")
        with log.open("a") as file:
            file.write("now\nand then")
        assert following.stdout.readline().split() == ["agent-2@right", "now"]
    assert following.communicate()[0].split() == ["agent-2@right", "and", "then"]
    assert following.returncode == 0


def test_a_host_that_has_lost_the_run_is_told_and_the_others_speak(ran):
    there = log_there(ran, "left", "environment").parent.parent
    shutil.move(there, there.with_name("moved"))
    done = foretell("logs", str(ran))
    shutil.move(there.with_name("moved"), there)
    assert done.returncode == 2
    assert f"host left: expected the folder of a run that was here, found none at {there}" in done.stderr
    assert "agent-1@right" in done.stdout


def test_lines_are_whole_however_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("scenarios.running.log_files._MOST_BYTES", 3)
    (tmp_path / "agent-0.log").write_bytes("añb\n\nc".encode())
    logs = HostLogs("", lambda begin: new_in_logs(tmp_path, begin))
    assert [line.text for line in logs.lines()] == ["añb", ""]
    assert [line.text for line in logs.rest()] == ["c"]
    assert [*logs.lines(), *logs.rest()] == []
