"""`foretell bench footprint`: every process of a team is found, and what a node takes on disk."""

from __future__ import annotations

import re
import socket
from contextlib import nullcontext
from importlib.metadata import distribution
from pathlib import Path

import pytest
from boards.node_install import OURS, ROOT, locked
from runs import foretell

from scenarios.bench import footprint
from scenarios.bench.footprint import Team, node_bytes
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.running.meeting.running_broker import start_broker


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_every_process_of_a_team_is_measured() -> None:
    ended = foretell("bench", "footprint", COLUMNS="120")
    assert ended.returncode == 0, ended.stderr
    learning, acting = ended.stdout.split("while they only act")
    common = {"host", "environment", "launcher", "forwarder"}
    for table, roles in (
        (learning, common | {"fork server", "resource tracker", "agent"}),
        (acting, common | {"agent that only acts"}),
    ):
        rows = re.findall(r"│ ([a-z ]+?) +│ +([\d.]+) │ +([\d.]+) │ +([\d.]+) │ +([\d.]+) │", table)
        assert {role for role, *_ in rows} == roles
        for role, *figures in rows:
            rss, pss, private, _ = map(float, figures)
            assert rss >= pss >= private > 1, role
    assert re.search(r"an agent that only acts takes \d\d\.\d MB of RSS \(limit 45 MB\)", ended.stdout)


@pytest.mark.processes
def test_a_port_that_is_taken_before_the_forwarder_listens_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def look(plan: Plan, folder: RunFolder, root: Path, act: str = "") -> Team:
        port = plan.scenario.transport.zeromq.base_port
        tried.append(port)
        with socket.create_server(("127.0.0.1", port)) if len(tried) == 1 else nullcontext():
            forwarder = start_broker(plan, folder.logs, root, None, f"tcp://127.0.0.1:{port}", run="run")
        assert forwarder is not None
        forwarder.close()
        return {}

    through = {"transport.zeromq.mode": "forwarder"}
    monkeypatch.setattr(footprint, "_look", look)
    monkeypatch.setattr(footprint, "scenario_of", lambda wish: load_scenario("exchange-quick", through | wish.settings))
    assert footprint.measure_footprint() == ({}, {})
    assert len(set(tried[:2])) == 2
    assert len(tried) >= 3, "one more for each port that somebody else on this machine took in between"


def test_the_size_of_a_node_is_that_of_what_the_lock_names_and_of_foretell() -> None:
    files = [path for room in OURS for path in (ROOT / room).rglob("*")]
    files += [Path(str(file.locate())) for name in locked() for file in distribution(name).files or ()]
    expected = sum(path.stat().st_size for path in files if path.is_file())
    assert node_bytes() == pytest.approx(expected, rel=0.01)
