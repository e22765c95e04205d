"""A cluster of brokers stands between the participants, and the run goes on when one of them dies."""

from __future__ import annotations

import pytest
from nats import nats_cluster
from runs import TINY, simulate_here, start, summary, until

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store

pytestmark = [pytest.mark.processes, pytest.mark.long]
DIGESTS = ("curve_digest", "weights_digest")


def test_participants_go_on_over_the_others_when_a_server_of_a_cluster_is_killed(tmp_path):
    document = ("exchange-quick", "--episodes", "60", "--set", "recovery.checkpoint_every=5", *TINY)
    out = tmp_path / "run"

    def played() -> int:
        try:
            with read_store(RunFolder(out).store) as store:
                return store.count_episodes()
        except UserError:
            return 0  # it has hardly begun

    with nats_cluster(tmp_path) as servers:
        addresses = "[" + ", ".join(f'"{server.address}"' for server in servers) + "]"
        patient = (
            "--set",
            "joining.give_up_s=300",
        )  # the servers take half a minute to agree on who leads, on a free machine
        over = ("--transport", "mqtt", "--set", f"transport.mqtt.address={addresses}", *patient)
        with start("run", *document, *over, "--out", str(out)) as running:
            until(lambda: played() >= 3, "three episodes")
            servers[1].kill()
            said = running.communicate()
        assert running.returncode == 0, said
    expected = simulate_here(tmp_path / "simulated", *document)
    assert {name: summary(out)[name] for name in DIGESTS} == {name: expected[name] for name in DIGESTS}
    with read_store(RunFolder(out).store) as store:
        assert len(store.lives()) > 1
