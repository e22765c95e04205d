"""Twin, shrink and the pytest plugin: what users ask of faults."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from batches import forking
from hypothesis import given
from hypothesis import strategies as st
from runs import TINY
from runs import foretell as command

from broker.errors import UserError
from scenarios.commands.experiments import trials
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.document.scenario import Scenario
from scenarios.reports.statistics import Estimate
from scenarios.running.batch.folder import Folder
from scenarios.trials import twin
from scenarios.trials.condition import Condition
from scenarios.trials.quiet_run import try_out
from scenarios.trials.shrink import Shrunk, shrink
from scenarios.trials.twin import read_pairs, twin_cells

ROOT = Path(__file__).parents[3]
SMALL: dict[str, Any] = {
    "parallel_episodes": 2,
    "learning__hidden": [8],
    "learning__rounds": 1,
    "environment__steps": 3,
}
WORDS = (*("exchange-quick", *TINY), *("--set", "learning.rounds=1", "--set", "environment.steps=3"))
LOSSY = (
    *(("parallel_episodes", "2"), ("learning.hidden", "[8]"), ("environment.steps", "3"), ("episodes", "4")),
    ("faults", '[{kind="drop",probability=0.5}]'),
)
FIGURES = {"team_return_last": 2.5, "shares_missing": 4, "complete": True}


# Conditions


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("team_return_last < 3", True),
        ("team_return_last < 3 and shares_missing > 4", False),
        ("team_return_last > 3 or not shares_missing == 5", True),
        ("2 < team_return_last <= 2.5", True),
        ("2 < team_return_last < 2.5", False),
        ("-shares_missing + 2 * 3 - 4 / 2 == 0", True),
        ("complete", True),
    ],
)
def test_a_condition_is_asked_of_the_figures(text: str, holds: bool) -> None:
    assert Condition(text).holds(FIGURES) is holds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("team_return <", "it cannot be read"),
        ("return_last < 3", "it names"),
        ("__import__('os')", "expected numbers"),
        ("complete.real", "expected numbers"),
        ("[1]", "expected numbers"),
        ("shares_missing < nothing", "there is no 'nothing'. A run has complete, shares_missing, team_return_last"),
        ("shares_missing / 0 > 1", "division by zero"),
    ],
)
def test_what_is_no_condition_is_refused_and_never_run(text: str, why: str) -> None:
    with pytest.raises(UserError, match=re.escape(why if why != "it names" else "cannot be")):
        Condition(text).holds(FIGURES)


# Shrink


def scenario_with(*faults: dict[str, Any]) -> Scenario:
    return load_scenario("exchange-quick", {"episodes": 40, "faults": list(faults)})


def drop(name: str, **settings: Any) -> dict[str, Any]:
    return {"kind": "drop", "name": name, "probability": 0.5, **settings}


@given(st.sets(st.integers(0, 7)), st.integers(0, 39), st.integers(0, 39))
def test_what_is_left_is_all_that_is_needed(needed: set[int], one: int, two: int) -> None:
    """The condition holds if the needed faults are there and each covers two episodes."""
    first, last = sorted((one, two))

    def holds(candidate: Scenario) -> bool:
        windows = {fault.name: getattr(fault, "episodes", None) or (0, 40) for fault in candidate.faults}
        return all(
            str(each) in windows and windows[str(each)][0] <= first and windows[str(each)][1] > last for each in needed
        )

    found = shrink(scenario_with(*(drop(str(number)) for number in range(8))), holds, lambda _: None)
    assert found is not None
    assert holds(found.scenario)
    assert [int(fault.name) for fault in found.scenario.faults] == sorted(needed)
    assert all(getattr(fault, "episodes", None) == (first, last + 1) for fault in found.scenario.faults)


@given(st.integers(0, 1_000_000))
def test_nothing_can_be_taken_away_from_what_is_found_whatever_the_condition(number: int) -> None:
    """The condition holds of all faults, and of others by chance: not of more whenever it holds of less."""
    whole = dict.fromkeys("abc", (0, 40))

    def by_chance(windows: dict[str, tuple[int, int]]) -> bool:
        return windows == whole or crc32(f"{number} {windows}".encode()) % 3 == 0

    def windows_of(candidate: Scenario) -> dict[str, tuple[int, int]]:
        return {fault.name or "": getattr(fault, "episodes", None) or (0, 40) for fault in candidate.faults}

    scenario, said = scenario_with(*map(drop, whole)), list[str]()
    found = shrink(scenario, lambda candidate: by_chance(windows_of(candidate)), said.append)
    assert found is not None
    left = windows_of(found.scenario)
    assert by_chance(left)
    for name, (first, end) in left.items():
        assert not by_chance({other: window for other, window in left.items() if other != name})
        narrower = [(first + 1, end), (first, end - 1)] if end > first + 1 else []
        assert not any(by_chance({**left, name: window}) for window in narrower)
    assert len(said) == len(set(said))


def test_occasions_of_a_crash_are_taken_away_too() -> None:
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [3, 9, 21]}
    found = shrink(
        scenario_with(crash), lambda it: any(9 in getattr(f, "at_episodes", ()) for f in it.faults), lambda _: None
    )
    assert found is not None
    assert [getattr(fault, "at_episodes", None) for fault in found.scenario.faults] == [(9,)]


def test_nothing_is_tried_twice_and_a_condition_that_never_holds_is_none() -> None:
    tried: list[str] = []

    def holds(candidate: Scenario) -> bool:
        tried.append(candidate.model_dump_json())
        return len(candidate.faults) >= 2

    found = shrink(scenario_with(*(drop(str(number)) for number in range(5))), holds, lambda _: None)
    assert found is not None
    assert len(found.scenario.faults) == 2
    assert len(tried) == len(set(tried)) == found.trials
    assert shrink(scenario_with(drop("a")), lambda _: False, lambda _: None) is None


@pytest.mark.processes
def test_shrink_leaves_a_scenario_that_shows_it(tmp_path: Path) -> None:
    faults = '[{kind="drop",probability=0.5,episodes=[2,12]},{kind="duplicate",probability=0.5}]'
    out = tmp_path / "left.toml"
    words = ("shrink", *WORDS, "--episodes", "12", "--set", f"faults={faults}", "--out", str(out))
    done = command(*words, "--until", "shares_missing > 5")
    assert done.returncode == 0, done.stderr
    assert "'shares_missing > 5' holds with 1 of 2 faults" in done.stdout
    left = load_scenario(str(out))
    assert [fault.kind for fault in left.faults] == ["drop"]
    kept = out.read_bytes()
    refused = command(*words, "--until", "shares_missing > 5")
    assert refused.returncode == 2
    assert refused.stderr == f"foretell: {out} is there already: expected the name of a new file\n"
    assert out.read_bytes() == kept
    refused = command(*words, "--until", "shares_missng > 5")
    assert refused.returncode == 2
    assert "there is no 'shares_missng'. A run has agent_names, arithmetic, complete, curve_digest" in refused.stderr


@pytest.mark.parametrize("place", ["there.toml", "nowhere/left.toml"])
def test_shrink_tries_nothing_that_it_could_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "there.toml").write_text("mine")
    monkeypatch.setattr(trials, "shrink", lambda *_: pytest.fail("it was tried"))
    with pytest.raises(UserError, match=r"there is no folder|is there already"):
        trials.shrink_faults(scenario_with(drop("a")), "complete", tmp_path / place)
    assert (tmp_path / "there.toml").read_text() == "mine"


def test_shrink_says_what_it_found_though_the_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, out = scenario_with(drop("a"), drop("b")), tmp_path / "left.toml"

    def found(*_: object) -> Shrunk:
        out.mkdir()
        return Shrunk(scenario_with(drop("a")), 3)

    monkeypatch.setattr(trials, "shrink", found)
    with pytest.raises(UserError, match=r"cannot write .*: Is a directory"):
        trials.shrink_faults(scenario, "complete", out)
    assert "'complete' holds with 1 of 2 faults, found in 3 runs" in capsys.readouterr().out
    assert [*tmp_path.iterdir()] == [out]


# Twin


@pytest.mark.processes
def test_twins_are_equal_until_a_fault_strikes_and_the_difference_is_told(tmp_path: Path) -> None:
    faults = 'faults=[{kind="drop",probability=0.9,episodes=[4,20]}]'
    eager = ("--set", "learning.actor_learning_rate=0.1")
    words = (
        "twin",
        *WORDS,
        *eager,
        "--episodes",
        "20",
        "--set",
        faults,
        "--seeds",
        "2",
        "--out",
        str(tmp_path / "twins"),
    )
    done = command(*words, COLUMNS="120", FORETELL_DOOR=forking())
    assert done.returncode == 0, done.stderr
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["1", "2"]
    for row in rows:
        faulty, fault_free, change = (float(cell) for cell in row[1:4])
        assert change == pytest.approx(faulty - fault_free, abs=0.011)
        assert row[5].strip() == "4"  # its shares are lost, and what is learned without them differs at once
    assert re.search(r"changed the final team return by [+-][\d.]+ \(.*\), over 2 seeds", done.stdout)
    assert command(*words, COLUMNS="120").stdout == done.stdout  # nothing is run again


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Estimate(-1.0, -2.5, 0.5), "-1.00 (95% interval -2.50 to +0.50), over 3 seeds"),
        (Estimate(0.0, None, None, "all 3 equal"), "+0.00 (all 3 equal: no interval), over 3 seeds"),
    ],
)
def test_how_sure_the_difference_of_twins_is_follows_from_how_they_vary(
    found: Estimate, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twin, "difference", lambda _: found)
    assert twin.sentence([None] * 3) == f"the faults changed the final team return by {told}"  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("change", "parted_at"),
    [
        ("UPDATE rounds SET losses = '{}' WHERE episode = 2 AND agent = 'agent-1'", 2),
        ("UPDATE rounds SET heard = 0 WHERE episode = 3", 3),
        ("UPDATE episodes SET return = return + 1e-9 WHERE episode = 1 AND agent = 'agent-2'", 1),
        ("UPDATE episodes SET return = 7 WHERE episode = 3; DELETE FROM rounds WHERE episode >= 2", 2),
        ("DELETE FROM rounds WHERE episode = 0 AND agent = 'agent-0'", 0),
        ("", None),
    ],
)
def test_twins_part_with_the_first_figure_that_differs(change: str, parted_at: int | None, tmp_path: Path) -> None:
    faulty, fault_free = cells = twin_cells("exchange-quick", 1, tuple(f"{path}={value}" for path, value in LOSSY))
    folder = Folder(tmp_path)
    document = load_scenario("exchange-quick", parse_settings(f"{path}={value}" for path, value in LOSSY))
    try_out(document.model_copy(update={"faults": ()}), folder.run(fault_free).root)
    shutil.copytree(folder.run(fault_free).root, folder.run(faulty).root)
    with closing(sqlite3.connect(folder.run(faulty).store)) as store:
        store.executescript(change)
    (pair,) = read_pairs(folder, cells)
    assert pair.parted_at == parted_at


@pytest.mark.processes
def test_a_scenario_without_faults_has_no_twin() -> None:
    done = command("twin", *WORDS)
    assert done.returncode == 2
    assert "has no faults, so its twin would be itself" in done.stderr


# The pytest plugin


DROPS = [{"kind": "drop", "probability": 0.5}]


@pytest.fixture
def lossy(foretell: Any) -> Any:
    return foretell.simulate("exchange-quick", faults=DROPS, episodes=6, **SMALL)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (lambda run: run.returns_at_least(1.0, of=1e6), "a final team return of at least 1000000.000"),
        (
            lambda run: run.recovers_within(2, after_episode=1),
            "every share heard from 2 rounds after the beginning of episode 1",
        ),
        (lambda run: run.no_agent_starved(at_least=0.99), "starved: agent-0"),
        (lambda run: run.fault_hit("drop", at_least=1000), "to strike at least 1000 times, found"),
        (lambda run: run.fault_hit("dropp"), "the name of a fault of the run, drop, found 'dropp'"),
        (lambda run: run.returns_at_least(of=1e6), "a final team return of at least 1000000.000 (1 of 1000000.000)"),
    ],
)
def test_an_assertion_that_fails_says_the_seed_and_how_to_play_the_run_again(lossy: Any, claim: Any, said: str) -> None:
    with pytest.raises(AssertionError, match="seed 1; again with: foretell simulate") as failed:
        claim(lossy)
    assert said in str(failed.value)
    assert str(lossy.folder.scenario) in str(failed.value)


def test_what_is_true_passes(lossy: Any) -> None:
    lossy.fault_hit("drop", at_least=5)
    lossy.no_agent_starved(at_least=0.1)
    lossy.no_share_used_after_its_round()
    lossy.ledger_fits()
    lossy.returns_at_least(0.0, of=-100.0)


def test_a_fault_that_comes_to_somebody_gone_has_struck_nobody(foretell: Any) -> None:
    faults = [
        {"kind": "crash", "name": name, "participants": ["agent-1"], "at_episodes": [episode]}
        for name, episode in (("first", 1), ("second", 2))
    ]
    going_on = {"recovery__on_crash": "degrade", "service__missing_action": "noop"}
    run = foretell.simulate("exchange-quick", faults=faults, episodes=4, **SMALL, **going_on)
    run.fault_hit("first")
    with pytest.raises(AssertionError, match="fault second to strike at least 1 time, found 0"):
        run.fault_hit("second")


def test_a_run_recovers_where_it_hears_every_share_again(foretell: Any) -> None:
    run = foretell.simulate("exchange-quick", faults=[{**DROPS[0], "episodes": [0, 3]}], episodes=6, **SMALL)
    run.recovers_within(0, after_episode=3)
    with pytest.raises(AssertionError, match="found missing ones in round 0 of episode"):
        run.recovers_within(0, after_episode=0)


@pytest.mark.parametrize(("rounds", "episode"), [(0, 6), (6, 0), (1, 5)])
def test_nobody_recovers_after_the_end_of_a_run(lossy: Any, rounds: int, episode: int) -> None:
    with pytest.raises(AssertionError, match="found no share to hear from there on: the run has 6 episodes of 1 round"):
        lossy.recovers_within(rounds, after_episode=episode)


def test_who_died_before_it_heard_anything_is_starved(foretell: Any) -> None:
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [0]}
    going_on = {"recovery__on_crash": "degrade", "service__missing_action": "noop"}
    run = foretell.simulate("exchange-quick", faults=[crash], episodes=3, **SMALL, **going_on)
    with pytest.raises(AssertionError, match=r"starved: agent-1 \(no round\)"):
        run.no_agent_starved()


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (lambda run: run.no_agent_starved(), "starved: agent-0 (0 of 0), agent-1 (0 of 0), agent-2 (0 of 0)"),
        (lambda run: run.recovers_within(0, after_episode=0), "found no share to hear from there on"),
        (lambda run: run.no_share_used_after_its_round(), "found no round in which one was to be heard"),
        (lambda run: run.returns_at_least(1.0), "found none, so its twin would be itself: set `of=`"),
    ],
)
def test_no_assertion_is_true_where_there_was_nothing_to_look_at(foretell: Any, claim: Any, said: str) -> None:
    run = foretell.simulate("exchange-quick", episodes=2, **SMALL, exchange__skip_probability=1.0)
    with pytest.raises(AssertionError) as failed:
        claim(run)
    assert said in str(failed.value)


def test_a_stale_share_is_one_used_after_its_round(foretell: Any) -> None:
    reuse = {"algorithm__name": "value-parameter-sharing", "exchange__late_shares": "reuse"}
    run = foretell.simulate("exchange-quick", faults=DROPS, episodes=6, **SMALL, **reuse)
    with pytest.raises(AssertionError, match="no share used after its round"):
        run.no_share_used_after_its_round()
