"""Faults of processes: they strike whom and when they are asked to, on every substrate alike, and are proven."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from runs import TINY, foretell, need_mosquitto, simulate_here, summary

from broker.errors import ScenarioError
from broker.own_clock import OwnClock
from broker.wire.records import ProcessFaultRecord
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.process_faults import (
    CheckpointLossConfig,
    CrashConfig,
    LateJoinConfig,
    StopConfig,
)
from scenarios.document.wiring import Wiring
from scenarios.results.answers import CRASHED, GONE, NONE_TO_LOSE
from scenarios.results.folder import RunFolder
from scenarios.results.proof.strikes import check_strikes
from scenarios.running.control.live_requests import describe_faults
from scenarios.running.control.strikes import ProcessFaults, Strike, carry_out
from scenarios.running.launched.node_control import NodeControl
from scenarios.running.meeting.meeting import Meeting
from scenarios.telemetry.metrics import STRIKES
from scenarios.telemetry.run_metrics import RunMetrics
from scenarios.telemetry.samples import Samples
from scenarios.watching.watched_run import WatchedRun

NAMES = ("environment", "agent-0", "agent-1", "agent-2", "broker")
SCENARIO = (
    *("exchange-quick", "--episodes", "30", *TINY, "--set", "learning.rounds=1", "--set", "environment.steps=3"),
    *("--set", "recovery.checkpoint_every=5"),
)
FIGURES = ("curve_digest", "weights_digest", "episodes", "rounds", "env_steps", "missing_actions", "complete")
DEGRADE = ("--set", "recovery.on_crash=degrade", "--set", "service.missing_action=repeat")


def crash(**settings: Any) -> CrashConfig:
    return CrashConfig(kind="crash", **{"participants": ("agent-1",)} | settings)


def faults(*tables: dict[str, Any]) -> tuple[str, str]:
    """The option that sets them; JSON is nearly TOML."""
    inner = ",".join(
        "{" + ",".join(f"{key}={json.dumps(value)}" for key, value in each.items()) + "}" for each in tables
    )
    return "--set", f"faults=[{inner}]"


def strikes(out: Path) -> list[tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as store:
        return store.execute("SELECT occasion, participant, what FROM process_faults ORDER BY rowid").fetchall()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("undisturbed") / "simulate"
    simulate_here(out, *SCENARIO)
    return figures(out)


def figures(out: Path) -> dict[str, Any]:
    return {name: summary(out)[name] for name in FIGURES}


# When they strike


def test_a_strike_that_could_do_nothing_is_counted_by_nobody(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    crash = 'faults=[{kind="crash", participants=["agent-1"], at_episodes=[1]}]'
    simulate_here(folder.root, "exchange-quick", "--episodes", "2", *TINY, "--set", crash)
    assert [line.endswith(", struck 1") for line in describe_faults(folder.root)] == [True]
    with contextlib.closing(sqlite3.connect(folder.store)) as store, store:
        store.execute("UPDATE process_faults SET what = ?", (GONE,))
    assert ["struck" in line for line in describe_faults(folder.root)] == [False]
    (seen,) = WatchedRun(folder.root).look().faults
    assert seen.struck == 0
    samples = Samples()
    for what in (GONE, CRASHED):
        RunMetrics(samples, "run", ("agent-1",)).take([ProcessFaultRecord("crash", "episode 1", "agent-1", what)])
    assert samples.read()[0][STRIKES] == {("run", "crash", "agent-1"): 1.0}


def test_a_fault_of_episodes_strikes_before_each_of_them_and_once() -> None:
    found = ProcessFaults([crash(at_episodes=(4, 9))], 1, NAMES, {})
    assert found.breakpoints() == (4, 9)
    assert [found.before(episode) for episode in (3, 5, 10)] == [[], [], []]
    (first,) = found.before(4)
    assert (first.name, first.occasion, first.victims) == ("crash", "episode 4", ("agent-1",))
    assert found.before(4) == []
    assert found.breakpoints() == (9,)


def test_what_the_store_knows_of_does_not_strike_again() -> None:
    found = ProcessFaults(
        [crash(at_episodes=(4, 9)), crash(name="b", at_episodes=(4,))], 1, NAMES, {("crash", "episode 4"): ("agent-1",)}
    )
    assert [strike.name for strike in found.before(4)] == ["b"]
    assert found.breakpoints() == (9,)


def test_a_fault_of_seconds_strikes_at_the_first_look_after_its_time() -> None:
    found = ProcessFaults([crash(at_s=(2.0, 5.0))], 1, NAMES, {})
    assert [[strike.occasion for strike in found.until(at_s)] for at_s in (1.9, 2.1, 3.0, 7.0)] == [
        [],
        ["second 2"],
        [],
        ["second 5"],
    ]


def test_a_repeated_fault_strikes_once_in_every_period_and_not_at_its_beginning() -> None:
    found = ProcessFaults([crash(every_s=10.0)], 1, NAMES, {})
    assert [len(found.until(at_s)) for at_s in (0.0, 9.9, 10.0, 11.0, 20.5, 45.0, 45.1)] == [0, 0, 1, 0, 1, 1, 0]


def test_a_repeated_fault_goes_on_repeating_in_a_run_that_is_resumed_and_one_of_a_moment_does_not() -> None:
    struck = {("often", "second 10"): ("agent-0",), ("once", "second 10"): ("agent-0",)}
    found = ProcessFaults([crash(name="often", every_s=10.0), crash(name="once", at_s=(10.0,))], 1, NAMES, struck)
    assert [strike.name for strike in found.until(10.0)] == ["often"]


def test_what_is_played_again_meets_stops_and_deaths_again_and_no_crash_that_all_went_back_from() -> None:
    stop = StopConfig(kind="stop", participants=("agent-0",), at_episodes=(2, 4, 6), for_s=5.0)
    hang = StopConfig(kind="stop", name="hang", participants=("agent-0",), at_episodes=(4,), for_s=50.0)
    found = ProcessFaults([stop, hang, crash(at_episodes=(4, 8))], 1, NAMES, {})
    assert [(strike.name, strike.again) for episode in range(7) for strike in found.before(episode)] == [
        *(("stop", False), ("stop", False), ("hang", False), ("crash", False), ("stop", False)),
    ]
    found.go_back(3, hung_after_s=30.0, spared=())
    found.let_die_again("agent-2", 5)
    assert found.breakpoints() == (4, 5, 6, 8)
    again = [strike for episode in range(4, 9) for strike in found.before(episode)]
    assert [(strike.occasion, strike.name, strike.victims, strike.again) for strike in again] == [
        ("episode 4", "stop", ("agent-0",), True),
        ("episode 5", "death", ("agent-2",), True),
        ("episode 6", "stop", ("agent-0",), True),
        ("episode 8", "crash", ("agent-1",), False),
    ]
    assert found.breakpoints() == ()


@pytest.mark.parametrize(
    ("stopped", "spared", "again"),
    [
        (("broker",), (), ("broker",)),
        (("agent-0", "agent-1", "agent-2"), (), ()),
        (("agent-0",), ("agent-0", "agent-1"), ("agent-0",)),
        (("agent-0",), ("agent-1", "agent-2"), ()),
        (("agent-0", "agent-1"), ("agent-1", "agent-2"), ("agent-1",)),
        (("agent-1", "broker"), ("agent-1", "agent-2"), ("agent-1", "broker")),
        (("agent-0", "agent-1", "agent-2"), ("agent-1", "agent-2"), ()),
        (("environment", "agent-0"), ("agent-0", "agent-1"), ()),
    ],
)
@pytest.mark.parametrize("pick", ["all", "one"])
def test_a_stop_for_so_long_meets_again_the_broker_and_who_was_to_die_of_it_and_lives_and_nobody_else(
    stopped: tuple[str, ...], spared: tuple[str, ...], again: tuple[str, ...], pick: Any
) -> None:
    stop = StopConfig(kind="stop", participants=("*",), pick=pick, at_episodes=(4,), for_s=50.0)
    found = ProcessFaults([stop], 1, NAMES, {("stop", "episode 4"): stopped})
    found.go_back(3, 30.0, spared)
    assert [(strike.victims, strike.again) for strike in found.before(4)] == [(again, True)] * bool(again)


@pytest.mark.parametrize("gone", ["", "agent-0", "agent-1", "agent-2"])
def test_a_stop_that_picked_one_meets_the_same_one_again_whoever_is_gone_by_then(gone: str) -> None:
    stop = StopConfig(kind="stop", participants=("agent-*",), pick="one", at_episodes=(4,), for_s=5.0)
    found = ProcessFaults([stop], 1, NAMES, {})
    [first] = found.before(4)
    found.forget(gone)
    found.go_back(3, 30.0, ())
    [again] = found.before(4)
    assert (again.victims, again.again) == (first.victims, True)


def test_one_is_picked_anew_each_time_the_same_with_the_same_seed_and_never_who_is_gone() -> None:
    def picked(seed: int, gone: str = "") -> list[str]:
        found = ProcessFaults(
            [crash(participants=("agent-*",), pick="one", at_episodes=tuple(range(60)))], seed, NAMES, ()
        )
        found.forget(gone)
        return [strike.victims[0] for episode in range(60) for strike in found.before(episode)]

    assert picked(1) == picked(1) != picked(2)
    assert set(picked(1)) == {"agent-0", "agent-1", "agent-2"}
    assert set(picked(1, "agent-1")) == {"agent-0", "agent-2"}


def test_patterns_choose_the_whole_host_but_what_stands_between_keeps_no_checkpoint() -> None:
    found = ProcessFaults(
        [
            crash(participants=("*",), at_episodes=(1,)),
            CheckpointLossConfig(kind="checkpoint-loss", participants=("*",), at_episodes=(1,)),
        ],
        1,
        NAMES,
        {},
    )
    assert [strike.victims for strike in found.before(1)] == [NAMES, NAMES[:-1]]


def test_hands_do_what_the_fault_asks_for_and_every_victim_is_written_down() -> None:
    class ProcessControl:
        def __init__(self) -> None:
            self.did: list[Any] = []

        def crash(self, victims: tuple[str, ...], down_s: float) -> list[str]:
            self.did.append((victims, down_s))
            return [f"killed {victim}" for victim in victims]

        def stop(self, victim: str, for_s: float) -> str:
            self.did.append((victim, for_s))
            return "stopped"

        def lose_checkpoints(self, victim: str, newest: int) -> str:
            self.did.append((victim, newest))
            return "lost"

    control, victims = ProcessControl(), ("agent-0", "agent-1")
    configs = (
        crash(participants=victims, at_episodes=(1,), down_s=3.0),
        StopConfig(kind="stop", participants=victims, at_episodes=(1,), for_s=2.0),
        CheckpointLossConfig(kind="checkpoint-loss", participants=victims, at_episodes=(1,), newest=4),
    )
    records = [each for config in configs for each in carry_out(Strike("f", config, "episode 1", victims), control)]
    assert control.did == [(victims, 3.0), ("agent-0", 2.0), ("agent-1", 2.0), ("agent-0", 4), ("agent-1", 4)]
    assert [(each.participant, each.what) for each in records] == [
        *(("agent-0", "killed agent-0"), ("agent-1", "killed agent-1")),
        *(("agent-0", "stopped"), ("agent-1", "stopped"), ("agent-0", "lost"), ("agent-1", "lost")),
    ]


# The ledger


@pytest.mark.parametrize(
    ("fault", "found", "sentence"),
    [
        (crash(at_episodes=(4, 9)), [("crash", "episode 4", "agent-1")], "struck 0 of 1 participant at episode 9"),
        (crash(participants=("agent-*",), at_episodes=(4,)), [("crash", "episode 4", "agent-1")], "struck 1 of 3"),
        (crash(every_s=5.0), [], "never struck; the run was over before its time"),
        (crash(at_s=(5, 60)), [("crash", "second 5", "agent-1")], "struck 0 of 1 participant at second 60"),
        (
            crash(at_s=(1e6, 1e6 + 0.5)),
            [("crash", "second 1000000", "agent-1")],
            "struck 0 of 1 participant at second 100",
        ),
        (
            crash(at_episodes=(2,), at_s=(1000,)),
            [("crash", "episode 2", "agent-1")],
            "struck 0 of 1 participant at second 1000",
        ),
        (LateJoinConfig(kind="late-join", participants=("agent-1",), by_s=1.0), [], "struck 0 of 1"),
    ],
)
def test_a_strike_that_was_asked_for_and_is_not_in_the_ledger_is_a_sentence(
    fault: Any, found: list[tuple[str, str, str]], sentence: str
) -> None:
    (said,) = check_strikes([fault], [ProcessFaultRecord(*strike, "") for strike in found], NAMES, {})
    assert sentence in said


def test_every_strike_of_seconds_is_in_the_ledger_under_a_name_of_its_own() -> None:
    fault = crash(at_s=(0.1, 3, 100_000.1, 100_000.2, 2e6, 2e6 + 1))
    struck = ProcessFaults([fault], 1, NAMES, {}).until(3e6)
    assert len({strike.occasion for strike in struck}) == 6
    found = [ProcessFaultRecord(strike.name, strike.occasion, "agent-1", "") for strike in struck]
    assert check_strikes([fault], found, NAMES, {}) == []


def test_all_strikes_in_the_ledger_are_well() -> None:
    picked = crash(name="one", participants=("agent-*",), pick="one", at_episodes=(4,))
    found = [
        ProcessFaultRecord(fault, "episode 4", f"agent-{number}", "") for number, fault in ((1, "crash"), (2, "one"))
    ]
    assert check_strikes([crash(at_episodes=(4,)), picked], found, NAMES, {}) == []


def test_who_starts_late_is_late_in_each_life_until_it_is_noted_and_in_none_after_it() -> None:
    late = LateJoinConfig(kind="late-join", participants=("agent-1",), by_s=1.0)
    faults = ProcessFaults([late], 1, NAMES, {})
    assert faults.late() == faults.late() == {"agent-1": 1.0}
    assert [record.participant for record in faults.note_late()] == ["agent-1"]
    assert (faults.late(), faults.note_late()) == ({}, [])
    assert ProcessFaults([late], 1, NAMES, {("late-join", "start"): ("agent-0",)}).late() == {}


def test_a_strike_that_could_do_nothing_is_none_and_the_sentence_says_why() -> None:
    loss = CheckpointLossConfig(kind="checkpoint-loss", participants=("agent-1",), at_episodes=(0, 9))
    found = [
        ProcessFaultRecord("checkpoint-loss", "episode 0", "agent-1", NONE_TO_LOSE),
        ProcessFaultRecord("checkpoint-loss", "episode 9", "agent-1", "lost its checkpoints of episodes 5"),
    ]
    assert check_strikes([loss], found, NAMES, {}) == [
        "fault checkpoint-loss: struck 0 of 1 participant at episode 0: agent-1 had no checkpoint to lose"
    ]
    often = CheckpointLossConfig(kind="checkpoint-loss", participants=("agent-1",), every_s=1.0)
    assert check_strikes([often], found[:1], NAMES, {}) == [
        "fault checkpoint-loss: never struck; agent-1 had no checkpoint to lose"
    ]


def test_a_strike_on_who_was_gone_is_excused_only_where_that_was_a_death() -> None:
    again = crash(at_episodes=(4,))
    gone = ProcessFaultRecord("crash", "episode 4", "agent-1", GONE)
    assert check_strikes([again], [gone], NAMES, {}) == [
        "fault crash: struck 0 of 1 participant at episode 4: agent-1 was gone already"
    ]
    assert check_strikes([again], [gone], NAMES, {"agent-1": 3}) == []
    first = ProcessFaultRecord("other", "episode 4", "agent-1", f"{CRASHED} (process 7)")
    assert check_strikes([again], [first, gone], NAMES, {}) == []


@pytest.mark.processes
def test_a_loss_of_checkpoints_before_there_are_any_ends_the_run_with_4(tmp_path: Path) -> None:
    loss = '{kind="checkpoint-loss",participants=["agent-0"],at_episodes=[0,2]}'
    done = foretell(
        *("simulate", "exchange-quick", "--episodes", "3", *TINY, "--out", str(tmp_path / "run")),
        *("--set", f"faults=[{loss}]", "--set", "recovery.checkpoint_every=20"),
    )
    assert done.returncode == 4
    for episode in (0, 2):
        said = f"struck 0 of 1 participant at episode {episode}: agent-0 had no checkpoint to lose"
        assert said in done.stderr


def test_who_is_stopped_twice_at_once_goes_on_when_the_longer_stop_is_over() -> None:
    class OneNode:
        went_on: tuple[str, ...] = ()

        def stop(self, _name: str) -> int:
            return 7

        def go_on(self, name: str) -> None:
            self.went_on += (name,)

    nodes, seconds = OneNode(), 10.0
    clock = OwnClock(lambda: seconds, lambda: seconds)
    control = NodeControl(nodes, Meeting(Wiring("run"), None, print), {}, clock, lambda: 0)
    for for_s in (1.0, 5.0, 2.0):
        control.stop("agent-0", for_s)
    assert [control.stopped["agent-0"].had_s(now) for now in (12.0, 99.0)] == [2.0, 5.0]
    assert control.let_go_on(14.9) == {}
    assert nodes.went_on == ()
    assert control.let_go_on(15.0) == {"agent-0": 5.0}
    assert nodes.went_on == ("agent-0",)


def test_what_stands_between_and_is_killed_while_it_is_stopped_was_stopped_until_then() -> None:
    class Between:
        def stop(self) -> int:
            return 7

        def kill(self) -> int:
            return 7

        def go_on(self) -> None: ...

    class Nobody:
        def kill(self, _names: list[str]) -> dict[str, int]:
            return {}

    seconds = 10.0
    clock = OwnClock(lambda: seconds, lambda: seconds)
    control = NodeControl(Nobody(), Between(), {}, clock, lambda: 0)
    control.stop("broker", 100.0)
    seconds = 70.0
    control.crash(("broker",), 0.0)
    assert "broker" in control.stopped, "nobody's silence counts until it has been told"
    assert control.let_go_on(70.1) == {"broker": 60.0}
    assert control.stopped == {}


# The document


@pytest.mark.parametrize(
    ("table", "path", "problem"),
    [
        ({"kind": "crash", "participants": ["agent-7"], "at_episodes": [1]}, "faults[0].participants", "matches none"),
        (
            {"kind": "crash", "participants": ["agent-1", "agent-7"], "at_episodes": [1]},
            "faults[0].participants",
            "'agent-7' matches none",
        ),
        ({"kind": "crash", "participants": ["broker"], "at_episodes": [1]}, "faults[0].participants", "matches none"),
        ({"kind": "crash", "participants": ["agent-1"]}, "faults[0]", "says never when"),
        ({"kind": "crash", "participants": ["agent-1"], "at_episodes": [100]}, "faults[0].at_episodes", "less than"),
        ({"kind": "late-join", "participants": ["agent-1"], "by_s": 60.0}, "faults[0].by_s", "joining.give_up_s"),
    ],
)
def test_a_fault_that_could_never_strike_is_refused(table: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem) as refused:
        make_plan(load_scenario("exchange-quick", {"episodes": 30, "faults": [table]}))
    assert refused.value.path == path


def test_a_broker_can_be_struck_where_the_run_starts_one() -> None:
    table = {"kind": "crash", "participants": ["broker"], "at_episodes": [1]}
    assert (
        make_plan(load_scenario("exchange-quick", {"faults": [table], "transport.kind": "mqtt"})).strikable[-1]
        == "broker"
    )


def test_going_on_without_an_agent_needs_somebody_to_act_for_it() -> None:
    with pytest.raises(ScenarioError, match="noop or repeat"):
        make_plan(load_scenario("exchange-quick", {"recovery.on_crash": "degrade"}))


# On every substrate

TROUBLE = faults(
    {"kind": "late-join", "participants": ["agent-2"], "by_s": 1.0},
    {"kind": "crash", "participants": ["agent-1"], "at_episodes": [7, 8]},
    {"kind": "stop", "participants": ["environment", "agent-0"], "at_episodes": [10], "for_s": 0.5},
    {"kind": "checkpoint-loss", "participants": ["agent-0"], "at_episodes": [16]},
    {"kind": "crash", "name": "host", "participants": ["*"], "at_episodes": [16], "down_s": 0.5},
)
STRUCK = [
    ("start", "agent-2"),
    *(("episode 7", "agent-1"), ("episode 8", "agent-1"), ("episode 10", "environment"), ("episode 10", "agent-0")),
    *(("episode 16", "agent-0"), ("episode 16", "environment")),
    *(("episode 16", "agent-0"), ("episode 16", "agent-1"), ("episode 16", "agent-2")),
]


@pytest.mark.processes
def test_crashes_stops_and_losses_strike_alike_everywhere_and_leave_the_results_as_they_were(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    simulate_here(tmp_path / "simulate", *SCENARIO, *TROUBLE)
    done = foretell("run", *SCENARIO, *TROUBLE, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    for out in (tmp_path / "simulate", tmp_path / "run"):
        assert figures(out) == undisturbed
        assert [(occasion, who) for occasion, who, _ in strikes(out)] == STRUCK
    killed = [what for _, _, what in strikes(tmp_path / "run") if what.startswith("killed with -9 (process ")]
    assert len(killed) == 6
    assert "agent-0 lost its checkpoints of episodes 14; " not in done.stderr
    assert "all go on from episode 10 (life 3)" in done.stderr


@pytest.mark.processes
def test_a_broker_that_is_killed_on_purpose_costs_nothing(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    need_mosquitto()
    table = faults({"kind": "crash", "participants": ["broker"], "at_episodes": [7]})
    for out, how in (("simulate", []), ("run", ["--transport", "mqtt"])):
        chosen = ["--set", "transport.kind=mqtt"] if out == "simulate" else how
        if out == "simulate":
            simulate_here(tmp_path / out, *SCENARIO, *chosen, *table)
        else:
            done = foretell("run", *SCENARIO, *chosen, *table, "--out", str(tmp_path / out))
            assert done.returncode == 0, done.stderr
        assert figures(tmp_path / out) == undisturbed
        assert [row[:2] for row in strikes(tmp_path / out)] == [("episode 7", "broker")]


@pytest.mark.processes
def test_who_goes_on_without_the_dead_decides_the_same_everywhere(tmp_path: Path) -> None:
    table = faults(
        {"kind": "crash", "participants": ["agent-1"], "at_episodes": [6]},
        {"kind": "crash", "name": "later", "participants": ["agent-2"], "at_episodes": [20]},
    )
    simulate_here(tmp_path / "undisturbed", *SCENARIO, *DEGRADE)
    simulate_here(tmp_path / "simulate", *SCENARIO, *DEGRADE, *table)
    done = foretell("run", *SCENARIO, *DEGRADE, *table, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "agent-1 died: signal SIGKILL; the others go on without it" in done.stderr
    assert figures(tmp_path / "run") == figures(tmp_path / "simulate") != figures(tmp_path / "undisturbed")
    found = summary(tmp_path / "run")
    assert found["complete"]
    # 24 episodes without agent-1 and 10 without agent-2, three steps each; and what neither hears nor says:
    assert found["missing_actions"] == 3 * (24 + 10)
    # six episodes of six shares; 14 in which two hear each other and miss one each; 10 in which one misses two.
    assert found["shares_heard"] == 6 * 6 + 14 * 2
    assert found["shares_missing"] == 14 * 2 + 10 * 2


@pytest.mark.processes
def test_a_run_that_went_on_without_somebody_goes_on_so_when_it_is_resumed(tmp_path: Path) -> None:
    table = faults(
        {"kind": "crash", "participants": ["agent-1"], "at_episodes": [6]},
        {"kind": "crash", "name": "end", "participants": ["environment"], "at_episodes": [20]},
    )
    only = faults({"kind": "crash", "participants": ["agent-1"], "at_episodes": [6]})
    simulate_here(tmp_path / "simulate", *SCENARIO, *DEGRADE, *only)
    died = foretell("run", *SCENARIO, *DEGRADE, *table, "--out", str(tmp_path / "run"))
    assert died.returncode == 3
    assert "environment died: signal SIGKILL" in died.stderr
    done = foretell("run", "--resume", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "run") == figures(tmp_path / "simulate")


@pytest.mark.processes
def test_a_node_that_is_stopped_for_too_long_is_taken_for_hung(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    table = faults({"kind": "stop", "participants": ["agent-0"], "at_episodes": [6], "for_s": 60.0})
    hung = ("--set", "recovery.hung_after_s=8")
    simulate_here(tmp_path / "simulate", *SCENARIO, *hung, *table)
    done = foretell("run", *SCENARIO, *hung, *table, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "agent-0 died: it hung: no sign of its working loop for" in done.stderr
    assert figures(tmp_path / "run") == figures(tmp_path / "simulate") == undisturbed


@pytest.mark.processes
def test_a_fault_that_came_too_late_to_strike_fails_the_run(tmp_path: Path) -> None:
    table = faults({"kind": "crash", "participants": ["agent-0"], "at_s": [3600.0]})
    done = foretell("simulate", *SCENARIO, *table, "--out", str(tmp_path / "run"))
    assert done.returncode == 4
    assert "fault crash: struck 0 of 1 participant at second 3600" in done.stderr
