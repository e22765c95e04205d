"""One scenario gives the same decisions on every substrate, bit for bit."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from ports import free_ports
from runs import DROPS, TINY, foretell, foretell_afresh, need_mosquitto, simulate_here, summary

pytestmark = pytest.mark.processes

DIGESTS = ("curve_digest", "weights_digest", "ledger_digest")
COUNTS = ("shares_sent", "shares_heard", "shares_missing", "shares_late", "edge_bytes", "rounds", "env_steps")


def simulated(out: Path, *arguments: str) -> dict[str, Any]:
    return simulate_here(out, *arguments, *TINY)


def ran(out: Path, *arguments: str) -> dict[str, Any]:
    done = foretell("run", *arguments, *TINY, "--out", str(out))
    assert done.returncode == 0, done.stderr
    return summary(out)


def agree(left: dict[str, Any], right: dict[str, Any], *names: str) -> bool:
    return {name: left[name] for name in names} == {name: right[name] for name in names}


def edges(out: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(out / "run.sqlite") as database:
        return database.execute(
            "SELECT * FROM edges WHERE 'observer' NOT IN (source, destination) ORDER BY source, destination"
        ).fetchall()


@pytest.mark.parametrize(
    ("scenario", "settings"),
    [
        ("exchange-quick", ()),
        ("exchange-quick", ("algorithm.name=independent",)),
        ("exchange-quick", ("algorithm.name=value-sharing", "topology.kind=line")),
        ("exchange-quick", ("algorithm.name=value-parameter-sharing", "topology.kind=line")),
        ("exchange-quick", ("algorithm.name=policy-sharing", "topology.kind=line")),
        ("exchange-quick", ("algorithm.name=networked-actor-critic", "topology.kind=line")),
        ("exchange-quick", ("algorithm.name=dna-marl", "topology.kind=line")),
        ("exchange-quick", ("algorithm.name=reward-sharing", "topology.kind=line")),
        ("predation-6-quick", ("environment.observe_time=true",)),
        ("predation-6", ()),
        ("navigation", ("exchange.skip_probability=0.5", "exchange.skip_scope=edge")),
        ("predation-6-quick", ("exchange.mode=random-partner",)),
        ("exchange-quick", ("transport.zeromq.scheme=tcp",)),
    ],
    ids=[
        "shared",
        "independent",
        "values",
        "value parameters",
        "policies",
        "networked",
        "dna-marl",
        "rewards",
        "time",
        "proximity",
        "skips",
        "random-partner",
        "tcp",
    ],
)
def test_processes_decide_what_the_simulation_decides(tmp_path: Path, scenario: str, settings: tuple[str, ...]) -> None:
    arguments = [scenario, "--episodes", "4", *(part for setting in settings for part in ("--set", setting))]
    first = simulated(tmp_path / "simulate", *arguments)
    ports = ["--set", f"transport.zeromq.base_port={free_ports(5)}"] if "tcp" in arguments[-1] else []
    second = ran(tmp_path / "run", *arguments, *ports)
    assert first["complete"]
    assert agree(first, second, *DIGESTS, *COUNTS)
    assert edges(tmp_path / "run") == edges(tmp_path / "simulate")


def test_lost_and_delayed_messages_are_the_same_ones_on_both_substrates(tmp_path: Path) -> None:
    delays = '{kind="delay",delay_s={distribution="exponential",mean_s=0.005}}'
    faults = f"{DROPS[:-1]},{delays}]"
    arguments = ["exchange-quick", "--episodes", "3", "--set", faults, "--set", "exchange.patience_s=0.5"]
    first = simulated(tmp_path / "simulate", *arguments)
    second = ran(tmp_path / "run", *arguments)
    assert first["shares_missing"] > 0
    assert first["faults_applied"] > first["shares_missing"]
    assert agree(first, second, *DIGESTS, *COUNTS)


@pytest.mark.parametrize(
    ("algorithm", "late"),
    [
        ("anticipation-sharing", "drop"),
        ("anticipation-sharing,algorithm.anticipation_sharing.weights=calibrated", "drop"),
        ("value-sharing", "drop"),
        ("value-parameter-sharing", "drop"),
        ("value-parameter-sharing", "reuse"),
        ("policy-sharing", "reuse"),
        ("networked-actor-critic", "reuse"),
        ("dna-marl", "reuse"),
        ("reward-sharing", "drop"),
        ("independent", "drop"),
    ],
)
def test_every_algorithm_learns_the_same_of_what_is_left_when_messages_are_lost(
    tmp_path: Path, algorithm: str, late: str
) -> None:
    own = f"algorithm.name={algorithm}".split(",")
    settings = (*own, f"exchange.late_shares={late}", "exchange.patience_s=0.5", DROPS)
    rounds = ("--set", "learning.rounds=2", *(part for setting in settings for part in ("--set", setting)))
    arguments = ["exchange-quick", "--episodes", "2", *rounds]
    first = simulated(tmp_path / "simulate", *arguments)
    second = ran(tmp_path / "run", *arguments)
    assert (first["shares_missing"] > 0) == (algorithm != "independent")
    assert agree(first, second, *DIGESTS, *COUNTS)


WAYS = {
    "direct": (),
    "forwarder": ("--transport", "forwarder"),
    "mosquitto": ("--transport", "mqtt", "--set", "transport.mqtt.broker=mosquitto"),
    "amqtt": ("--transport", "mqtt", "--set", "transport.mqtt.broker=amqtt"),
    "direct, with keys": ("--set", "transport.security.mode=on"),
    "forwarder, with keys": ("--transport", "forwarder", "--set", "transport.security.mode=on"),
    "mosquitto, with keys": (
        *("--transport", "mqtt", "--set", "transport.mqtt.broker=mosquitto", "--set", "transport.security.mode=on"),
    ),
    "amqtt, with keys": (
        *("--transport", "mqtt", "--set", "transport.mqtt.broker=amqtt", "--set", "transport.security.mode=on"),
    ),
}
LOSSY = (
    *("exchange-quick", "--episodes", "2", "--set", "learning.rounds=1", "--set", DROPS),
    *("--set", "exchange.patience_s=2"),
)


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return simulated(tmp_path_factory.mktemp("lossy") / "simulate", *LOSSY)


@pytest.mark.parametrize("way", WAYS)
def test_losses_and_decisions_are_the_same_whichever_way_messages_travel(
    tmp_path: Path, lossy: dict[str, Any], way: str
) -> None:
    if "mosquitto" in way:
        need_mosquitto()
    found = ran(tmp_path / "run", *LOSSY, *WAYS[way])
    assert lossy["shares_missing"] > 0
    assert agree(lossy, found, *DIGESTS, *COUNTS, "lost", "rejected", "dropped")


@pytest.mark.parametrize("losses", ['kind="drop",probability=0.1', 'kind="gilbert-elliott",to_bad=0.05,to_good=0.5'])
def test_lost_timesteps_and_actions_are_asked_for_again(tmp_path: Path, losses: str) -> None:
    faults = f'faults=[{{{losses},messages=["timestep","action"]}}]'
    patience = ("--set", "service.action_patience_s=0.1", "--set", "service.ready_patience_s=0.5")
    arguments = ["exchange-quick", "--episodes", "2", *patience]
    faultless = simulated(tmp_path / "faultless", *arguments)
    first = simulated(tmp_path / "simulate", *arguments, "--set", faults)
    second = ran(tmp_path / "run", *arguments, "--set", faults)
    assert first["faults_applied"] > 0
    assert agree(first, faultless, "curve_digest", "weights_digest")
    assert agree(second, faultless, "curve_digest", "weights_digest")


def test_the_order_of_hashes_decides_nothing(tmp_path: Path) -> None:
    arguments = ("exchange-quick", "--episodes", "5", *TINY)
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    afresh = foretell_afresh("simulate", *arguments, "--out", str(tmp_path / "other"), PYTHONHASHSEED=seed)
    assert afresh.returncode == 0, afresh.stderr
    assert agree(simulate_here(tmp_path / "here", *arguments), summary(tmp_path / "other"), *DIGESTS)


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    first, second = (
        simulated(tmp_path / seed, "exchange-quick", "--episodes", "3", "--seed", seed) for seed in ("1", "2")
    )
    assert first["curve_digest"] != second["curve_digest"]
    assert first["weights_digest"] != second["weights_digest"]


def test_faults_do_not_change_what_was_explored_before_they_struck(tmp_path: Path) -> None:
    arguments = ("exchange-quick", "--episodes", "3")
    calm = simulated(tmp_path / "calm", *arguments)
    faulty = simulated(tmp_path / "faulty", *arguments, "--set", DROPS)
    curves = []
    for name in ("calm", "faulty"):
        with sqlite3.connect(tmp_path / name / "run.sqlite") as database:
            curves.append(database.execute("SELECT * FROM episodes WHERE episode = 0 ORDER BY agent").fetchall())
    assert len(curves[0]) == 3
    assert curves[0] == curves[1]
    assert calm["weights_digest"] != faulty["weights_digest"]
