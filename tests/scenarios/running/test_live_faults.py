"""Faults that are added to a run while it goes on, shown, and healed."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from limits import LIMIT_S
from runs import TINY, foretell, start, summary, until

from scenarios.document.loading import load_scenario
from scenarios.running.control.live_requests import describe_faults
from scenarios.trials.quiet_run import try_out

pytestmark = pytest.mark.processes

SCENARIO = (
    *("exchange-quick", "--episodes", "100000", *TINY, "--set", "learning.rounds=1", "--set", "environment.steps=3"),
    *("--set", "recovery.checkpoint_every=5", "--set", "exchange.patience_s=0.05"),
)


def ask(out: Path, question: str) -> list[Any]:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as store:
            return store.execute(question).fetchall()
    except sqlite3.OperationalError:
        return []


def recorded(out: Path) -> int:
    return next((count for (count,) in ask(out, "SELECT count(DISTINCT episode) FROM episodes")), 0)


def dropped(out: Path, fault: str) -> int:
    return sum(count for (count,) in ask(out, f"SELECT count(*) FROM faults WHERE fault = '{fault}'"))


def last_struck(out: Path) -> int:
    return next(episode for (episode,) in ask(out, "SELECT max(episode) FROM faults") or [(1 << 30,)])


@pytest.fixture
def going_on(tmp_path: Path) -> Iterator[Any]:
    """A run that goes on until the test lets it end; its folder and its process."""
    out = tmp_path / "run"
    old = 'faults=[{kind="drop",name="old",probability=0.2}]'
    with start("run", *SCENARIO, "--set", old, "--out", str(out)) as process:
        until(lambda: recorded(out) >= 5, "five episodes")
        yield out, process


def test_a_fault_is_added_strikes_and_is_healed_and_what_was_added_survives_a_crash(going_on: Any) -> None:
    out, process = going_on
    added = foretell("fault", "add", str(out), "kind=drop", "name=storm", "probability=1.0", "agents=['agent-0']")
    assert added.returncode == 0, added.stderr
    assert "fault storm is in force" in added.stdout
    until(lambda: dropped(out, "storm") > 0, "a message that the new fault dropped")

    crashed = foretell("fault", "add", str(out), "kind=crash", "participants=['agent-1']")
    assert crashed.returncode == 0, crashed.stderr
    until(lambda: len(ask(out, "SELECT * FROM lives")) == 2, "another life")
    before = recorded(out)
    until(lambda: recorded(out) > before + 10, "ten episodes more")
    (last,) = ask(out, "SELECT max(episode) FROM faults WHERE fault = 'storm'")[0]
    assert last >= before

    later = foretell("fault", "add", str(out), "kind=drop", "name=later", "probability=1.0", "episodes=[90000,90001]")
    assert f"fault later is waiting for episode 90000 in {out}" in later.stdout
    assert foretell("fault", "heal", str(out), "later").returncode == 0
    listed = foretell("fault", "list", str(out)).stdout.splitlines()
    assert [line.split(":")[0] for line in listed] == ["old", "storm", "crash", "later"]
    assert "of the scenario, in force" in listed[0]
    assert "added, in force" in listed[1]
    assert "struck 1" in listed[2]

    healed = foretell("fault", "heal", str(out), "all")
    assert healed.returncode == 0, healed.stderr
    assert healed.stdout.strip().endswith("old, storm")
    until(lambda: recorded(out) > last_struck(out) + 10, "ten episodes without a strike")
    assert all("healed after episode" in line for line in foretell("fault", "list", str(out)).stdout.splitlines()[:2])

    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert "fault storm is added after episode" in said
    assert "fault storm is healed after episode" in said
    assert summary(out)["faults_applied"] == dropped(out, "old") + dropped(out, "storm")
    late = foretell("fault", "add", str(out), "kind=drop", "name=b", "probability=1.0")
    assert late.returncode == 2
    assert "does not go on" in late.stderr


def test_a_fault_of_which_the_window_or_the_run_is_over_is_not_called_in_force(tmp_path: Path) -> None:
    windows = (("early", 0, 1), ("late", 3, 4))
    faults = [{"kind": "drop", "name": name, "probability": 0.5, "episodes": window} for name, *window in windows]
    root = tmp_path / "run"
    try_out(load_scenario("exchange-quick", {"faults": faults, "episodes": 4, "learning.rounds": 1}), root)

    def states() -> list[str]:
        return [line.partition(", struck")[0].split(", ")[-1] for line in describe_faults(root)]

    assert states() == ["over with its run", "over with its run"]
    (root / "summary.json").unlink()
    with contextlib.closing(sqlite3.connect(root / "run.sqlite")) as store, store:
        store.execute("DELETE FROM episodes WHERE episode > 1")  # as if it had been interrupted there
    assert states() == ["over", "waiting for episode 3"]


def test_what_makes_no_sense_is_refused_and_the_run_goes_on(going_on: Any) -> None:
    out, process = going_on
    drop = ("add", str(out), "kind=drop", "name=b", "probability=1.0")
    for words, said in [
        (("add", str(out), "kind=drop", "probability=7"), "probability: expected less than or equal to 1"),
        (("add", str(out), "kind=drop", "name=old", "probability=0.5"), "the run has a fault called 'old' already"),
        (("add", str(out), "kind=crash", "participants=['agent-1']", "at_s=[3.0]"), "strikes at once: leave it out"),
        (("add", str(out), "kind=late-join", "participants=['agent-1']", "by_s=3.0"), "found late-join"),
        (("add", str(out), "kind=crash", "participants=['agent-9']"), "expected some of environment, agent-0"),
        ((*drop, "agents=['agent-9']"), "which is none of them"),
        ((*drop, "rounds=[9,10]"), "window that begins below"),
        ((*drop, "episodes=[0,1]"), "window that ends behind episode"),
        (("heal", str(out), "nothing"), "has no fault of messages called 'nothing' in force; it has old"),
        (("add", str(out / "nowhere"), "kind=drop"), "holds no run"),
    ]:
        refused = foretell("fault", *words)
        assert refused.returncode == 2, words
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    for number, garbage in enumerate(("no json", "[]", "{}", '{"add": {"kind": "drop"}}')):
        (out / "orders").mkdir(exist_ok=True)
        (out / "orders" / f"{number}.json").write_text(garbage)
    twice = '{"add": {"kind": "drop", "name": "old", "probability": 0.5}}'
    (out / "orders" / "9.json").write_text(twice)
    until(lambda: not list((out / "orders").iterdir()), "orders to be taken")
    before = recorded(out)
    until(lambda: recorded(out) > before + 2, "more episodes")
    told = [text for (text,) in ask(out, "SELECT text FROM events WHERE kind = 'note'")]
    assert sum("makes no sense and was not carried out" in text for text in told) == 4
    assert "a second fault called old was not added" in told
    assert process.poll() is None


def test_a_simulation_takes_faults_between_episodes_and_is_played_again_bit_for_bit(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with start("simulate", *SCENARIO, "--out", str(out)) as process:
        until(lambda: recorded(out) >= 5, "five episodes")
        added = foretell("fault", "add", str(out), "kind=drop", "name=storm", "probability=0.5")
        assert added.returncode == 0, added.stderr
        until(lambda: dropped(out, "storm") > 0, "a message that the new fault dropped")
        crashed = foretell("fault", "add", str(out), "kind=crash", "participants=['agent-1']")
        assert crashed.returncode == 0, crashed.stderr
        healed = foretell("fault", "heal", str(out), "storm")
        assert healed.returncode == 0, healed.stderr
        before = recorded(out)
        until(lambda: recorded(out) > before + 5, "five episodes more")
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
    assert "fault storm is healed after episode" in said
    assert ask(out, "SELECT count(*) FROM lives") == [(2,)]
    scenario = tmp_path / "played.toml"
    listed = foretell("fault", "list", str(out), "--toml")
    assert listed.returncode == 0, listed.stderr
    scenario.write_text(listed.stdout)
    again = tmp_path / "again"
    played = foretell("simulate", str(scenario), "--episodes", str(summary(out)["episodes"]), "--out", str(again))
    assert played.returncode == 0, played.stderr
    names = ("curve_digest", "ledger_digest")  # what was interrupted has counted more shares than its episodes have
    assert {name: summary(again)[name] for name in names} == {name: summary(out)[name] for name in names}
