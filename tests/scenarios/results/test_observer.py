"""The one who watches a run: progress, and what lies in the folder afterwards."""

from __future__ import annotations

import json
import sqlite3
import struct

import pytest
from tensorboard.compat.proto.event_pb2 import Event

from broker.wire.records import (
    EdgeRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    Fate,
    FaultRecord,
    FinishedRecord,
    JoinedRecord,
    RoundRecord,
)
from scenarios.document.loading import parse_scenario
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer, Progress

AGENTS = ("agent-0", "agent-1")
DOCUMENT = {
    "name": "watched",
    "seed": 5,
    "episodes": 2,
    "environment": {"kind": "exchange", "agents": 2, "grid": 2},
    "topology": {"kind": "complete"},
}


class Watch:
    """An observer with a clock that is set by hand, and what it showed."""

    def __init__(self, root):
        self.now = 100.0
        self.shown = []
        self.folder = RunFolder(root)
        self.plan = make_plan(Scenario.model_validate(DOCUMENT))
        self.said = []
        self.observer = Observer(
            self.plan, self.folder, "run", self.shown.append, self.said.append, clock=lambda: self.now
        )


@pytest.fixture
def watch(tmp_path):
    return Watch(tmp_path)


def rounds(episode, number, heard=1, gain=0.5):
    return [RoundRecord(agent, episode, number, 1, heard, {"gain": gain + index}) for index, agent in enumerate(AGENTS)]


