"""What is to be seen of a run: read from its folder while it is written, only what is new, as each life leaves it."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from runs import TINY, simulate_here

from broker.errors import UserError
from broker.wire.records import (
    DelayRecord,
    EdgeRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    Fate,
    FaultRecord,
    JoinedRecord,
    ProcessFaultRecord,
    RoundRecord,
    StatusRecord,
    TrafficRecord,
)
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder, held
from scenarios.results.observer import Observer
from scenarios.results.reader import RunReader
from scenarios.watching.page.payload import changes, whole
from scenarios.watching.run_list import RunList, is_run
from scenarios.watching.seen import HappeningKind, Health, RunState
from scenarios.watching.thinning import thinned
from scenarios.watching.watched_run import WatchedRun

RAIN = '{"name": "rain", "kind": "drop", "probability": 0.5, "destination": "agent-1"}'


class Watch:
    """A run that is written here, and watched."""

    def __init__(self, root):
        self.folder = RunFolder(root)
        plan = make_plan(load_scenario("exchange-quick", {"episodes": 100}))
        self.observer = Observer(plan, self.folder, "run", lambda _: None)
        self.observer.begin_life(-1, "")
        self.now_s = 0.0
        self.run = WatchedRun(root, lambda: self.now_s)

    def take(self, *records):
        self.observer.take([*records])
        self.observer.flush()
        return self.look()

    def look(self):
        return self.run.look()


@pytest.fixture
def watch(tmp_path):
    made = Watch(tmp_path)
    with held(made.folder):
        yield made
    made.observer.finish()


def episode(number, *returns):
    return EpisodeRecord(number, returns or (1.0, 2.0, 3.0), 20, 0)


def edge(seen, source, destination):
    return next(each for each in seen.edges if (each.source, each.destination) == (source, destination))


def traffic(heard, missing, late=0, rejected=0):
    counts = EdgeRecord("agent-0", "agent-1", heard=heard, missing=missing, late=late, rejected=rejected)
    return TrafficRecord(counts)


def test_a_run_that_has_just_begun_can_be_seen(watch):
    seen = watch.look()
    assert (seen.state, seen.life, seen.substrate, len(seen.team)) == (RunState.GOES_ON, 0, "run", 0)
    assert [agent.participant for agent in seen.agents] == ["agent-0", "agent-1", "agent-2"]
    assert len(seen.edges) == 12
    assert {each.health for each in seen.edges} == {Health.QUIET}
    assert seen.references is not None
    assert [each.kind for each in seen.happenings] == [HappeningKind.LIFE]


def test_nothing_is_read_while_nothing_is_written_and_waits_grow_all_the_same(watch, monkeypatch):
    monkeypatch.setattr("scenarios.results.store.time.monotonic", lambda: 10.0)
    text = "agent-0 in SHARING (episode 3) waits for the shares of round 1 from agent-2, agent-1"
    watch.now_s = 12.5
    first = watch.take(StatusRecord("agent-0", "SHARING", text))
    (agent, *_) = first.agents
    assert (agent.phase, agent.awaited, agent.waits_s, agent.silent_s) == ("SHARING", ("agent-2", "agent-1"), 2.5, 2.5)
    monkeypatch.setattr(RunReader, "lives", lambda _: pytest.fail("it was read again"))
    watch.now_s = 14.0
    second = watch.look()
    assert (second.version, second.agents[0].waits_s) == (first.version, 4.0)


def test_returns_and_rounds_come_as_they_are_written(watch):
    assert watch.take(episode(0)).team.tolist() == [6.0]
    seen = watch.take(episode(1, 0.0, 1.0, 2.0), RoundRecord("agent-1", 1, 2, 2, 1, {}))
    assert seen.team.tolist() == [6.0, 3.0]
    agent = seen.agents[1]
    assert (agent.episode, agent.round, agent.partners, agent.heard) == (1, 2, 2, 1)
    assert (agent.value, agent.mean) == (1.0, 1.5)


def test_of_returns_delays_changes_and_events_only_what_is_new_is_read(watch, monkeypatch):
    held_back = DelayRecord("agent-0", "agent-1", "share", 0, 0, 0, 0.5, 0.6)
    changed = FaultRecord("rain", "agent-0", "agent-1", "share", 0, 1, 0, (), Fate.DROPPED)
    watch.observer.add_fault("rain", RAIN)
    watch.take(*map(episode, range(5)), held_back, changed, JoinedRecord("agent-0"))
    found = []
    for name in ("team_returns", "delays_by_edge", "changes_by_edge", "events"):
        asked = getattr(RunReader, name)
        monkeypatch.setattr(RunReader, name, lambda *words, asked=asked: found.append(asked(*words)) or found[-1])
    seen = watch.take(episode(5), held_back)
    assert [len(rows) for rows in found] == [1, 0, 1, 0] or sorted(map(len, found)) == [0, 0, 1, 1]
    assert len(seen.team) == 6
    assert edge(seen, "agent-0", "agent-1").held == 2
    assert edge(seen, "agent-0", "agent-1").delay_s == pytest.approx(0.6)
    (rain,) = seen.faults
    assert rain.struck == 1


def test_what_a_new_life_takes_back_is_seen_no_more(watch):
    watch.take(*map(episode, range(6)))
    watch.observer.begin_life(2, "agent-1 died: signal SIGKILL. Its log: x")
    seen = watch.take(episode(3, 9.0, 0.0, 0.0))
    assert seen.life == 1
    assert seen.team.tolist() == [6.0, 6.0, 6.0, 9.0]
    assert [agent.deaths for agent in seen.agents] == [0, 1, 0]
    assert [(each.kind, each.after_episode) for each in seen.happenings][-1] == (HappeningKind.LIFE, 2)


def test_a_new_run_in_the_same_folder_is_not_taken_for_the_old_one(watch):
    before = watch.take(*map(episode, range(6)))
    with closing(sqlite3.connect(watch.folder.store)) as database, database:
        database.execute("UPDATE document SET run = 'another'")
        database.execute("DELETE FROM episodes WHERE episode > 1")
    seen = watch.take()
    assert (seen.life, seen.names) == (before.life, before.names)
    assert len(seen.team) == 2
    assert changes(before, seen) == whole(seen)


def test_a_folder_into_which_nobody_may_look_is_no_run(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refused)
    assert not is_run(tmp_path)


@pytest.mark.parametrize(
    ("counts", "health"),
    [
        ((10, 5), Health.QUIET),
        ((13, 5), Health.HEARD),
        ((13, 7, 2), Health.LATE),
        ((13, 7, 1), Health.MISSING),
        ((13, 7, 0, 1), Health.REJECTED),
        ((10, 8), Health.CUT),
    ],
)
def test_the_health_of_an_edge_is_that_of_its_newest_shares(watch, counts, health):
    watch.take(traffic(10, 5))
    seen = watch.take(traffic(*counts), TrafficRecord(EdgeRecord("agent-2", "agent-1", heard=1)))
    assert edge(seen, "agent-0", "agent-1").health is health
    assert edge(seen, "agent-0", "agent-1").total.missing == counts[1]
    assert edge(seen, "agent-1", "agent-0").health is Health.QUIET


def test_a_live_fault_is_in_force_on_the_edges_it_touches_until_it_is_healed(watch):
    watch.take(episode(0))
    watch.observer.add_fault("rain", RAIN)
    (rain,) = watch.look().faults
    assert (rain.name, rain.kind, rain.is_added, rain.in_force) == ("rain", "drop", True, True)
    assert rain.edges == {("agent-0", "agent-1"), ("agent-2", "agent-1")}
    watch.observer.heal_fault("rain")
    seen = watch.look()
    assert not seen.faults[0].in_force
    assert [each.kind for each in seen.happenings if each.kind is not HappeningKind.LIFE] == [
        HappeningKind.FAULT_ADDED,
        HappeningKind.FAULT_HEALED,
    ]


def test_strikes_deaths_and_connections_stand_behind_the_episode_in_which_they_came(watch):
    watch.take(episode(0), episode(1))
    watch.observer.take([ProcessFaultRecord("crash", "second 3", "agent-1", "killed")])
    watch.observer.leave("agent-2", "its host is gone", watch.observer.played)
    seen = watch.take(EventRecord("agent-0", EventKind.DISCONNECTED, "", "the broker is gone"))
    found = {each.kind: (each.after_episode, each.who) for each in seen.happenings}
    assert found[HappeningKind.STRIKE] == (1, ("agent-1",))
    assert found[HappeningKind.DEATH] == (1, ("agent-2",))
    assert found[HappeningKind.CONNECTION] == (1, ("agent-0",))
    assert [agent.gone for agent in seen.agents] == [False, False, True]


def test_a_finished_run_and_a_list_of_runs(tmp_path, monkeypatch):
    simulate_here(tmp_path / "one", "exchange-quick", "--episodes", "2", *TINY)
    (tmp_path / "two").mkdir()
    (tmp_path / "two/run.sqlite").write_text("no database at all" * 100)
    (tmp_path / "two/scenario.toml").write_text("")
    (tmp_path / "three").mkdir()
    runs = RunList(tmp_path)
    one, two = runs.look()
    assert (one.path, two.path) == ("one", "two")
    assert two.problem.startswith("cannot read the run's store")
    assert one.seen is not None
    assert one.seen.state is RunState.COMPLETE
    assert one.seen.summary is not None
    assert edge(one.seen, "agent-0", "agent-1").health is Health.HEARD
    assert edge(one.seen, "agent-0", "agent-1").total.sent_bytes > 0
    monkeypatch.setattr("scenarios.watching.watched_run.is_held", lambda _: pytest.fail("its lock was touched"))
    assert runs.run("one").look() is one.seen
    with pytest.raises(UserError, match="holds no run '\\.\\./one'"):
        runs.run("../one")


def test_what_cannot_be_read_is_said_each_time_and_read_again_when_it_is_back(watch):
    before = watch.take(episode(0))
    aside = watch.folder.store.rename(watch.folder.root / "aside")
    for _ in range(2):
        with pytest.raises(UserError, match="cannot read the run's store"):
            watch.look()
    aside.rename(watch.folder.store)
    assert watch.look().team.tolist() == before.team.tolist()


def test_a_long_series_is_thinned_to_means_over_windows():
    middles, means = thinned(np.arange(10.0), 4)
    assert middles.tolist() == [2.0, 5.0, 8.0, 10.0]
    assert means.tolist() == [1.0, 4.0, 7.0, 9.0]
    assert all(len(each) == 0 for each in thinned(np.zeros(0), 4))
    assert not math.isnan(thinned(np.ones(1), 4)[1][0])
