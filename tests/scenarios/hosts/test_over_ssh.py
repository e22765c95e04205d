"""A run over four hosts that only a network connects; what may fail there, each by itself: tools/hosts_campaign.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hosts.network import network
from hosts.over_ssh import DOCUMENT, HOMES, OverSsh, digests
from runs import simulate_here, summary

from scenarios.results.reader import RunReader


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_four_hosts_decide_what_a_simulation_decides_whatever_is_cut_or_killed(tmp_path: Path) -> None:
    with network(tmp_path, tuple(HOMES)) as net:
        settings = ("--transport", "forwarder", "--set", "exchange.patience_s=60")
        run = OverSsh(net, tmp_path / "run", *settings)
        run.until_started()
        net.cut("pi3")
        net.mend("pi3")
        run.until_episode(5)
        net.kill("pi1")
        net.serve("pi1")
        run.end()
        assert len(run.ask(RunReader.lives, [])) >= 2
        assert {host: len(net.processes(host)) for host in HOMES} == dict.fromkeys(HOMES, 1)
    simulated = simulate_here(tmp_path / "simulated", *DOCUMENT)
    assert digests(summary(run.out)) == digests(simulated)
