"""The one loop of a run, on both substrates: what is due happens to a life, and lives follow each other."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from runs import need_mosquitto
from thread_nodes import ThreadNodes, in_threads

from agent_node.policy_folder import read_policy
from broker.driving.driver import Driver
from broker.driving.virtual_time import VirtualTime
from broker.errors import Deadlock, FrameRejected, ParticipantDied
from broker.transports.memory import MemoryTransport
from broker.wire.messages import ENVIRONMENT
from broker.wire.records import EpisodeRecord
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.process_faults import CrashConfig
from scenarios.document.scenario import Scenario
from scenarios.results.answers import LiveFault
from scenarios.results.folder import RunFolder, held, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.played import as_played
from scenarios.results.summary import Summary
from scenarios.running.control.live_faults import LiveFaults
from scenarios.running.control.run import run
from scenarios.running.control.supervisor import Supervisor
from scenarios.running.launched.launch import launched
from scenarios.running.simulated.simulate import simulated
from scenarios.running.substrate import Way

WAYS: dict[str, Way] = {"simulated": simulated, "launched": launched(in_threads)}
TINY = {
    "episodes": 12,
    "parallel_episodes": 1,
    "environment.steps": 2,
    "learning.hidden": [4],
    "learning.rounds": 1,
    "recovery.checkpoint_every": 2,
}
LOSSES = {"kind": "drop", "probability": 0.3, "name": "losses"}
FIGURES = (
    *("curve_digest", "weights_digest", "ledger_digest", "rounds", "env_steps", "shares_heard", "shares_missing"),
    *("faults_applied", "complete"),
)


class Played:
    """A run that has ended."""

    def __init__(self, folder: RunFolder, observer: Observer, summary: Summary) -> None:
        self.folder = folder
        self.live = live_faults_of(folder)
        self.figures = {name: getattr(summary, name) for name in FIGURES}

    def ask(self, question: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder.store)) as store:
            return store.execute(question).fetchall()


def live_faults_of(folder: RunFolder) -> Any:
    with closing(sqlite3.connect(folder.store)) as store:
        question = "SELECT name, document, added_after, healed_after FROM live_faults ORDER BY rowid"
        return [LiveFault(*row) for row in store.execute(question)]


def scenario_of(faults: Sequence[dict[str, Any]] = (), **settings: Any) -> Scenario:
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    return load_scenario("exchange-quick", TINY | {"faults": list(faults)} | dotted)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Played]:
    """Runs a scenario; `orders` are left in the folder when so many episodes are recorded."""
    numbers = iter(range(1000))

    def played(way: str, scenario: Scenario, orders: dict[int, Sequence[dict[str, Any]]] | None = None) -> Played:
        folder = make_run_folder(tmp_path / str(next(numbers)), "tiny", 1)
        waiting = dict(orders or {})
        observer = Observer(make_plan(scenario), folder, "simulate", lambda _: None)

        def interrupted() -> bool:
            for after in [after for after in waiting if observer.recorded >= after]:
                folder.orders.mkdir(exist_ok=True)
                for position, order in enumerate(waiting.pop(after)):
                    (folder.orders / f"{after:04d}-{position}.json").write_text(json.dumps(order))
            return False

        try:
            run(make_plan(scenario), folder, observer, WAYS[way], interrupted)
        finally:
            summary = observer.finish()
        return Played(folder, observer, summary)

    return played


each_way = pytest.mark.parametrize("way", WAYS)


def test_a_fault_that_is_added_strikes_from_then_on_and_a_healed_one_no_more(play: Any) -> None:
    one_edge = {"edges": ["agent-0->agent-1"], "probability": 1.0}
    others = {"edges": ["agent-1->agent-0"], "probability": 1.0}
    orders = {3: [{"add": LOSSES | one_edge | {"name": "added"}}], 6: [{"heal": "losses"}, {"heal": "added"}]}
    found = play("simulated", scenario_of([LOSSES | others]), orders)
    struck = {
        name: {episode for (episode,) in found.ask(f"SELECT DISTINCT episode FROM faults WHERE fault = '{name}'")}
        for name in ("losses", "added")
    }
    added, healed = found.live
    assert (added.name, healed.name) == ("added", "losses")
    assert 2 <= added.added_after < added.healed_after == healed.healed_after
    assert struck["losses"] == set(range(healed.healed_after + 1))
    assert struck["added"] == set(range(added.added_after + 1, added.healed_after + 1))


def test_whoever_interrupts_a_simulation_is_heard_in_the_middle_of_an_instant(tmp_path: Path) -> None:
    plan = make_plan(scenario_of(environment__steps=300))  # all of an episode happens at one instant
    folder = make_run_folder(tmp_path, "tiny", 1)
    observer = Observer(plan, folder, "simulate", lambda _: None)
    asked = iter(range(1000))
    run(plan, folder, observer, simulated, lambda: next(asked) == 4)
    assert observer.finish().episodes == 0


def test_in_a_simulation_what_is_added_and_healed_takes_effect_between_two_episodes(play: Any) -> None:
    orders = {3: [{"add": LOSSES | {"name": "storm", "probability": 1.0}}], 6: [{"heal": "storm"}]}
    found = play("simulated", scenario_of(), orders)
    by_episode = dict(found.ask("SELECT episode, count(*) FROM faults GROUP BY episode"))
    # The pause before episode 3 is over when three episodes are recorded: the next boundary is that before episode 4.
    assert by_episode == dict.fromkeys((4, 5, 6), 6)
    assert [(change.added_after, change.healed_after) for change in found.live] == [(3, 6)]


def test_a_simulation_with_changes_is_played_again_from_its_record_bit_for_bit(play: Any) -> None:
    orders = {
        2: [{"add": LOSSES | {"name": "added"}}],
        5: [{"heal": "losses"}],
        7: [{"add": {"kind": "crash", "participants": ["agent-1"], "at_s": [0.0], "name": "killed"}}],
        9: [{"heal": "added"}],
    }
    scenario = scenario_of([LOSSES])
    found = play("simulated", scenario, orders)
    assert found.figures["complete"]
    record = as_played(scenario, found.live)
    assert [fault.name for fault in record.faults] == ["losses", "added", "killed"]
    again = play("simulated", record)
    assert again.figures == found.figures
    asked = "SELECT fault, occasion, participant, what FROM process_faults"
    assert again.ask(asked) == found.ask(asked) == [("killed", "episode 8", "agent-1", "killed with -9")]


STOPPED = {"kind": "stop", "participants": ["agent-1"], "at_episodes": [4, 7], "for_s": 1.2}


@pytest.mark.parametrize("faults", [[], [STOPPED]], ids=["all there", "stopped at the pauses"])
def test_a_change_meets_the_first_message_of_the_episode_before_which_a_simulation_takes_it(
    play: Any, faults: list[dict[str, Any]]
) -> None:
    first_timesteps = {"messages": ["timestep"], "agents": ["agent-1"], "direction": "in", "steps": [0, 1]}
    orders = {3: [{"add": {"kind": "isolate", "name": "storm"} | first_timesteps}], 6: [{"heal": "storm"}]}
    crash = {"kind": "crash", "participants": ["agent-0"], "at_episodes": [6]}
    settings = {"service__action_patience_s": 0.5, "service__missing_action": "noop", "exchange__patience_s": 0.5}

    live = play("simulated", scenario_of(faults, **settings), orders)
    crashing = play("simulated", scenario_of([*faults, crash], recovery__checkpoint_every=5, **settings), orders)
    again = play("simulated", as_played(scenario_of(faults, **settings), live.live))

    struck = "SELECT episode, attempt, kind, destination FROM faults ORDER BY rowid"
    expected = [(episode, attempt, "timestep", "agent-1") for episode in (4, 5, 6) for attempt in (0, 1)]
    assert live.ask(struck) == crashing.ask(struck) == again.ask(struck) == expected
    assert crashing.ask("SELECT after_episode FROM lives ORDER BY incarnation") == [(-1,), (4,)]
    assert live.figures == again.figures
    digests = ("curve_digest", "weights_digest", "ledger_digest")
    assert {name: crashing.figures[name] for name in digests} == {name: live.figures[name] for name in digests}


@each_way
def test_what_was_added_strikes_at_the_same_place_when_a_crash_makes_all_go_back_behind_it(play: Any, way: str) -> None:
    added = {"add": LOSSES | {"name": "added"}}
    scenario = scenario_of(exchange__patience_s=0.2)
    calm = play("simulated", scenario, {5: [added]})
    crashing = scenario_of(
        [{"kind": "crash", "participants": [ENVIRONMENT], "at_episodes": [7]}],
        exchange__patience_s=0.2,
        recovery__checkpoint_every=4,
    )
    orders = {5: [added]}
    found = play(way, crashing, orders)
    assert found.ask("SELECT count(*) FROM lives") == [(2,)]
    if way == "simulated":
        names = ("curve_digest", "weights_digest", "ledger_digest")
        assert {name: found.figures[name] for name in names} == {name: calm.figures[name] for name in names}
    (change,) = found.live
    assert min(episode for (episode,) in found.ask("SELECT episode FROM faults")) > change.added_after


@each_way
def test_whoever_is_killed_all_go_back_and_the_results_are_those_of_an_undisturbed_run(play: Any, way: str) -> None:
    calm = play("simulated", scenario_of())
    crash = {"kind": "crash", "participants": ["agent-1", ENVIRONMENT], "at_episodes": [5, 9]}
    found = play(way, scenario_of([crash]))
    names = ("curve_digest", "weights_digest", "complete")
    assert {name: found.figures[name] for name in names} == {name: calm.figures[name] for name in names}
    assert found.ask("SELECT after_episode FROM lives ORDER BY incarnation") == [(-1,), (3,), (7,)]


@each_way
def test_where_the_scenario_says_so_the_others_go_on_without_the_dead(play: Any, way: str) -> None:
    scenario = scenario_of(
        [{"kind": "crash", "participants": ["agent-2"], "at_episodes": [5]}],
        recovery__on_crash="degrade",
        service__missing_action="repeat",
        exchange__patience_s=0.2,
    )
    found = play(way, scenario)
    assert found.figures["complete"]
    assert found.ask("SELECT count(*) FROM lives") == [(1,)]
    assert found.ask("SELECT max(episode) FROM rounds WHERE agent = 'agent-2'") == [(4,)]


@each_way
def test_a_death_that_was_added_comes_at_its_place_in_the_scenario_that_was_played(play: Any, way: str) -> None:
    # All wait once before episode 55: so the order is there before the run can come to its end.
    gate = {"kind": "checkpoint-loss", "participants": ["agent-0"], "at_episodes": [55]}
    scenario = scenario_of(
        [gate],
        episodes=60,
        recovery__on_crash="degrade",
        service__missing_action="repeat",
        exchange__patience_s=0.05,
    )
    added = {"kind": "crash", "participants": ["agent-*"], "pick": "one", "at_s": [0.0], "name": "killed"}
    found = play(way, scenario, {3: [{"add": added}]})
    assert found.figures["complete"]
    again = play("simulated", as_played(scenario, found.live))
    for asked in (
        "SELECT * FROM gone",
        "SELECT fault, occasion, participant FROM process_faults ORDER BY occasion",
    ):
        assert again.ask(asked) == found.ask(asked)
    ((_, before),) = found.ask("SELECT * FROM gone")
    assert ("killed", f"episode {before}") in found.ask("SELECT fault, occasion FROM process_faults")


def test_a_death_that_a_run_of_an_earlier_version_took_comes_at_its_place_in_the_scenario_that_was_played() -> None:
    document = json.dumps({"kind": "crash", "participants": ["agent-1"], "at_s": [0.0]})
    scenario = scenario_of()
    (played,) = as_played(scenario, [LiveFault("crash", document, 7, None)]).process_faults
    assert isinstance(played, CrashConfig)
    assert (played.at_s, played.at_episodes) == ((), (8,))
    assert as_played(scenario, [LiveFault("crash", document, 11, None)]).faults == (), "all episodes were over"


def test_a_death_that_no_episode_would_meet_is_not_added_and_told_of(tmp_path: Path) -> None:
    plan, folder = make_plan(scenario_of(episodes=1)), make_run_folder(tmp_path, "tiny", 1)
    told: list[str] = []
    observer = Observer(plan, folder, "run", lambda _: None, told.append)
    observer.take([EpisodeRecord(0, (0.0,) * len(plan.agents), 2, 0)])
    faults = LiveFaults(plan, folder, observer, Supervisor(plan, observer))
    folder.orders.mkdir()
    order = {"add": {"kind": "crash", "participants": ["agent-1"], "at_s": [0.0]}}
    (folder.orders / "1.json").write_text(json.dumps(order))
    faults.changed(None)
    assert told == ["crash was not added: the last of all episodes is over, and nothing would meet it"]
    assert observer.live_faults() == []
    observer.finish()


@each_way
def test_where_nobody_may_go_on_the_death_ends_the_run(play: Any, way: str) -> None:
    crash = {"kind": "crash", "participants": ["agent-0"], "at_episodes": [3]}
    with pytest.raises(ParticipantDied, match="agent-0 died: signal SIGKILL"):
        play(way, scenario_of([crash], recovery__on_crash="fail"))
    with pytest.raises(ParticipantDied, match=f"{ENVIRONMENT} died"):
        play(
            way,
            scenario_of(
                [crash | {"participants": [ENVIRONMENT]}],
                recovery__on_crash="degrade",
                service__missing_action="repeat",
            ),
        )


def giving_up(on_crash: str) -> Scenario:
    """Agent-1 hears no timestep from episode 3 on, and gives up while others act for it."""
    timesteps = {"agents": ["agent-1"], "direction": "in", "messages": ["timestep"]}
    return scenario_of(
        [{"kind": "isolate", "episodes": [3, 12]} | timesteps],
        recovery__on_crash=on_crash,
        service__missing_action="noop",
        service__action_patience_s=1.0,
        service__ready_patience_s=2.0,
        service__give_up_s=5.0,
        exchange__patience_s=1.0,
    )


WAITED = "agent-1 in ACTING (episode 2) waits for a timestep after 2 from environment"
WHY = f"{WAITED}, silent for 5.0 s (service.give_up_s)"
EDGES = """
    SELECT source, destination, sent, heard, missing FROM edges WHERE 'observer' NOT IN (source, destination)
    ORDER BY source, destination
