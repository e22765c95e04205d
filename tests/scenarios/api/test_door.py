"""Foretell from Python: what a run looks like to whoever imports `scenarios.api`."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from limits import LIMIT_S
from matplotlib.figure import Figure
from runs import command, need_mosquitto, until

import scenarios.api as door
from agent_node.learning.round import TAKEN_NAMES
from scenarios.api import OpenedRun, UserError, evaluate, load, one_run, playing, resume, run, simulate
from scenarios.api.columns import Columns
from scenarios.api.own_thread import without_loop
from scenarios.document.agent_names import AgentNames
from scenarios.document.loading import load_scenario
from scenarios.results.folder import RunFolder
from scenarios.running.control.interrupting import interruptible
from scenarios.running.ways import way_called

TINY: dict[str, Any] = {
    "parallel_episodes": 2,
    "environment.steps": 4,
    "learning.hidden": [5],
    "learning.rounds": 2,
    "recovery.checkpoint_every": 2,
}
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
LOSSES = [{"kind": "drop", "probability": 0.4, "episodes": [1, 2]}]
"""Of one episode: processes wait for what is lost."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("door") / "run"
    return simulate("exchange-quick", TINY, seed=3, episodes=4, faults=LOSSES, out=out)


def test_episodes_rounds_edges_and_ledger_are_columns_that_agree_with_the_figures(played: OpenedRun) -> None:
    episodes, rounds, edges, ledger = played.episodes, played.rounds, played.edges, played.ledger
    assert episodes.rows == 4 * 3
    assert rounds.rows == 4 * 3 * 2
    last = episodes.where(episode=3)["return"]
    assert last.sum() == pytest.approx(sum(played.summary.per_agent_return_last.values()))
    assert rounds["heard"].sum() == played.summary.shares_heard
    assert np.isfinite(rounds["gain"]).all()
    assert {*rounds} == {"gain", "penalty"} | (TAKEN_NAMES & {*rounds})
    between_agents = ledger.where(kind="share")
    assert between_agents["dropped"].sum() == played.summary.faults_applied == played.faults.rows > 0
    assert edges.rows == 12
    assert set(edges["source"]) == {"environment", "agent-0", "agent-1", "agent-2"}


def test_columns_become_data_frames(played: OpenedRun) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for frame in (played.episodes.to_pandas(), played.episodes.to_polars()):
        assert isinstance(frame, (pandas.DataFrame, polars.DataFrame))
        assert list(frame.columns) == ["episode", "agent", "return", "steps", "missing_actions", "agent_name"]
        assert frame["return"].to_list() == played.episodes["return"].tolist()


def test_a_column_that_is_not_there_is_missed_by_name_and_no_rows_are_no_error() -> None:
    empty = Columns.of(("episode", "agent"), [])
    assert empty.rows == 0
    with pytest.raises(KeyError, match="expected one of the columns episode, agent, found 'returns'"):
        empty["returns"]


def test_the_curve_is_drawn_on_axes_of_one_s_own(played: OpenedRun) -> None:
    axes = Figure().add_subplot()
    assert played.plot(axes) is axes
    team = played.episodes["return"].reshape(4, 3).sum(axis=1)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), team)


