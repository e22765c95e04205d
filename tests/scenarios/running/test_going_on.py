"""Runs that end early and go on, on both substrates: what they leave, and what becomes of them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from runs import TINIEST
from thread_nodes import in_threads

from agent_node.policy_folder import learned_until, read_document, read_policy
from agent_node.trained_policy import load_policies
from broker.errors import ParticipantDied, UserError
from broker.participants.checkpoint import FileCheckpoints, State
from broker.text_files import read_file
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.evaluation import waiting
from scenarios.results.folder import RunFolder, held, make_run_folder, orders_in
from scenarios.results.observer import Observer
from scenarios.results.played import as_played
from scenarios.results.reader import read_store
from scenarios.results.summary import Summary
from scenarios.running.control import live_faults
from scenarios.running.control.live_requests import add, heal
from scenarios.running.control.run import run
from scenarios.running.launched.launch import launched
from scenarios.running.simulated.simulate import simulated
from scenarios.running.simulated.simulated_life import SimulatedLife
from scenarios.running.substrate import Way
from scenarios.running.ways import WayName
from scenarios.watching.page.scenes import SceneMaker

WAYS: dict[WayName, Way] = {"simulate": simulated, "run": launched(in_threads)}
each_way = pytest.mark.parametrize("way", WAYS)
TINY = TINIEST | {"episodes": 8, "recovery.checkpoint_every": 2}
DEGRADE = {"recovery.on_crash": "degrade", "service.missing_action": "repeat", "exchange.patience_s": 0.2}
LOSSES = {"kind": "drop", "probability": 0.4, "name": "losses"}
FIGURES = ("curve_digest", "weights_digest", "ledger_digest", "rounds", "shares_heard", "faults_applied", "complete")


def scenario_of(faults: Any = (), **settings: Any) -> Scenario:
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    return load_scenario("exchange-quick", TINY | {"faults": list(faults)} | dotted)


@pytest.fixture(autouse=True)
def power_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ends here who would take the system along, so nothing has to reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[], RunFolder]:
    numbers = iter(range(1000))
    return lambda: make_run_folder(tmp_path / str(next(numbers)), "tiny", 1)


def go(
    way: WayName,
    scenario: Scenario,
    folder: RunFolder,
    *,
    until: int = 1000,
    order: dict[str, Any] | None = None,
    notes: list[str] | None = None,
) -> Summary:
    """Begin a run or go on with it, until it ends or so many episodes are recorded; then leave an order or end it."""
    plan = make_plan(scenario)
    observer = Observer(plan, folder, way, lambda _: None, (notes if notes is not None else []).append)
    ordered = order

    def interrupted() -> bool:
        nonlocal ordered
        if observer.recorded < until or order is None:
            return observer.recorded >= until
        if ordered is not None:
            folder.orders.mkdir(exist_ok=True)
            (folder.orders / "1.json").write_text(json.dumps(ordered))
            ordered = None
        return False

    try:
        run(plan, folder, observer, WAYS[way], interrupted)
    finally:
        summary = observer.finish()
    return summary


def figures(summary: Summary) -> dict[str, Any]:
    return {name: getattr(summary, name) for name in FIGURES}


def arrays_of(folder: RunFolder, agent: str) -> dict[str, bytes]:
    _, arrays = read_policy(folder.policy)
    return {name: array.tobytes() for name, array in arrays.items() if name.startswith(f"{agent}/")}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@each_way
def test_an_interrupted_run_leaves_the_policy_of_its_last_episode_and_loses_none(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    """Though no checkpoint was due yet."""
    rarely = scenario_of(recovery__checkpoint_every=100)
    folder, shorter, whole = folders(), folders(), folders()
    assert not go(way, rarely, folder, until=3).complete
    ended_after = learned_until(folder.policy)
    assert ended_after >= 2
    go("simulate", rarely.model_copy(update={"episodes": ended_after + 1}), shorter)
    for agent in ("agent-0", "agent-1", "agent-2"):
        assert arrays_of(folder, agent) == arrays_of(shorter, agent)
    expected, found = go("simulate", rarely, whole), go(way, rarely, folder)
    assert figures(found) == figures(expected)
    assert contents(folder.policy) == contents(whole.policy)
    with read_store(folder.store) as store:
        assert [life.after_episode for life in store.lives()] == [-1, ended_after]


@each_way
def test_a_run_interrupted_before_its_first_episode_leaves_no_policy_and_begins_again(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    folder = folders()
    go(way, scenario_of(), folder, until=0)
    assert not folder.policy.exists()
    with pytest.raises(UserError, match=r"policy holds no policy: expected policy\.json in it"):
        load_policies(folder.policy)
    assert figures(go(way, scenario_of(), folder)) == figures(go("simulate", scenario_of(), folders()))


@each_way
def test_a_run_that_a_death_ends_leaves_the_policy_that_all_had_kept(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    crash = {"kind": "crash", "participants": ["agent-0"], "at_episodes": [5]}
    folder = folders()
    with pytest.raises(ParticipantDied, match="agent-0 died: signal SIGKILL"):
        go(way, scenario_of([crash], recovery__on_crash="fail"), folder)
    assert learned_until(folder.policy) == 3, "agent-0 could write no more than the checkpoint that was due"


@each_way
def test_the_policy_of_an_agent_that_died_is_the_last_it_kept_and_says_so(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    crashes = [
        {"kind": "crash", "participants": ["agent-2"], "at_episodes": [5], "name": "late"},
        {"kind": "crash", "participants": ["agent-1"], "at_episodes": [1], "name": "early"},
    ]
    without_late, folder = folders(), folders()
    go("simulate", scenario_of(crashes[1:], **{"episodes": 4} | DEGRADE), without_late)
    assert go(way, scenario_of(crashes, **DEGRADE), folder).complete
    document, _ = read_policy(folder.policy)
    said = {agent: (learned.after_episode, learned.gone) for agent, learned in document.agents.items()}
    assert said == {"agent-0": (7, False), "agent-1": (None, True), "agent-2": (3, True)}
    assert arrays_of(folder, "agent-2") == arrays_of(without_late, "agent-2")
    assert arrays_of(folder, "agent-1") == {}
    assert list(load_policies(folder.policy)) == ["agent-0", "agent-2"]


@each_way
def test_what_an_agent_that_died_has_kept_outlives_the_checkpoints_of_the_others(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    crash = {"kind": "crash", "participants": ["agent-2"], "at_episodes": [3]}
    folder = folders()
    go(way, scenario_of([crash], **{"episodes": 20} | DEGRADE), folder, until=18)
    document, _ = read_policy(folder.policy)
    assert (document.agents["agent-2"].after_episode, document.agents["agent-2"].gone) == (1, True)
    assert go(way, scenario_of([crash], **{"episodes": 20} | DEGRADE), folder).complete
    assert read_policy(folder.policy)[0].agents["agent-2"].after_episode == 1


def test_where_last_episodes_differ_all_go_on_from_the_last_that_they_have_in_common(
    folders: Callable[[], RunFolder],
) -> None:
    folder = folders()
    go("simulate", scenario_of(), folder, until=6)
    (folder.checkpoints / "agent-0" / "episode-00000005.json").unlink()
    expected = go("simulate", scenario_of(), folders())
    assert figures(go("simulate", scenario_of(), folder)) == figures(expected)
    with read_store(folder.store) as store:
        assert [life.after_episode for life in store.lives()] == [-1, 3]


@each_way
def test_checkpoints_of_another_version_are_refused_and_nothing_is_learned_again(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    folder = folders()
    go(way, scenario_of(), folder, until=5)
    path = max((folder.checkpoints / "agent-1").glob("*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    kept = contents(folder.checkpoints)
    with read_store(folder.store) as store:
        recorded = store.count_episodes()
    with pytest.raises(UserError, match="is a checkpoint of version 99, and this Foretell reads version 2"):
        go(way, scenario_of(), folder)
    assert contents(folder.checkpoints) == kept
    with read_store(folder.store) as store:
        assert store.count_episodes() == recorded


@pytest.mark.parametrize(("begun", "then"), [("simulate", "run"), ("run", "simulate")])
def test_a_run_never_goes_on_as_what_it_was_not_begun_as(
    folders: Callable[[], RunFolder], begun: WayName, then: WayName
) -> None:
    folder = folders()
    go(begun, scenario_of(), folder, until=4)
    before = contents(folder.root)
    with pytest.raises(UserError) as caught:
        go(then, scenario_of(), folder)
    assert (
        str(caught.value)
        == f"{folder.root} was begun with `foretell {begun}`: go on with `foretell resume {folder.root}`"
    )
    assert contents(folder.root) == before


def test_faults_that_were_added_and_healed_strike_the_same_messages_when_a_simulation_is_resumed(
    folders: Callable[[], RunFolder],
) -> None:
    """From a copy of the folder without the checkpoints of later episodes: as after kill -9."""
    scenario = scenario_of(episodes=12, recovery__checkpoint_every=3)
    whole, killed = folders(), folders()
    expected = go("simulate", scenario, whole, until=4, order={"add": LOSSES})
    assert expected.complete
    go("simulate", scenario, killed, until=4, order={"add": LOSSES})
    killed_after(killed, 8)
    with read_store(killed.store) as store:
        (added,) = store.live_faults()
    assert added.added_after is not None
    assert added.added_after < 8
    found = go("simulate", scenario, killed)
    with read_store(killed.store) as store:
        assert [life.after_episode for life in store.lives()] == [-1, 8]
    assert figures(found) == figures(expected)
    assert found.faults_applied > 0


@pytest.mark.parametrize(
    "added",
    [
        {"kind": "stale", "of": "round", "probability": 0.7},
        {"kind": "stale", "of": "episode", "probability": 0.7},
        {"kind": "duty-cycle", "period_s": 1.3, "on_s": 0.2, "offset_s": 0.7},
        {"kind": "isolate", "agents": ["agent-1"], "seconds": [1.7, 2.3]},
    ],
    ids=lambda added: "-".join(map(str, added.values())),
)
def test_a_fault_that_was_added_strikes_the_same_messages_in_the_scenario_that_was_played(
    folders: Callable[[], RunFolder], added: dict[str, Any]
) -> None:
    """Time passes before it is added, and no message has met a fault until then."""
    stop = {"kind": "stop", "participants": ["environment"], "at_episodes": [2], "for_s": 1.9}
    live, again, scenario = folders(), folders(), scenario_of([stop], exchange__patience_s=0.5)
    expected = go("simulate", scenario, live, until=4, order={"add": added})
    with read_store(live.store) as store:
        assert sum(count.hits for count in store.fault_counts() if count.fault == added["kind"]) > 0
        played = as_played(scenario, store.live_faults())
    assert figures(go("simulate", played, again)) == figures(expected)


@each_way
def test_a_death_that_was_ordered_and_had_not_come_when_the_run_was_killed_comes_when_it_is_resumed(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    folder = folders()
    go(way, scenario_of(), folder, until=4)
    observer = Observer(make_plan(scenario_of()), folder, way, lambda _: None)
    observer.add_fault(
        "killed", json.dumps({"kind": "crash", "participants": ["agent-1"], "at_s": [0.0], "name": "killed"})
    )
    observer.finish()
    found = go(way, scenario_of(), folder)
    with read_store(folder.store) as store:
        assert [(strike.fault, strike.participant) for strike in store.strikes()] == [("killed", "agent-1")]
    expected = go("simulate", scenario_of(), folders())
    assert (found.curve_digest, found.weights_digest) == (expected.curve_digest, expected.weights_digest)


def killed_after(folder: RunFolder, episode: int) -> None:
    """Let the folder be as if its run had been killed with -9 before it kept anything of later episodes."""
    folder.summary.unlink()
    for path in folder.checkpoints.rglob("episode-*"):
        if int(path.name.removeprefix("episode-").partition(".")[0]) > episode:
            path.unlink()


def test_who_was_to_start_late_when_the_run_was_killed_starts_late_when_it_is_resumed(
    folders: Callable[[], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """At once."""

    def dies(_: SimulatedLife) -> None:
        raise Killed

    folder, asked = folders(), list[dict[str, float]]()
    made = SimulatedLife.__init__

    def make(life: SimulatedLife, *arguments: Any, late: dict[str, float], **options: Any) -> None:
        asked.append(dict(late))
        made(life, *arguments, late=late, **options)

    monkeypatch.setattr(SimulatedLife, "__init__", make)
    scenario = scenario_of([{"kind": "late-join", "participants": ["agent-1"], "by_s": 0.5}])
    with monkeypatch.context() as patch:
        patch.setattr(SimulatedLife, "begin", dies)
        with pytest.raises(Killed):
            go("simulate", scenario, folder)
    assert go("simulate", scenario, folder, until=4).complete is False
    assert go("simulate", scenario, folder).complete
    assert asked == [{"agent-1": 0.5}, {"agent-1": 0.5}, {}]
    with read_store(folder.store) as store:
        assert [(strike.participant, strike.what) for strike in store.strikes()] == [("agent-1", "started 0.5 s later")]


@each_way
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again_and_says_so(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    folder, notes = folders(), list[str]()
    go(way, scenario_of(), folder, until=3)
    killed_after(folder, -1)
    found = go(way, scenario_of(), folder, notes=notes)
    assert "the run is resumed; all go on from the beginning (life 1)" in notes
    assert figures(found) == figures(go("simulate", scenario_of(), folders()))


@each_way
def test_an_agent_that_the_others_went_on_without_dies_again_where_it_died_when_a_run_goes_back_behind_its_death(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [4]}
    scenario = scenario_of([crash], **{"recovery.checkpoint_every": 3} | DEGRADE)
    folder, notes = folders(), list[str]()
    expected = go("simulate", scenario, folders())
    go(way, scenario, folder, until=6)
    killed_after(folder, 2)
    go(way, scenario, folder, until=4)  # it is interrupted before the death comes again
    killed_after(folder, 2)
    found = go(way, scenario, folder, notes=notes)
    assert figures(found) == figures(expected)
    assert "death at episode 4 again: agent-1" in notes
    with read_store(folder.store) as store:
        assert [life.after_episode for life in store.lives()] == [-1, 2, 2]
        assert [(strike.occasion, strike.participant) for strike in store.strikes()] == [("episode 4", "agent-1")]
        assert store.deaths() == {"agent-1": 4}


@pytest.mark.long
@each_way
def test_an_agent_that_was_stopped_into_a_hang_is_dead_from_where_it_was_stopped_and_not_from_where_that_was_seen(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    stop = {"kind": "stop", "participants": ["agent-1"], "at_episodes": [3], "for_s": 600.0}
    # All wait before episode 5 until all of the episodes before has come, which takes a death to be seen.
    gate = {"kind": "checkpoint-loss", "participants": ["agent-0"], "at_episodes": [5]}
    quick = {"recovery.hung_after_s": 3.0, "service.action_patience_s": 0.1, "service.ready_patience_s": 0.1}
    scenario = scenario_of([stop, gate], **DEGRADE | quick)
    folder, notes = folders(), list[str]()

    def is_as_it_shall_be() -> bool:
        with read_store(folder.store) as store:
            assert store.deaths() == {"agent-1": 3}
            return all(found.episode < 3 for found in store.rounds() if found.agent == "agent-1")

    go(way, scenario, folder)
    assert is_as_it_shall_be()
    killed_after(folder, 1)
    go(way, scenario, folder, notes=notes)
    assert is_as_it_shall_be()
    assert "death at episode 3 again: agent-1" in notes
    assert "stop at episode 3 again: agent-1" not in notes
    killed_after(folder, 1)
    with closing(sqlite3.connect(folder.store)) as store, store:
        store.execute("DELETE FROM gone")  # as if it had been killed before the death was seen
    go(way, scenario, folder, notes=notes)
    assert is_as_it_shall_be()
    assert "stop at episode 3 again: agent-1" in notes


def test_of_a_stop_that_picked_one_to_hang_nobody_else_dies_when_a_run_goes_back(
    folders: Callable[[], RunFolder],
) -> None:
    stop = {"kind": "stop", "participants": ["agent-*"], "pick": "one", "at_episodes": [4], "for_s": 600.0}
    scenario = scenario_of([stop], **{"recovery.checkpoint_every": 4} | DEGRADE)
    folder, expected = folders(), go("simulate", scenario, folders())
    go("simulate", scenario, folder, until=6)
    killed_after(folder, 3)
    assert figures(go("simulate", scenario, folder)) == figures(expected)
    with read_store(folder.store) as store:
        [strike] = store.strikes()
        assert store.deaths() == {strike.participant: 4}


def test_who_was_stopped_is_stopped_again_where_a_run_goes_back_behind_it(folders: Callable[[], RunFolder]) -> None:
    stop = {"kind": "stop", "participants": ["agent-0"], "at_episodes": [4], "for_s": 20.0}
    settings = {"service.missing_action": "repeat", "recovery.checkpoint_every": 3, "parallel_episodes": 16}
    scenario = scenario_of([stop], **settings)
    folder = folders()
    expected, calm = go("simulate", scenario, folders()), go("simulate", scenario_of(**settings), folders())
    assert expected.curve_digest != calm.curve_digest, "the environment went on without it"
    go("simulate", scenario, folder, until=6)
    killed_after(folder, 2)
    assert figures(go("simulate", scenario, folder)) == figures(expected)
    with read_store(folder.store) as store:
        assert [(strike.occasion, strike.participant) for strike in store.strikes()] == [("episode 4", "agent-0")]


def test_agents_that_miss_ends_of_episodes_keep_what_they_know_and_go_on_from_there(
    folders: Callable[[], RunFolder],
) -> None:
    lost = {"kind": "drop", "probability": 0.5, "messages": ["timestep"], "name": "lost"}
    scenario = scenario_of([lost], episodes=12, **{"service.missing_action": "repeat"})
    whole, halves = folders(), folders()
    expected = go("simulate", scenario, whole)
    with read_store(whole.store) as store:
        ends = {(found.agent, found.episode) for found in store.rounds()}
    assert len(ends) < 12 * 3, "somebody missed the end of an episode"
    assert {agent.after_episode for agent in read_document(whole.policy)[0].agents.values()} == {11}
    go("simulate", scenario, halves, until=6)
    assert figures(go("simulate", scenario, halves)) == figures(expected)


def test_deaths_are_dated_by_the_episodes_played_although_somebody_missed_an_end(
    folders: Callable[[], RunFolder],
) -> None:
    lost = {"kind": "drop", "probability": 0.6, "messages": ["timestep"], "name": "lost"}
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [5]}
    for seed in range(1, 5):  # in one of them somebody misses the end of episode 4
        folder = folders()
        go("simulate", scenario_of([lost, crash], seed=seed, **DEGRADE), folder)
        with read_store(folder.store) as store:
            assert store.deaths() == {"agent-1": 5}


def test_a_complete_run_whose_last_end_was_missed_goes_on_from_its_end(folders: Callable[[], RunFolder]) -> None:
    lost = {"kind": "drop", "probability": 1.0, "messages": ["timestep"], "destination": "agent-1", "steps": [1, 3]}
    settings = {"service.missing_action": "repeat", "recovery.checkpoint_every": 100}
    folder, whole = folders(), folders()
    assert go("simulate", scenario_of([lost], **settings), folder).complete
    longer = scenario_of([lost], **settings).model_copy(update={"episodes": 12})
    found = go("simulate", longer, folder)
    with read_store(folder.store) as store:
        assert [life.after_episode for life in store.lives()] == [-1, 7]
    assert figures(found) == figures(go("simulate", longer, whole))


def test_checkpoints_that_all_have_are_kept_while_somebody_finds_no_room(
    folders: Callable[[], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FileCheckpoints.write

    def full(self: FileCheckpoints, episode: int, state: State) -> None:
        if self._folder.name == "agent-1" and 4 <= episode < 12:
            raise OSError(28, "No space left on device")
        write(self, episode, state)

    monkeypatch.setattr(FileCheckpoints, "write", full)
    crash = {"kind": "crash", "participants": ["agent-0"], "at_episodes": [11]}
    folder = folders()
    found = go("simulate", scenario_of([crash], episodes=16), folder)
    with read_store(folder.store) as store:
        assert [life.after_episode for life in store.lives()] == [-1, 3]
    assert figures(found)["curve_digest"] == go("simulate", scenario_of(episodes=16), folders()).curve_digest


def test_who_crashes_and_hangs_at_one_time_dies_once_and_the_others_settle(folders: Callable[[], RunFolder]) -> None:
    faults = [
        {"kind": "crash", "participants": ["agent-1"], "at_episodes": [2]},
        {"kind": "stop", "participants": ["agent-1"], "at_episodes": [2], "for_s": 1000.0},
    ]
    folder = folders()
    rarely = scenario_of(faults, **DEGRADE | {"recovery.checkpoint_every": 100})
    go("simulate", rarely, folder, until=5)
    with read_store(folder.store) as store:
        assert [strike.what for strike in store.strikes()] == ["killed with -9", "was gone already"]
    agents = read_document(folder.policy)[0].agents
    assert {agents[name].after_episode for name in ("agent-0", "agent-2")} == {learned_until(folder.policy)}
    assert learned_until(folder.policy) >= 4, "they have settled, though no checkpoint was due"


def test_policies_on_the_way_are_left_out_where_somebody_died_before_it_kept_anything(
    folders: Callable[[], RunFolder],
) -> None:
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [1]}
    folder, notes = folders(), []
    scenario = scenario_of([crash], **DEGRADE | {"evaluation.every": 4, "recovery.checkpoint_every": 4})
    assert go("simulate", scenario, folder, notes=notes).complete
    assert waiting(folder) == []
    assert "the policy after 4 episodes is not evaluated: not everybody kept it" in notes
    (folder.evaluations / "after-00000004").mkdir(parents=True)  # of a launcher that was killed while it kept one
    assert waiting(folder) == []


def test_an_episode_is_drawn_while_a_run_goes_on_without_an_agent(folders: Callable[[], RunFolder]) -> None:
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [3]}
    folder = folders()
    often = DEGRADE | {"episodes": 16, "recovery.checkpoint_every": 1}
    go("simulate", scenario_of([crash], **often), folder, until=12)
    with held(folder):
        drawn = SceneMaker(folder).episode({})
    assert drawn.get("note", drawn).startswith("as learned after episode 1")


def test_a_dead_agent_whose_host_is_gone_has_kept_nothing(
    folders: Callable[[], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    intact, asked = FileCheckpoints.intact, []

    def unreachable(self: FileCheckpoints) -> set[int]:
        if self._folder.name == "agent-1" and asked:
            raise UserError("host box cannot be used")
        return intact(self)

    monkeypatch.setattr(FileCheckpoints, "intact", unreachable)
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [3]}
    folder, leave = folders(), Observer.leave
    monkeypatch.setattr(Observer, "leave", lambda self, *words: (asked.append(True), leave(self, *words)))
    assert go("simulate", scenario_of([crash], **DEGRADE), folder).complete
    agents = read_document(folder.policy)[0].agents
    assert (agents["agent-0"].after_episode, agents["agent-1"].after_episode) == (7, None)


@each_way
def test_a_fault_that_no_message_can_tell_of_is_not_added_and_the_run_goes_on(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    trace = {"distribution": "trace", "values_s": [0.001] * 20_000}
    notes: list[str] = []
    order = {"add": {"kind": "delay", "name": "long", "delay_s": trace}}
    settings = {"transport.max_message_bytes": 65_536}
    found = go(way, scenario_of(**settings), folders(), until=3, order=order, notes=notes)
    assert found.complete
    assert any(note.startswith("long was not changed: the faults in force would take 1") for note in notes)


@each_way
def test_an_order_that_is_taken_back_while_it_is_carried_out_ends_no_run(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    class Notes(list[str]):
        def append(self, note: str) -> None:
            super().append(note)
            if note.startswith("fault losses is added"):
                (folder.orders / "1.json").unlink()

    folder, notes = folders(), Notes()
    assert go(way, scenario_of(), folder, until=3, order={"add": LOSSES}, notes=notes).complete
    assert any(note.startswith("fault losses is added") for note in notes)


def test_an_order_that_is_taken_back_before_it_is_read_is_no_word_to_anybody(
    folders: Callable[[], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(path: Path, most_bytes: int) -> bytes:
        path.unlink()
        return read_file(path, most_bytes)

    monkeypatch.setattr(live_faults, "read_file", too_late)
    notes: list[str] = []
    assert go("simulate", scenario_of(), folders(), until=3, order={"add": LOSSES}, notes=notes).complete
    assert notes == []


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda root: add(root, ["kind=drop", "name=storm", "probability=0.5"]), "storm was not added in "),
        (lambda root: heal(root, "losses"), "not healed: losses in "),
        (lambda root: heal(root, "all"), "not healed: losses, more in "),
    ],
    ids=["add", "heal", "heal-all"],
)
def test_an_order_that_the_run_forgot_or_did_not_carry_out_is_not_called_done(
    folders: Callable[[], RunFolder], ask: Callable[[Path], str], said: str
) -> None:
    folder = folders()
    go("simulate", scenario_of([LOSSES, LOSSES | {"name": "more"}]), folder, until=3)
    answered = threading.Event()

    def forget() -> None:
        while not answered.wait(0.001):
            for order in orders_in(folder):
                order.unlink()

    with held(folder), ThreadPoolExecutor(1) as beside:
        forgetting = beside.submit(forget)
        try:
            with pytest.raises(UserError, match=f"^{said}.*: the run says why where it runs .* give it again$"):
                ask(folder.root)
        finally:
            answered.set()
        forgetting.result()
    with read_store(folder.store) as store:
        assert store.live_faults() == []


def test_a_run_that_is_resumed_again_and_again_ends_as_one_that_was_never_interrupted(
    folders: Callable[[], RunFolder],
) -> None:
    scenario = scenario_of([LOSSES])
    folder = folders()
    for until in (1, 2, 3, 5, 5, 6, 8):
        go("simulate", scenario, folder, until=until)
    assert figures(go("simulate", scenario, folder)) == figures(go("simulate", scenario, folders()))


@each_way
def test_a_complete_run_goes_on_to_more_episodes_and_ends_as_one_that_was_begun_with_them(
    folders: Callable[[], RunFolder], way: WayName
) -> None:
    folder, whole = folders(), folders()
    longer = scenario_of(episodes=11)
    assert go(way, scenario_of(), folder).complete
    first = contents(folder.policy)
    found, expected = go(way, longer, folder), go("simulate", longer, whole)
    assert figures(found) == figures(expected)
    assert contents(folder.policy) == contents(whole.policy) != first
    assert folder.scenario.read_text() == whole.scenario.read_text()


def test_a_folder_that_is_copied_goes_on_like_the_one_it_was_copied_from(
    folders: Callable[[], RunFolder], tmp_path: Path
) -> None:
    folder = folders()
    go("simulate", scenario_of(), folder, until=5)
    copy = RunFolder(shutil.copytree(folder.root, tmp_path / "copy"))
    assert figures(go("simulate", scenario_of(), copy)) == figures(go("simulate", scenario_of(), folder))