"""


def test_who_gives_up_in_a_simulation_has_died_and_its_log_says_why(play: Any) -> None:
    found = play("simulated", giving_up("degrade"))
    assert found.figures["complete"]
    assert found.ask("SELECT * FROM gone") == [("agent-1", 3)]
    assert found.ask("SELECT text FROM events WHERE kind = 'gone'") == [(f"exit code 1 ({WHY})",)]
    assert found.folder.log("agent-1").read_text(encoding="utf-8") == f"{WHY}\n"


@pytest.mark.parametrize(
    ("on_crash", "end", "lives"), [("fail", ". Its log: ", 1), ("restart", ", for the 6th time after ", 6)]
)
def test_where_nobody_goes_on_without_who_gives_up_in_a_simulation_its_death_ends_the_run(
    play: Any, monkeypatch: pytest.MonkeyPatch, on_crash: str, end: str, lives: int
) -> None:
    finished: Counter[str] = Counter()

    def finish(self: Driver, *, really: Any = Driver.finish) -> None:
        finished[self.participant.name] += 1
        really(self)

    monkeypatch.setattr(Driver, "finish", finish)
    with pytest.raises(ParticipantDied, match=re.escape(f"agent-1 died: exit code 1 ({WHY}){end}")):
        play("simulated", giving_up(on_crash))
    assert finished == dict.fromkeys((ENVIRONMENT, "agent-0", "agent-1", "agent-2"), lives), "totals are told once"


@pytest.mark.long
@each_way
def test_who_gives_up_leaves_the_same_on_every_substrate(play: Any, way: str) -> None:
    expected, found = play("simulated", giving_up("degrade")), play(way, giving_up("degrade"))
    assert found.figures == expected.figures
    gone = ("SELECT * FROM gone", "SELECT text FROM events WHERE kind = 'gone'")
    for question in (*gone, "SELECT max(episode) FROM episodes", EDGES):
        assert found.ask(question) == expected.ask(question)
    kept = {agent: learned.after_episode for agent, learned in read_policy(found.folder.policy)[0].agents.items()}
    assert kept == {"agent-0": 11, "agent-1": 2, "agent-2": 11}, "agent-1 writes what it knew, though that was not due"


def test_who_cannot_send_what_it_has_to_say_has_died_in_a_simulation_too(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send_all(self: MemoryTransport, envelopes: Any, *, really: Any = MemoryTransport.send_all) -> None:
        if self.name == "agent-2" and any(getattr(each.message, "episode", 0) == 4 for each in envelopes):
            raise FrameRejected("a message of 9 bytes, expected at most 8")
        really(self, envelopes)

    monkeypatch.setattr(MemoryTransport, "send_all", send_all)
    settings = {"service__missing_action": "noop", "exchange__patience_s": 0.2}
    found = play("simulated", scenario_of(recovery__on_crash="degrade", **settings))
    assert found.figures["complete"]
    assert found.ask("SELECT * FROM gone") == [("agent-2", 4)]


def test_a_deadlock_is_nobodys_death(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(_: VirtualTime) -> bool:
        raise Deadlock(["agent-0 waits"])

    monkeypatch.setattr(VirtualTime, "step", step)
    with pytest.raises(Deadlock, match="agent-0 waits"):
        play("simulated", scenario_of())


def test_who_is_stopped_for_too_long_is_taken_for_hung(play: Any) -> None:
    stop = {"kind": "stop", "participants": ["agent-1"], "at_episodes": [4], "for_s": 100.0}
    found = play("simulated", scenario_of([stop]))
    assert found.figures["complete"]
    ((_, why),) = found.ask("SELECT incarnation, why FROM lives WHERE incarnation > 0")
    assert "agent-1 died: it hung: no sign of its working loop for" in why


@each_way
def test_an_order_that_makes_no_sense_is_told_of_and_changes_nothing(play: Any, way: str) -> None:
    never = LOSSES | {"probability": 0.0}
    orders = {2: [{"add": {"kind": "nonsense"}}, {}, {"add": LOSSES}]}
    # All wait once before episode 6: so the orders are there before the run can come to its end.
    gate = {"kind": "checkpoint-loss", "participants": ["agent-0"], "at_episodes": [6]}
    calm, found = play("simulated", scenario_of([never])), play(way, scenario_of([never, gate]), orders)
    told = [text for (text,) in found.ask("SELECT text FROM events WHERE participant = 'launcher'")]
    assert sum("makes no sense and was not carried out" in text for text in told) == 2
    assert "a second fault called losses was not added" in told
    assert found.figures["curve_digest"] == calm.figures["curve_digest"]
    assert not list(found.folder.orders.iterdir())


def test_what_is_asked_for_from_when_a_run_is_held_is_carried_out_and_what_was_asked_of_a_killed_one_forgotten(
    tmp_path: Path,
) -> None:
    folder = make_run_folder(tmp_path / "run", "small", 1)
    folder.orders.mkdir()
    (folder.orders / "1.json").write_text(json.dumps({"add": LOSSES | {"name": "forgotten"}}))
    with held(folder):
        (folder.orders / "2.json").write_text(json.dumps({"add": LOSSES | {"name": "carried-out"}}))
        plan = make_plan(scenario_of())
        observer = Observer(plan, folder, "simulate", lambda _: None)
        run(plan, folder, observer, WAYS["simulated"], lambda: False)
        assert [change.name for change in observer.live_faults()] == ["carried-out"]
        observer.finish()


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize("on_crash", ["fail", "restart"])
@each_way
def test_silence_while_the_broker_is_stopped_is_nobodys_hang_however_long_it_lasts(
    play: Any, way: str, on_crash: str
) -> None:
    stop = {"kind": "stop", "participants": ["broker"], "at_episodes": [3], "for_s": 5.0}
    settings = {"transport__zeromq__mode": "forwarder", "recovery__on_crash": on_crash, "recovery__hung_after_s": 3.0}
    found, calm = play(way, scenario_of([stop], **settings)), play("simulated", scenario_of())
    names = ("curve_digest", "weights_digest", "complete")
    assert {name: found.figures[name] for name in names} == {name: calm.figures[name] for name in names}
    assert found.ask("SELECT count(*) FROM lives") == [(1,)]


# Who was not there yet


OVER: dict[str, dict[str, Any]] = {
    "zeromq": {},
    "forwarder": {"transport__zeromq__mode": "forwarder"},
    "mqtt": {"transport__kind": "mqtt", "transport__mqtt__broker": "mosquitto"},
}
over_each_transport = pytest.mark.parametrize("transport", OVER)
LATE = {"kind": "late-join", "participants": ["agent-1"], "by_s": 0.5}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The link of everybody's slice, as it was started with it."""
    links: dict[str, Any] = {}
    start = ThreadNodes.start

    def started(nodes: ThreadNodes, name: str, slice_json: str) -> None:
        links[name] = json.loads(slice_json)["link"]
        start(nodes, name, slice_json)

    monkeypatch.setattr(ThreadNodes, "start", started)
    return links