def scalars(folder):
    """(tag, step) -> value, from the TFRecord file: length, checksum, protobuf, checksum."""
    [file] = folder.iterdir()
    data, values = file.read_bytes(), {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        values |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        data = data[12 + length + 4 :]
    return values


def test_nothing_is_known_before_the_first_record(watch):
    assert watch.observer.progress() == Progress(episode=0, team_return=None, rounds=0, heard=0, missing=0)
    watch.observer.finish()


def test_progress_is_shown_with_every_batch(watch):
    watch.observer.take([*rounds(0, 0), *rounds(0, 1, heard=0), EpisodeRecord(0, (10.0, -4.0), 20, 0)])
    assert watch.shown == [Progress(episode=1, team_return=6.0, rounds=2, heard=2, missing=2)]
    watch.observer.take([EpisodeRecord(1, (20.0, 6.0), 20, 0)])
    assert watch.shown[1] == Progress(episode=2, team_return=pytest.approx(7.0), rounds=2, heard=2, missing=2)
    assert watch.observer.progress() == watch.shown[1]
    watch.observer.finish()


def test_a_round_counts_once_however_many_agents_close_it(watch):
    both = rounds(0, 0)
    watch.observer.take(both[:1])
    watch.observer.take(both[1:])
    assert [progress.rounds for progress in watch.shown] == [1, 1]
    watch.observer.finish()


def test_who_lost_its_connection_is_not_taken_for_dead(watch):
    watch.observer.begin_life(-1, "")
    watch.observer.take([EventRecord("agent-0", EventKind.CONNECTION_LOST, "", "its connection ended without goodbye")])
    watch.observer.leave("agent-1", "exit code 1", watch.observer.played)
    assert watch.observer.gone == ("agent-1",)
    assert watch.observer.begin_life(-1, "somebody died") == 1
    assert watch.observer.gone == ("agent-1",)
    watch.observer.finish()


def finished_run(watch):
    watch.observer.take([JoinedRecord("environment")])
    watch.now = 101.0
    watch.observer.take([JoinedRecord("agent-0")])
    for episode in range(2):
        watch.observer.take([*rounds(episode, 0), *rounds(episode, 1, gain=1.5)])
        watch.observer.take([EpisodeRecord(episode, (episode + 1.0, 0.5), 20, 1)])
    watch.observer.take([FaultRecord("rain", "agent-0", "agent-1", "share", 0, 0, 0, (), Fate.DROPPED)])
    watch.observer.take([EventRecord("agent-0", EventKind.REJECTED, "agent-1", "No.")])
    watch.observer.take([EdgeRecord("agent-0", "agent-1", sent=4, sent_bytes=400)])
    watch.observer.take([FinishedRecord(agent, agent) for agent in AGENTS])
    watch.now = 104.0
    return watch.observer.finish()


def test_the_folder_of_a_run_holds_everything(watch):
    summary = finished_run(watch)
    folder = watch.folder
    assert parse_scenario(folder.scenario.read_text(), {}) == watch.plan.scenario
    assert json.loads(folder.summary.read_text()) == summary.model_dump()
    store = sqlite3.connect(folder.store)
    counts = {
        table: store.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        for table in ("episodes", "rounds", "edges", "faults", "events")
    }
    store.close()
    assert counts == {"episodes": 4, "rounds": 8, "edges": 1, "faults": 1, "events": 3}


def test_the_summary_speaks_of_this_run(watch):
    summary = finished_run(watch)
    assert (summary.scenario, summary.seed, summary.substrate, summary.complete) == ("watched", 5, "run", True)
    assert (summary.episodes, summary.rounds, summary.env_steps, summary.missing_actions) == (2, 4, 40, 2)
    assert (summary.faults_applied, summary.shares_sent) == (1, 4)


def test_time_runs_from_the_first_participant_that_had_joined_to_the_end(watch):
    summary = finished_run(watch)
    assert (summary.wall_s, summary.env_steps_per_s) == (4.0, 10.0)


def test_a_life_that_goes_on_is_timed_from_its_own_beginning_with_the_steps_played_in_it(watch):
    watch.observer.begin_life(-1, "")
    watch.observer.take([JoinedRecord("environment"), *rounds(0, 0), EpisodeRecord(0, (1.0, 0.5), 20, 0)])
    watch.now = 150.0
    watch.observer.begin_life(0, "somebody died")
    watch.now = 160.0
    watch.observer.take([JoinedRecord("environment"), *rounds(1, 0), EpisodeRecord(1, (1.0, 0.5), 20, 0)])
    watch.now = 164.0
    summary = watch.observer.finish()
    assert (summary.env_steps, summary.wall_s, summary.env_steps_per_s) == (40, 4.0, 5.0)


def test_what_an_earlier_process_has_played_does_not_count_for_the_speed_of_this_one(watch):
    watch.observer.begin_life(-1, "")
    watch.observer.take([JoinedRecord("environment"), *rounds(0, 0), EpisodeRecord(0, (1.0, 0.5), 20, 0)])
    watch.observer.finish()
    resumed = Observer(watch.plan, watch.folder, "run", lambda _: None, clock=lambda: watch.now)
    resumed.begin_life(0, "")
    resumed.take([JoinedRecord("environment"), *rounds(1, 0), EpisodeRecord(1, (1.0, 0.5), 20, 0)])
    watch.now += 2.0
    assert resumed.finish().env_steps_per_s == 10.0


def test_the_rounds_a_second_are_those_of_this_life_in_this_process_and_the_next(watch):
    def one_more_round(observer):
        observer.begin_life(0, "somebody died")
        observer.take([JoinedRecord("environment"), *rounds(1, 0)])
        watch.now += 1.0
        return observer.progress().rounds, observer.progress().rounds_per_s

    watch.observer.begin_life(-1, "")
    played = [*rounds(0, 0), *rounds(0, 1), EpisodeRecord(0, (1.0, 0.5), 20, 0)]
    watch.observer.take([JoinedRecord("environment"), *played])
    assert watch.observer.progress().rounds_per_s is None
    watch.now += 4.0
    assert watch.observer.progress().rounds_per_s == 0.5
    assert one_more_round(watch.observer) == (3, 1.0)
    watch.observer.finish()
    resumed = Observer(watch.plan, watch.folder, "run", lambda _: None, clock=lambda: watch.now)
    assert one_more_round(resumed) == (3, 1.0)
    resumed.finish()


def test_tensorboard_gets_every_return_and_the_mean_losses_of_each_episode(watch):
    finished_run(watch)
    assert scalars(watch.folder.tensorboard) == pytest.approx(
        {
            ("return/team", 0): 1.5,
            ("return/agent-0", 0): 1.0,
            ("return/agent-1", 0): 0.5,
            ("return/team", 1): 2.5,
            ("return/agent-0", 1): 2.0,
            ("return/agent-1", 1): 0.5,
            ("loss/gain", 0): 1.5,
            ("loss/gain", 1): 1.5,
        }
    )


def test_losses_of_one_episode_do_not_leak_into_the_next(watch):
    watch.observer.take([*rounds(0, 0, gain=100.0), EpisodeRecord(0, (1.0, 1.0), 20, 0)])
    watch.observer.take([*rounds(1, 0, gain=0.0), EpisodeRecord(1, (1.0, 1.0), 20, 0)])
    watch.observer.finish()
    values = scalars(watch.folder.tensorboard)
    assert (values["loss/gain", 0], values["loss/gain", 1]) == (100.5, 0.5)


def test_the_returns_so_far_are_a_row_for_each_episode(watch):
    assert watch.observer.returns.shape == (0, 2)
    watch.observer.take([EpisodeRecord(0, (1.0, 0.5), 20, 1), EpisodeRecord(1, (2.0, -0.5), 20, 1)])
    assert watch.observer.returns.tolist() == [[1.0, 0.5], [2.0, -0.5]]
    watch.observer.finish()


def test_a_run_that_ended_before_its_first_episode_has_a_summary_and_no_returns(watch):
    watch.observer.take([JoinedRecord("agent-0")])
    summary = watch.observer.finish()
    assert (summary.complete, summary.episodes, summary.substrate) == (False, 0, "run")
    assert watch.folder.summary.exists()
    assert len(watch.observer.returns) == 0


def test_the_scenario_is_written_before_the_first_record(watch):
    assert watch.folder.scenario.read_text() == watch.plan.scenario.to_toml()
    watch.observer.finish()
