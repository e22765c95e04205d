"""A run over four hosts that only a network connects, and what becomes of it when they and their links fail."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import pytest
from hosts.network import Network, network
from hosts.over_ssh import DOCUMENT, HOMES, OverSsh, digests
from runs import simulate_here, summary

pytestmark = [
    pytest.mark.processes,
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's"),
]

EDGES, ROUNDS = 6, 3
_CUT_S = 3.0


@pytest.fixture(scope="module")
def four_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net"), tuple(HOMES)) as net:
        yield net


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return digests(simulate_here(tmp_path_factory.mktemp("simulated") / "run", *DOCUMENT))


def comes_true(condition: Callable[[], bool], within_s: float) -> bool:
    give_up_at = time.monotonic() + within_s
    while not (found := condition()) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    return found


def test_four_hosts_decide_what_a_simulation_decides_whatever_is_cut_or_killed(four_hosts, simulated, tmp_path):
    run = OverSsh(four_hosts, tmp_path / "run", "--transport", "forwarder", "--set", "exchange.patience_s=60")
    run.until_started()
    four_hosts.cut("pi3")
    four_hosts.mend("pi3")
    run.until_episode(5)
    run.kill_node("pi2")
    run.until_episode(15)
    four_hosts.kill("pi1")
    four_hosts.serve("pi1")
    run.until_episode(25)
    run.kill_broker(b"forwarder")
    run.until_episode(35)
    run.kill_launcher()
    run.resume()
    run.end()
    assert digests(summary(run.out)) == simulated
    assert "\nagent-1@pi2" in run.logs()
    assert {host: len(four_hosts.processes(host)) for host in HOMES} == dict.fromkeys(HOMES, 1)


def test_shares_that_a_cut_link_keeps_for_longer_than_the_patience_are_missing_and_accounted_for(four_hosts, tmp_path):
    run = OverSsh(four_hosts, tmp_path / "run", "--set", "exchange.patience_s=0.2", "--episodes", "120")

    def is_missed() -> bool:
        return run.ask(lambda store: any(row.heard < row.partners for row in store.rounds()), False)

    run.until_episode(2)
    struck = False
    while not struck:
        four_hosts.cut("pi1")
        struck = comes_true(is_missed, _CUT_S)  # not where all wait for an action of the agent that is cut off
        four_hosts.mend("pi1")
        run.until_another_episode()
    run.end()
    found = summary(run.out)
    assert found["shares_heard"] + found["shares_missing"] == EDGES * ROUNDS * 120
    assert found["shares_missing"] > 0
    assert run.unaccounted() == {}
