"""One scenario gives the same decisions on every substrate, bit for bit."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from running import DROPS, TINY, foretell, summary

DIGESTS = ("curve_digest", "weights_digest", "ledger_digest")
COUNTS = ("shares_sent", "shares_heard", "shares_missing", "shares_late", "edge_bytes", "rounds", "env_steps")


def results(out: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    done = foretell(*arguments, *TINY, "--out", str(out), **environment)
    assert done.returncode == 0, done.stderr
    return summary(out)


def edges(out: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(out / "run.sqlite") as database:
        return database.execute(
            "SELECT * FROM edges WHERE destination != 'observer' ORDER BY source, destination"
        ).fetchall()


@pytest.mark.parametrize(
    ("scenario", "settings"),
    [
        ("exchange-quick", ()),
        ("exchange-quick", ("algorithm.name=independent",)),
        ("predation-6", ()),
        ("navigation", ("exchange.skip_probability=0.5", "exchange.skip_scope=edge")),
        ("predation-6-quick", ("exchange.mode=random-partner",)),
        ("exchange-quick", ("transport.zeromq.scheme=tcp", "transport.zeromq.base_port=27310")),
    ],
    ids=["shared", "independent", "proximity", "skips", "random-partner", "tcp"],
)
def test_processes_decide_what_the_simulation_decides(tmp_path: Path, scenario: str, settings: tuple[str, ...]) -> None:
    arguments = [scenario, "--episodes", "8", *(part for setting in settings for part in ("--set", setting))]
    simulated = results(tmp_path / "simulate", "simulate", *arguments)
    ran = results(tmp_path / "run", "run", *arguments)
    assert simulated["complete"]
    assert {name: ran[name] for name in DIGESTS + COUNTS} == {name: simulated[name] for name in DIGESTS + COUNTS}
    assert edges(tmp_path / "run") == edges(tmp_path / "simulate")


def test_lost_and_delayed_messages_are_the_same_ones_on_both_substrates(tmp_path: Path) -> None:
    delays = '{kind="delay",delay_s={distribution="exponential",mean_s=0.005}}'
    faults = f"{DROPS[:-1]},{delays}]"
    arguments = ["exchange-quick", "--episodes", "8", "--set", faults, "--set", "exchange.patience_s=0.5"]
    simulated = results(tmp_path / "simulate", "simulate", *arguments)
    ran = results(tmp_path / "run", "run", *arguments)
    assert simulated["shares_missing"] > 0
    assert simulated["faults_applied"] > simulated["shares_missing"]
    assert {name: ran[name] for name in DIGESTS + COUNTS} == {name: simulated[name] for name in DIGESTS + COUNTS}


def test_lost_timesteps_and_actions_are_asked_for_again(tmp_path: Path) -> None:
    faults = 'faults=[{kind="drop",probability=0.1,messages=["timestep","action"]}]'
    arguments = [
        "exchange-quick",
        "--episodes",
        "2",
        "--set",
        "service.action_patience_s=0.1",
        "--set",
        "service.ready_patience_s=0.5",
    ]
    faultless = results(tmp_path / "faultless", "simulate", *arguments)
    simulated = results(tmp_path / "simulate", "simulate", *arguments, "--set", faults)
    ran = results(tmp_path / "run", "run", *arguments, "--set", faults)
    assert simulated["faults_applied"] > 0
    for name in ("curve_digest", "weights_digest"):
        assert ran[name] == simulated[name] == faultless[name]


def test_the_order_of_hashes_decides_nothing(tmp_path: Path) -> None:
    first, second = (
        results(tmp_path / seed, "simulate", "exchange-quick", "--episodes", "5", PYTHONHASHSEED=seed)
        for seed in ("1", "2")
    )
    assert {name: first[name] for name in DIGESTS} == {name: second[name] for name in DIGESTS}


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    first, second = (
        results(tmp_path / seed, "simulate", "exchange-quick", "--episodes", "3", "--seed", seed) for seed in ("1", "2")
    )
    assert first["curve_digest"] != second["curve_digest"]
    assert first["weights_digest"] != second["weights_digest"]


def test_faults_do_not_change_what_is_explored_before_they_strike(tmp_path: Path) -> None:
    arguments = ("simulate", "exchange-quick", "--episodes", "3")
    results(tmp_path / "calm", *arguments)
    results(tmp_path / "faulty", *arguments, "--set", DROPS)
    curves = []
    for name in ("calm", "faulty"):
        with sqlite3.connect(tmp_path / name / "run.sqlite") as database:
            curves.append(database.execute("SELECT * FROM episodes ORDER BY episode, agent").fetchall())
    assert curves[0][:3] == curves[1][:3]
    assert curves[0] != curves[1]


def test_with_every_round_skipped_anticipation_sharing_is_independent_learning(tmp_path: Path) -> None:
    arguments = ("simulate", "exchange-quick", "--episodes", "4")
    skipped = results(tmp_path / "skipped", *arguments, "--set", "exchange.skip_probability=1.0")
    independent = results(tmp_path / "independent", *arguments, "--set", "algorithm.name=independent")
    assert skipped["curve_digest"] == independent["curve_digest"]
    assert skipped["shares_sent"] == 0
