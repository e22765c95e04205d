"""`foretell why` goes by a clock that nobody sets."""

from __future__ import annotations

import time

from runs import TINY, simulate_here

from broker.wire.records import StatusRecord
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.reports.waits import explain
from scenarios.results.folder import held, make_run_folder
from scenarios.results.observer import Observer


def test_who_waits_since_when_does_not_depend_on_the_date(tmp_path, monkeypatch):
    folder = make_run_folder(tmp_path / "run", "run", 1)
    with held(folder):
        observer = Observer(make_plan(load_scenario("exchange-quick")), folder, "run", lambda _: None)
        monkeypatch.setattr(time, "time", lambda: 20.0)
        observer.take([StatusRecord("agent-0", "ACTING", "agent-0 in ACTING waits for a timestep")])
        observer.flush()
        monkeypatch.setattr(time, "time", lambda: 1.9e9)
        said = next(line for line in explain(folder.root).splitlines() if line.startswith("agent-0"))
        observer.finish()
    since_s = float(said.rpartition("since ")[2].split(" s")[0])
    assert since_s < 1e6


def test_nobody_waits_who_has_died_and_all_others_of_a_stopped_run_last_waited(tmp_path):
    folder = make_run_folder(tmp_path / "run", "run", 1)
    observer = Observer(make_plan(load_scenario("exchange-quick")), folder, "run", lambda _: None)
    waits = [StatusRecord(f"agent-{n}", "ACTING", f"agent-{n} in ACTING waits for a timestep") for n in range(3)]
    observer.take(waits)
    observer.flush()
    observer.leave("agent-1", "it hung", 0)
    with held(folder):
        _, *lines = explain(folder.root).splitlines()
    assert [line.rpartition(",")[0] for line in lines] == [f"agent-{n} in ACTING waits for a timestep" for n in (0, 2)]
    observer.finish()
    head, *lines = explain(folder.root).splitlines()
    assert head.startswith(f"{folder.root} has stopped; ")
    assert [line.rpartition(",")[0] for line in lines] == [
        f"agent-{n} in ACTING last waited for a timestep" for n in (0, 2)
    ]


def test_nobody_waits_in_a_run_that_is_complete(tmp_path):
    simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "1", *TINY)
    assert explain(tmp_path / "run").splitlines() == [
        f"{tmp_path / 'run'} is complete; 1 episode recorded, in 1 life",
        "nobody waits",
    ]