@pytest.mark.parametrize("begun", [True, False])
def test_the_curve_of_a_run_without_an_episode_yet_has_no_points(
    begun: bool, played: OpenedRun, tmp_path: Path
) -> None:
    shutil.copytree(played.folder, tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as database, database:
        database.executescript("DELETE FROM episodes;" if begun else "DELETE FROM episodes; DELETE FROM agents;")
    axes = load(tmp_path / "run").plot(Figure().add_subplot())
    assert [len(line.get_xdata()) for line in axes.lines] == [0] * (5 if begun else 2)


def test_a_policy_is_a_function_and_strangers_are_named(played: OpenedRun) -> None:
    policy = played.policy("agent-1")
    probabilities = policy(np.zeros((2, *policy.learned.observation_space.shape)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(UserError, match=r"an agent, agent-0, agent-1, agent-2, found 'agent-9'"):
        played.policy("agent-9")


@pytest.fixture(scope="module")
def sided(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    """A run whose environment calls its agents left, middle and right."""
    toy = {"kind": "pettingzoo", "env": "masked_toy", "observation": "own", "steps": 4, "options": {"by": "both"}}
    settings = {name: value for name, value in TINY.items() if name != "environment.steps"} | {"environment": toy}
    return simulate("exchange-quick", settings, episodes=2, out=tmp_path_factory.mktemp("sided") / "run")


def test_rows_are_found_by_what_the_environment_calls_an_agent_as_by_its_id(sided: OpenedRun) -> None:
    assert list(sided.names.by_id.values()) == ["left", "middle", "right"]
    for table in (sided.episodes, sided.rounds):
        assert table.where(agent="middle").rows == table.where(agent="agent-1").rows == table.rows / 3 > 0
        assert set(table.where(agent="middle")["agent_name"]) == {"middle"}
    for table in (sided.edges, sided.ledger):
        for column in ("source", "destination"):
            assert table.where(**{column: "left"}).rows == table.where(**{column: "agent-0"}).rows > 0
            assert table.where(**{column: "environment"}).rows > 0


def test_a_value_that_stands_in_a_column_is_found_whoever_it_is() -> None:
    names = AgentNames({"agent-0": "left"})
    table = Columns({"source": np.array(["agent-0", "unknown"])}, names)
    assert table.where(source="unknown").rows == 1


def test_who_is_nobody_of_the_run_is_refused_where_rows_are_looked_for(sided: OpenedRun) -> None:
    told = r"agent, left \(agent-0\), middle \(agent-1\), right \(agent-2\), found 'top'"
    with pytest.raises(UserError, match=told):
        sided.episodes.where(agent="top")
    with pytest.raises(UserError, match=told):
        sided.faults.where(source="top")
    with pytest.raises(UserError, match=told):
        sided.episodes.where(episode=0).where(agent="top")
    with pytest.raises(UserError, match=told):
        sided.policy("top")


def test_a_column_without_a_row_has_the_type_that_it_has_with_one(played: OpenedRun, sided: OpenedRun) -> None:
    assert sided.faults.rows == 0
    kinds = {name: array.dtype.kind for name, array in played.faults.items()}
    assert {name: array.dtype.kind for name, array in sided.faults.items()} == kinds
    assert set(kinds.values()) == {"i", "U"}


@pytest.mark.processes
def test_a_policy_is_evaluated_as_the_command_does(played: OpenedRun) -> None:
    found = evaluate(played, episodes=3, seed=5)
    said = subprocess.run(
        command("evaluate", str(played.folder), "--episodes", "3", "--seed", "5", "--json"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f'"curve_digest": "{found.curve_digest}"' in said.stdout


@pytest.mark.processes
def test_processes_are_run_to_the_digests_of_the_simulation(played: OpenedRun, tmp_path: Path) -> None:
    again = run(load_scenario("exchange-quick", TINY), seed=3, episodes=4, faults=LOSSES, out=tmp_path / "run")
    assert again.summary.curve_digest == played.summary.curve_digest
    assert again.summary.weights_digest == played.summary.weights_digest
    assert again.summary.substrate == "run"


@pytest.mark.processes
def test_a_run_over_mqtt_works_where_an_event_loop_runs_already_as_in_a_notebook(
    played: OpenedRun, tmp_path: Path
) -> None:
    need_mosquitto()
    settings = {**TINY, "transport.kind": "mqtt", "transport.mqtt.broker": "mosquitto"}

    async def cell() -> OpenedRun:
        return run("exchange-quick", settings, seed=3, episodes=4, faults=LOSSES, out=tmp_path / "run")

    assert asyncio.run(cell()).summary.curve_digest == played.summary.curve_digest


def test_ctrl_c_is_heard_in_an_event_loop_and_a_second_one_ends_at_once_what_does_not_listen_to_the_first() -> None:
    heard: list[str] = []

    def deaf(interrupted: Callable[[], bool]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        until(interrupted, "the first Ctrl-C")
        heard.append("first")
        os.kill(os.getpid(), signal.SIGINT)
        try:
            until(lambda: not interrupted(), "the second Ctrl-C")
        except KeyboardInterrupt:
            heard.append("second")
            raise

    async def cell() -> None:
        with interruptible() as interrupted:
            without_loop(deaf, interrupted)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(cell())
    assert heard == ["first", "second"]


def test_a_run_goes_on_to_more_episodes_with_the_digests_of_a_longer_one(tmp_path: Path) -> None:
    simulate("exchange-quick", TINY, episodes=2, out=tmp_path / "short")
    longer = simulate("exchange-quick", TINY, episodes=4, out=tmp_path / "long")
    assert resume(tmp_path / "short", episodes=4).summary.weights_digest == longer.summary.weights_digest
    with pytest.raises(UserError, match="is complete"):
        resume(tmp_path / "short")


def test_a_run_on_other_hosts_goes_on_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate("exchange-quick", TINY, episodes=2, out=tmp_path / "run")
    asked: list[object] = []
    monkeypatch.setattr(playing, "read_housing", lambda folder: folder.root)
    monkeypatch.setattr(
        playing, "way_for", lambda _name, housed, _asked: (asked.append(housed), way_called("simulate"))[1]
    )
    assert resume(tmp_path / "run", episodes=4).summary.episodes == 4
    assert asked == [tmp_path / "run"]


def test_a_run_that_was_killed_before_it_began_is_named(tmp_path: Path) -> None:
    simulate("exchange-quick", TINY, episodes=1, out=tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as database, database:
        database.execute("DELETE FROM document")
    with pytest.raises(UserError, match="was interrupted before the run had begun"):
        resume(tmp_path / "run", episodes=4)


def test_what_is_wrong_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"learning\.rounds"):
        simulate("exchange-quick", {"learning.rounds": "many"}, out=tmp_path / "run")
    with pytest.raises(UserError, match="holds no run"):
        load(tmp_path / "nowhere")


def test_a_document_is_given_as_a_mapping_or_as_another_run_has_it(played: OpenedRun, tmp_path: Path) -> None:
    document = played.scenario.model_dump(mode="json", exclude_none=True) | {"episodes": np.int64(9)}
    again = simulate(MappingProxyType(document), {"learning.rounds": 2}, episodes=4, out=tmp_path / "run")
    assert again.summary.weights_digest == played.summary.weights_digest
    assert document["episodes"] == 9
    with pytest.raises(UserError, match="is required"):
        simulate({"name": "x"})


def test_what_is_no_scenario_and_no_folder_is_named_by_its_type(played: OpenedRun) -> None:
    wanted = "expected the name of a scenario, the path of its file, or a document, found None of type NoneType"
    with pytest.raises(UserError, match=re.escape(wanted)):
        simulate(None)  # type: ignore[arg-type]
    for call in (resume, load, evaluate):
        with pytest.raises(UserError, match="expected a folder or a run, found 3 of type int"):
            call(3)  # type: ignore[operator]
        with pytest.raises(UserError, match="expected the path of a folder, found an empty one"):
            call("")  # type: ignore[operator]
    with pytest.raises(UserError, match="expected the path of a folder, found an empty one"):
        simulate("exchange-quick", TINY, out="")


def test_a_run_is_opened_and_gone_on_with_by_itself_as_by_its_folder(played: OpenedRun, tmp_path: Path) -> None:
    assert load(played).folder == played.folder
    assert resume(simulate("exchange-quick", TINY, episodes=1, out=tmp_path / "run"), episodes=2).summary.episodes == 2


def test_a_script_is_told_what_a_terminal_is_told_on_the_way(played: OpenedRun, tmp_path: Path) -> None:
    alone = TINY | {"algorithm.name": "independent"}
    run = simulate(
        "exchange-quick",
        alone,
        episodes=1,
        faults=[{"kind": "drop", "probability": 0.5}],
        out=tmp_path / "run",
        progress=False,
    )
    note = "fault drop: met no message in the whole run: nobody sent any share"
    assert run.notes == (note,)
    assert note in run._repr_html_()
    assert played.notes == load(run).notes == ()


def test_values_of_numpy_tuples_and_paths_are_settings(played: OpenedRun, tmp_path: Path) -> None:
    given = {
        **TINY,
        "learning.rounds": np.int64(2),
        "learning.hidden": np.array([5]),
        "exchange.skip_probability": np.float64(0.0),
        "transport.journal": np.bool_(False),
        "initial_policy.path": played.folder / "policy",
    }
    faults = tuple(MappingProxyType({**each, "episodes": (np.int32(1), np.int32(2))}) for each in LOSSES)
    plain = {**TINY, "initial_policy.path": str(played.folder / "policy")}
    again = simulate("exchange-quick", given, seed=np.int64(3), episodes=np.int64(4), faults=faults, out=tmp_path / "a")
    wanted = simulate("exchange-quick", plain, seed=3, episodes=4, faults=LOSSES, out=tmp_path / "b")
    assert again.summary.weights_digest == wanted.summary.weights_digest
    assert resume(again.folder, episodes=np.int64(5)).summary.episodes == 5
    found = evaluate(played, episodes=np.int64(2), seed=np.int64(1), settings={"environment.steps": np.int8(4)})
    assert found.curve_digest == evaluate(played, episodes=2, seed=1).curve_digest


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"learning.hidden": {8}},
            "learning.hidden: expected text, a number, a list or a table, found a value of type set",
        ),
        ({"learning": {"hidden": [{8}]}}, "learning.hidden[0]: expected text, a number"),
        ({"seed": 1j}, "seed: expected text, a number, a list or a table, found a value of type complex"),
        ({"seed": np.array([1, 1j])}, "seed[0]: expected text, a number"),
        ({"learning.hidden": np.longdouble(1)}, "learning.hidden: expected text, a number"),
        ({"initial_policy.path": b"x"}, "found a value of type bytes"),
        ({3: 4}, "settings: expected the name of a setting as text, found 3 of type int"),
        ({"learning": {3: 4}}, "learning: expected the name of a setting as text, found 3 of type int"),
        ([("seed", 1)], "settings: expected a mapping of values by dotted path, found list"),
        ({"learning.hidden": ENDLESS}, "expected at most 32 lists and tables inside one another, found more"),
    ],
)
def test_what_no_document_holds_is_refused_by_its_path(settings: Any, said: str, played: OpenedRun) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        simulate("exchange-quick", settings)
    with pytest.raises(UserError, match=re.escape(said)):
        evaluate(played, settings=settings)


def episodes_of(out: Path) -> int:
    try:
        return load(out).episodes.rows
    except UserError:
        return 0  # its store is not there yet


INTERRUPTED = """\
import ast
import sys
from scenarios.api import simulate

try:
    simulate("exchange-quick", ast.literal_eval(sys.argv[2]), episodes=100_000, out=sys.argv[1], progress=True)
except KeyboardInterrupt as stopped:
    print(stopped)
"""


@pytest.mark.processes
def test_ctrl_c_keeps_what_was_played_and_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = [sys.executable, "-c", INTERRUPTED, str(out), repr(TINY)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: episodes_of(out) > 0, "an episode")
            os.kill(process.pid, signal.SIGINT)
            printed, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert f"go on with scenarios.api.resume({str(out)!r})" in printed
    found = load(out)
    assert not found.summary.complete
    assert found.episodes.rows == 3 * found.summary.episodes > 0


def ctrl_c_while_it_ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Press Ctrl-C whenever all episodes are played and the end is not told yet; gives whoever was interrupted so."""
    pressed: list[str] = []

    def press(_plan: object, folder: RunFolder, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        pressed.append(str(folder.root))

    monkeypatch.setattr(one_run, "evaluate_training", press)
    return pressed


def test_ctrl_c_at_the_very_end_of_a_run_ends_the_loop_that_plays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed = ctrl_c_while_it_ends(monkeypatch)
    out = tmp_path / "run-1"

    def loop() -> None:
        for seed in (1, 2, 3):
            simulate("exchange-quick", TINY, seed=seed, episodes=2, out=tmp_path / f"run-{seed}")

    with pytest.raises(KeyboardInterrupt) as stopped:
        loop()
    assert pressed == [str(out)]
    told = f"after 2 of 2 episodes; nothing is left to play: scenarios.api.load({str(out)!r})"
    assert str(stopped.value) == told
    assert load(out).summary.complete


def test_ctrl_c_in_an_evaluation_names_no_folder_that_is_gone(
    played: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctrl_c_while_it_ends(monkeypatch)
    with pytest.raises(KeyboardInterrupt, match=r"^after 2 of 2 episodes; nothing of it is kept$"):
        evaluate(played, episodes=2)


def test_a_notebook_shows_the_figures(played: OpenedRun) -> None:
    shown = played._repr_html_()
    assert played.summary.curve_digest in shown
    assert "<td>exchange-quick</td>" in shown


def test_the_door_opens_on_names_that_are_there_and_explained() -> None:
    source = ast.parse(Path(door.__file__).read_text())
    imported = {name.name for node in ast.walk(source) if isinstance(node, ast.ImportFrom) for name in node.names}
    assert imported == set(door.__all__)
    assert all(getattr(door, name).__doc__ for name in door.__all__)