@pytest.mark.processes
@over_each_transport
def test_what_was_added_before_they_could_hear_is_in_force_for_all_and_from_the_start_for_who_starts_later(
    play: Any, told: dict[str, Any], transport: str
) -> None:
    if transport == "mqtt":
        need_mosquitto()
    storm = {"kind": "byzantine", "name": "storm", "lie": "uniform", "probability": 1.0}
    # All wait once before episode 6: by then everybody has been heard, and told.
    gate = {"kind": "checkpoint-loss", "participants": ["agent-0"], "at_episodes": [6]}
    found = play("launched", scenario_of([LATE, gate], **OVER[transport]), {0: [{"add": storm}]})
    (change,) = found.live
    assert change.added_after == -1
    assert {name: [fault["name"] for fault in told[name]["faults"]] for name in ("agent-0", "agent-1")} == {
        "agent-0": [],
        "agent-1": ["storm"],
    }
    struck = dict(found.ask("SELECT destination, sum(applied) FROM fault_counts GROUP BY destination"))
    shares_of_all_episodes = TINY["episodes"] * 2
    assert struck.keys() == {"agent-0", "agent-1", "agent-2"}
    assert struck["agent-1"] == shares_of_all_episodes
    assert min(struck.values()) >= shares_of_all_episodes // 4


@pytest.mark.processes
@pytest.mark.parametrize("transport", ["zeromq", "mqtt"])
def test_nobody_waits_for_an_agent_that_died_before_they_could_hear_of_it(
    play: Any, told: dict[str, Any], transport: str
) -> None:
    if transport == "mqtt":
        need_mosquitto()
    crash = {"kind": "crash", "participants": ["agent-2"], "at_s": [0.0]}
    degrade = {"recovery__on_crash": "degrade", "service__missing_action": "repeat", "joining__give_up_s": 10.0}
    found = play("launched", scenario_of([LATE, crash], **degrade, **OVER[transport]))
    assert found.figures["complete"]
    assert found.ask("SELECT agent FROM gone") == [("agent-2",)]
    assert (told["agent-0"]["life"]["gone"], told["agent-1"]["life"]["gone"]) == ([], ["agent-2"])
    assert found.ask("SELECT DISTINCT agent FROM rounds ORDER BY agent") == [("agent-0",), ("agent-1",)]
