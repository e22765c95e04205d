"""`foretell why` goes by a clock that nobody sets."""

from __future__ import annotations

import time

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
