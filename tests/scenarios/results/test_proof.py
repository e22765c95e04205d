"""A run whose faults are not those it asked for is found out, and one whose faults are is left in peace."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest
from pydantic import TypeAdapter
from runs import foretell, simulate_here, summary

from broker.errors import LedgerMismatch, ScenarioError
from broker.faults.config import FaultConfig
from broker.wire.records import FaultCount
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.document.planning import make_plan
from scenarios.results.proof.mismatches import excused, gather, mismatches, verify_ledger
from scenarios.results.proof.rates import check_rates

SMALL = (
    "--set",
    "learning.rounds=2",
    "--set",
    "parallel_episodes=2",
    "--set",
    "learning.hidden=[8]",
    "--set",
    "exchange.patience_s=0.5",
)
THREE = (
    'faults=[{kind="drop",probability=0.2},{kind="gilbert-elliott",to_bad=0.3,to_good=0.5},'
    '{kind="duplicate",probability=0.3}]'
)


def fault(**settings):
    return TypeAdapter(FaultConfig).validate_python(settings)


def counted(chances, hits, name="drop"):
    return FaultCount(name, "agent-0", "agent-1", chances, hits, chances, hits)


@pytest.mark.parametrize(
    ("settings", "chances", "hits", "fits"),
    [
        ({"kind": "drop", "probability": 0.3}, 1000, 300, True),
        ({"kind": "drop", "probability": 0.3}, 1000, 350, True),
        ({"kind": "drop", "probability": 0.3}, 1000, 400, False),
        ({"kind": "drop", "probability": 0.3}, 1000, 200, False),
        ({"kind": "drop", "probability": 0.3}, 30, 0, True),
        ({"kind": "drop", "probability": 0.3}, 60, 0, False),
        ({"kind": "drop", "probability": 0.0}, 60, 1, False),
        ({"kind": "partition", "groups": [["agent-0"]]}, 60, 59, False),
        ({"kind": "isolate", "agents": ["agent-0"]}, 60, 60, True),
        ({"kind": "hold", "seconds": [0, 1]}, 60, 0, False),
        ({"kind": "hold", "seconds": [0, 1]}, 0, 0, True),
        ({"kind": "delay", "delay_s": {"distribution": "constant", "value_s": 1}}, 60, 59, False),
        ({"kind": "gilbert-elliott", "to_bad": 0.01, "to_good": 0.01}, 1000, 400, True),
        ({"kind": "gilbert-elliott", "to_bad": 0.5, "to_good": 0.5}, 1000, 400, False),
        ({"kind": "nan", "probability": 0.5}, 100, 0, False),
        ({"kind": "rate-limit", "bytes_per_s": 1, "queue_bytes": 1}, 100, 0, True),
    ],
)
def test_counts_that_chance_does_not_explain_are_told_in_a_sentence(settings, chances, hits, fits):
    found = check_rates([fault(**settings)], [counted(chances, hits, settings["kind"])])
    assert (found == []) == fits
    if not fits:
        assert f"fault {settings['kind']}: struck {hits} of {chances} times on agent-0->agent-1, expected" in found[0]


def test_a_run_of_many_edges_is_as_rarely_blamed_for_nothing_as_one_of_few():
    rare = (600, 600 * 3 // 10 + 60)  # met by one edge in a few million
    many = [FaultCount("drop", "agent-0", f"agent-{number}", 600, 180, 600, 180) for number in range(1, 1000)]
    lossy = fault(kind="drop", probability=0.3)
    assert check_rates([lossy], [counted(*rare)])
    assert check_rates([lossy], [counted(*rare), *many[1:]]) == []
    (said,) = check_rates([lossy], [counted(600, 300), *many[1:]])
    assert "on agent-0->agent-1" in said


def test_tests_of_all_faults_share_one_significance():
    rare, others = (600, 240), [fault(kind="drop", probability=0.3, name=f"drop-{number}") for number in range(500)]
    counts = [counted(600, 180, other.name) for other in others]
    assert check_rates([others[0]], [counted(*rare, others[0].name)])
    assert check_rates(others, [counted(*rare, others[0].name), *counts[1:]]) == []


def simulated(tmp_path, name, *settings):
    return simulate_here(tmp_path / name, "exchange-quick", "--episodes", "8", *SMALL, *settings)


def scenario_of(*settings):
    return load_scenario("exchange-quick", parse_settings(settings))


@pytest.mark.processes
def test_losses_bursts_and_copies_are_the_same_simulated_twice_and_run(tmp_path):
    first, second = (simulated(tmp_path, name, "--set", THREE) for name in ("one", "two"))
    done = foretell("run", "exchange-quick", "--episodes", "8", *SMALL, "--set", THREE, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    third = summary(tmp_path / "run")
    assert first["faults_applied"] > 40
    assert first["ledger_digest"] == second["ledger_digest"] == third["ledger_digest"]
    assert first["weights_digest"] == second["weights_digest"] == third["weights_digest"]
    kinds = {name: sqlite3.connect(tmp_path / name / "run.sqlite") for name in ("one", "run")}
    fates = {name: db.execute("SELECT * FROM fates ORDER BY 1, 2, 3").fetchall() for name, db in kinds.items()}
    between_agents = "SELECT SUM(sent) FROM edges WHERE source LIKE 'agent%' AND destination LIKE 'agent%'"
    assert sum(sum(row[3:]) for row in fates["one"]) == kinds["one"].execute(between_agents).fetchone()[0]
    assert fates["one"] == fates["run"]
    for database in kinds.values():
        database.close()


def test_a_ledger_that_was_tampered_with_does_not_fit(tmp_path):
    simulated(tmp_path, "one", "--set", THREE)
    store = tmp_path / "one" / "run.sqlite"
    assert verify_ledger(scenario_of(THREE), gather(store)) == []
    database = sqlite3.connect(store)
    with database:
        database.execute("UPDATE fault_counts SET hits = 0 WHERE fault = 'drop'")
        database.execute("INSERT INTO delays VALUES ('a', 'b', 'share', 0, 0, 0, 0.5, 0.4)")
    database.close()
    found = verify_ledger(scenario_of(THREE), gather(store))
    assert found[0].startswith("fault drop: struck 0 of ")
    assert found[1:] == ["handed over before their time: 1 delayed message"]


@pytest.mark.long
def test_a_fault_of_edges_that_carried_nothing_fails_the_run(tmp_path):
    simulated(tmp_path, "one")
    aimed = scenario_of('faults=[{kind="drop",probability=0.5,edges=["agent-7->agent-8"]}]')
    said, *others = verify_ledger(aimed, gather(tmp_path / "one" / "run.sqlite"))
    assert re.fullmatch(r"fault drop: none of the \d+ edges that carried share is one it touches", said)
    assert others == []
    assert mismatches(make_plan(scenario_of()), tmp_path / "one" / "run.sqlite") == []


DEATH = "{kind='crash',participants=['agent-1'],at_episodes=[1]}"
SHORT = ("--set", "learning.rounds=1", "--set", "learning.hidden=[4]", "--set", "environment.steps=2")


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (
            '{kind="drop",probability=1.0,seconds=[9e5,1e6]}',
            "fault drop: met no message in the whole run; none came in its window of seconds [900000, 1000000)",
        ),
        (
            '{kind="duty-cycle",name="radio",period_s=1.0,on_s=0.5,messages=["action"],steps=[1,2],seconds=[5,6]}',
            "fault radio: met no message in the whole run; none came in its window of steps [1, 2) and seconds [5, 6)",
        ),
        (
            '{kind="stale",of="episode",probability=1.0,episodes=[0,1]}',
            "fault stale: could strike none of the 6 messages that it met",
        ),
        (
            '{kind="nan",probability=1.0,messages=["action"],episodes=[0,1],steps=[0,1]}',
            "fault nan: could strike none of the 3 messages that it met",
        ),
    ],
    ids=["seconds", "radio", "stale", "no floats"],
)
def test_a_fault_that_had_no_chance_in_the_whole_run_is_not_proven(tmp_path, faults, said):
    with pytest.raises(LedgerMismatch) as caught:
        simulate_here(
            *(tmp_path / "run", "exchange-quick", "--episodes", "2", *SHORT, "--set", "exchange.patience_s=0.5"),
            *("--set", f"faults=[{faults}]"),
        )
    assert caught.value.sentences == [said]


SILENCED = '{kind="isolate",agents=["agent-0"],messages=["share","timestep","action"]}'
SLOW = '{kind="slow-node",agents=["agent-0"],compute_s={distribution="constant",value_s=0.1}}'


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ['algorithm.name="independent"', 'faults=[{kind="drop",probability=0.5}]'],
            "fault drop: met no message in the whole run: nobody sent any share",
        ),
        (
            ['faults=[{kind="drop",probability=1.0},{kind="nan",probability=0.5}]'],
            "fault nan: could strike none of the 12 messages that it met: those before it had lost or held them all",
        ),
        (
            [
                "service.action_patience_s=0.5",
                'service.missing_action="noop"',
                f"faults=[{SILENCED},{SLOW}]",
            ],
            "is one it touches: who sends there heard nothing: others had lost or held it all",
        ),
        (
            [
                'recovery.on_crash="degrade"',
                'service.missing_action="repeat"',
                f"faults=[{DEATH},{{kind='drop',probability=1.0,source='agent-1',episodes=[1,2]}}]",
            ],
            "none came in its window of episodes [1, 2): agents died, and the others went on without them",
        ),
    ],
    ids=["shares nothing", "lost before", "silenced", "dead"],
)
def test_where_no_chance_has_a_good_reason_it_is_told_and_the_run_is_as_asked_for(tmp_path, capsys, settings, said):
    options = [word for setting in ("exchange.patience_s=0.5", *settings) for word in ("--set", setting)]
    found = simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "2", *SHORT, *options)
    assert found["complete"]
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_fault_that_was_added_while_the_run_went_on_may_meet_nothing(tmp_path):
    simulated(tmp_path, "one")
    store = tmp_path / "one" / "run.sqlite"
    plan = make_plan(scenario_of())
    assert excused(plan, store) == []
    with closing(sqlite3.connect(store)) as database, database:
        document = '{"kind": "drop", "name": "storm", "probability": 0.5}'
        database.execute("INSERT INTO live_faults VALUES ('storm', ?, 3, 3)", (document,))
    assert mismatches(plan, store) == []
    assert excused(plan, store) == [
        "fault storm: met no message in the whole run: it was added or healed while the run went on"
    ]


@pytest.mark.parametrize(
    "faults",
    [
        '{kind="gilbert-elliott",to_bad=0.5,to_good=0.5,drop_in_bad=0.8,messages=["action"]}',
        '{kind="duplicate",probability=0.9},{kind="gilbert-elliott",to_bad=0.1,to_good=0.4,messages=["share"]}',
        '{kind="crash",participants=["agent-1"],at_episodes=[3]},{kind="drop",probability=0.3,source="agent-1"}',
        '{kind="delay",delay_s={distribution="constant",value_s=5.0}},{kind="hold",seconds=[0.0,1.0]}',
        '{kind="crash",participants=["agent-1"],pick="one",at_episodes=[2,4]}',
    ],
    ids=["asked again", "copies", "from the dead", "held for longer anyway", "gone already"],
)
def test_faults_that_struck_as_they_were_asked_to_are_found_so(tmp_path, faults):
    degrade = ("--set", 'recovery.on_crash="degrade"', "--set", 'service.missing_action="repeat"')
    simulated(tmp_path, "run", *degrade, "--set", f"faults=[{faults}]")  # raises where the ledger does not fit


@pytest.mark.processes
def test_the_command_ends_with_4_and_says_why(tmp_path):
    wrong = 'faults=[{kind="crash",participants=["agent-1"],at_s=[1e6]}]'
    done = foretell(
        "simulate", "exchange-quick", "--episodes", "1", *SMALL, "--set", wrong, "--out", str(tmp_path / "x")
    )
    assert done.returncode == 4
    assert "foretell: fault crash: struck 0 of 1 participant at second 1000000" in done.stderr
    assert "Traceback" not in done.stderr


def traced(file):
    return scenario_of(f'faults=[{{kind="delay",delay_s={{distribution="trace",file="{file}"}}}}]')


def test_a_trace_is_read_when_the_run_is_planned_and_is_part_of_the_scenario_from_then_on(tmp_path):
    (tmp_path / "rtt.csv").write_text("delay_s,hop\n0.5,a\n\n0.25,b\n")
    scenario = make_plan(traced(tmp_path / "rtt.csv")).scenario
    assert scenario.faults[0].delay_s.values_s == (0.5, 0.25)
    (tmp_path / "rtt.csv").unlink()
    assert make_plan(scenario).scenario == scenario


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot read"), ("", "expected 1 to"), ("0.1\nfast\n", "line 2: expected seconds"), ("1\n-1\n", "line 2")],
)
def test_a_trace_that_cannot_be_used_is_refused_at_its_path(tmp_path, text, said):
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ScenarioError, match=said) as caught:
        make_plan(traced(tmp_path / "t.csv"))
    assert caught.value.path == "faults[0].delay_s.file"
