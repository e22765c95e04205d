"""What is wrong with a host is found before a run begins, and said with what to do about it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ports import free_ports

from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder
from scenarios.running.fleet import HostConfig, parse_fleet
from scenarios.running.hosts.fleet_site import right_here
from scenarios.running.hosts.health.doctor import clock_check, look_over
from scenarios.running.hosts.health.examining import examine
from scenarios.running.hosts.piped import Piped
from scenarios.running.hosts.ssh import explained

FLEET = """
[launcher]
dial = "127.0.0.1"
[left]
dial = "127.0.0.1"
memory_mb = 1
participants = ["environment"]
[right]
dial = "no.such"
participants = ["agent-*"]
[away]
dial = "127.0.0.1"
participants = ["agent-0"]
"""


def test_a_port_in_use_and_a_name_that_does_not_resolve_are_found():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.listen()
        busy = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        found = examine((busy, "tcp://127.0.0.1:1"), ("tcp://no.such:1", busy))
    assert "in use" in found.ports[busy]
    assert found.names["tcp://no.such:1"]
    assert found.names[busy] == ""
    assert found.missing == ()


@pytest.mark.parametrize(("ahead_s", "said"), [(600.0, "600.0 s ahead of"), (-1.8e9, "1800000000.0 s behind")])
def test_a_clock_that_is_far_off_is_to_be_set(ahead_s, said):
    check = clock_check("pi1", ahead_s, 0.1)
    assert not check.well
    assert check.said.startswith(said)
    assert "timedatectl set-ntp true" in check.said
    assert clock_check("pi1", 4.0, 0.1).well


@pytest.mark.processes
def test_every_host_is_looked_over_though_one_is_not_reached(tmp_path):
    fleet = parse_fleet(FLEET.replace('["agent-*"]', '["agent-1", "agent-2"]'))
    folder = RunFolder(tmp_path)
    folder.logs.mkdir()
    plan = make_plan(load_scenario("exchange-quick", {"transport.zeromq.base_port": free_ports(5)}))

    def dial(name: str, host: HostConfig, log: Path) -> Piped:
        here = host.model_copy(update={"folder": str(tmp_path / "there")})
        if name == "away":
            return Piped(["/no/such/program"], log, lambda said: explained(said, name))
        return right_here(name, here, log)

    checks = {(check.host, check.what): check for check in look_over(fleet, plan, folder, dial, held=None)}
    wrong = {place for place, check in checks.items() if not check.well}
    assert wrong == {("left", "memory"), ("left", "names"), ("right", "ports"), ("right", "names"), ("away", "reach")}
    assert "of 1 MB: let fewer participants live there" in checks["left", "memory"].said
    assert checks["away", "reach"].said.startswith("there is no such Python")
    assert Path(tmp_path / "there" / "left" / "doctor").is_dir()
