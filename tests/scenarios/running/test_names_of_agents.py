"""Agents are told of by the environment's names, beside their ids, everywhere and on every substrate."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from matplotlib.figure import Figure
from pettingzoo import ParallelEnv
from runs import TINY, foretell, simulate_here
from tensorboard.compat.proto.event_pb2 import Event
from thread_nodes import in_threads

from broker.errors import ForetellError, LedgerMismatch, ParticipantDied, UserError
from broker.wire.records import EndingRecord, Fate
from scenarios.commands.main import foretell as commands
from scenarios.document.agent_names import AgentNames
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder, held, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_run
from scenarios.results.store import Store
from scenarios.running.control.live_requests import add
from scenarios.running.control.run import run
from scenarios.running.launched.launch import launched
from scenarios.running.simulated.simulate import simulated
from scenarios.running.substrate import Way
from scenarios.running.ways import WayName

WAYS: dict[str, Way] = {"simulated": simulated, "launched": launched(in_threads)}
SUBSTRATES: dict[str, WayName] = {"simulated": "simulate", "launched": "run"}
HOSTILE = ("\x1b[2J[/a] $x_1$\nfoe", "_hidden", 7, "7", "x" * 5000, "agent-0", "", "狼\ud800\u202e|")
SHOWN = ("[2J[/a] $x_1$ foe", "_hidden", "7", "7", "x" * 60 + "...", "agent-0", "''", "狼 |")
IDS = tuple(f"agent-{number}" for number in range(len(HOSTILE)))
TOLD = tuple(f"{name} ({agent})" for agent, name in zip(IDS, SHOWN, strict=True))
CRASH = {"kind": "crash", "participants": ["_hidden"], "at_episodes": [1]}
ALL_LOST = {"kind": "drop", "probability": 1.0, "messages": ["timestep"], "destination": "_hidden"}
SMALL = {
    "environment": {"kind": "pettingzoo", "env": "named", "observation": "own", "steps": 2},
    "topology": {"kind": "ring"},
    "episodes": 2,
    "parallel_episodes": 1,
    "learning.hidden": [4],
    "learning.rounds": 1,
}


class Named(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Agents whose names are what somebody made them."""

    metadata: ClassVar[dict[str, str]] = {"name": "named_v0"}
    possible_agents: ClassVar[list[object]] = [*HOSTILE]

    def __init__(self) -> None:
        self.agents: list[object] = []

    def observation_space(self, _agent: object) -> Box:
        return Box(-1, 1, (2,))

    def action_space(self, _agent: object) -> Discrete:
        return Discrete(2)

    def reset(self, seed: int | None = None, options: object = None) -> Any:
        self.agents = list(self.possible_agents)
        return self.seen(), {}

    def step(self, actions: dict[object, int]) -> Any:
        return self.seen(), {agent: float(action) for agent, action in actions.items()}, {}, {}, {}

    def seen(self) -> dict[object, Any]:
        return {agent: np.zeros(2, np.float32) for agent in self.agents}


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes an environment with agents of these names."""

    def called(*names: object) -> None:
        module = ModuleType("named")
        module.parallel_env = type("Called", (Named,), {"possible_agents": [*names]})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "named", module)

    called(*HOSTILE)
    return called


def played(root: Path, way: str, **settings: Any) -> tuple[RunFolder, list[str]]:
    plan = make_plan(load_scenario("exchange-quick", SMALL | settings))
    folder, notes = make_run_folder(root / way, "small", 1), list[str]()
    observer = Observer(plan, folder, SUBSTRATES[way], lambda _: None, notes.append)
    try:
        run(plan, folder, observer, WAYS[way], lambda: False)
    finally:
        observer.finish()
    return folder, notes


@pytest.fixture
def finished(tmp_path: Path, named: object) -> Path:
    """A run's folder."""
    return played(tmp_path, "simulated")[0].root


def simulated_from_the_command_line(root: Path, *, drawn: bool = False, **settings: Any) -> None:
    document = load_scenario("exchange-quick", SMALL | settings).to_toml()
    path = root / "named.toml"
    path.write_text(document, encoding="utf-8")
    simulate_here(root / "run", str(path), drawn=drawn)


@pytest.mark.parametrize("way", WAYS)
def test_store_summary_and_notes_have_the_names_on_every_substrate(tmp_path: Path, named: object, way: str) -> None:
    folder, notes = played(tmp_path, way, faults=[CRASH])
    with read_store(folder.store) as store:
        assert store.agent_names().by_id == dict(zip(IDS, SHOWN, strict=True))
        assert [strike.participant for strike in store.strikes()] == ["agent-1"], "the store holds ids"
        assert store.lives()[1].why.startswith("agent-1 died: ")
    figures = json.loads(folder.summary.read_text(encoding="utf-8"))
    assert figures["agent_names"] == dict(zip(IDS, SHOWN, strict=True))
    assert list(figures["per_agent_return_last"]) == [*IDS]
    assert any(note.startswith("fault crash at episode 1: _hidden (agent-1) killed with -9") for note in notes)
    assert any(note.startswith("_hidden (agent-1) died: ") for note in notes)


def tags(folder: RunFolder) -> Iterator[str]:
    """Of all scalars in the TensorBoard file: length, checksum, protobuf, checksum."""
    (file,) = folder.tensorboard.iterdir()
    data = file.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield from (value.tag for value in Event.FromString(data[12 : 12 + length]).summary.value)
        data = data[12 + length + 4 :]


def test_tensorboard_has_a_curve_for_each_agent_by_name_even_where_two_have_the_same(finished: Path) -> None:
    found = set(tags(RunFolder(finished)))
    assert {tag for tag in found if tag.startswith("return/")} == {"return/team", *(f"return/{told}" for told in TOLD)}


def test_export_has_a_column_of_names_beside_that_of_ids(finished: Path, capfdbinary: Any) -> None:
    commands(["export", str(finished), "--format", "csv"], standalone_mode=False)
    sys.stdout.flush()
    rows = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert [(row["agent"], row["agent_name"]) for row in rows] == [*zip(IDS, SHOWN, strict=True)] * 2
    assert read_run(finished).names == AgentNames.of(len(SHOWN), SHOWN)


@pytest.mark.parametrize("words", [("report",), ("ledger", "--edges")], ids=" ".join)
def test_tables_tell_names_as_text(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    commands([words[0], str(finished), *words[1:]], standalone_mode=False)
    text = capsys.readouterr().out
    for told in TOLD:
        assert told in text
        assert words[0] == "report" or f" {told}->environment " in text
    assert "\x1b[2J" not in text


def test_causes_in_the_ledger_tell_names(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(RunFolder(finished).store, IDS)
    late = EndingRecord("agent-1", "agent-2", "share", 0, 0, 0, Fate.REJECTED, "agent-1 said nothing")
    store.write([late])
    store.close()
    commands(["ledger", str(finished)], standalone_mode=False)
    assert "_hidden (agent-1) said nothing" in capsys.readouterr().out


@pytest.mark.filterwarnings("error")
def test_the_learning_curve_has_a_legend_of_names_as_text(
    tmp_path: Path, named: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    legends: list[list[str]] = []
    save = Figure.savefig

    def spy(figure: Figure, *arguments: Any, **options: Any) -> None:
        save(figure, *arguments, **options)
        legend = figure.axes[0].get_legend()
        assert legend is not None
        legends.append([text.get_text() for text in legend.get_texts() if not text.get_parse_math()])

    monkeypatch.setattr(Figure, "savefig", spy)
    simulated_from_the_command_line(tmp_path, drawn=True)
    assert legends == [["team (sum over agents)", *TOLD]]


def test_the_screen_of_a_run_says_who_is_who_and_what_each_gained(
    tmp_path: Path, named: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named("wolf", "sheep", "dog")
    monkeypatch.setenv("COLUMNS", "200")
    simulated_from_the_command_line(tmp_path)
    output = capsys.readouterr()
    assert "agents: wolf (agent-0), sheep (agent-1), dog (agent-2)" in output.err
    own = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))["per_agent_return_last"]
    assert f"wolf (agent-0) {own['agent-0']:.2f}, sheep (agent-1) {own['agent-1']:.2f}, dog (agent-2)" in output.out


def test_own_tasks_are_told_of_by_their_ids_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "1", *TINY)
    output = capsys.readouterr()
    assert "per agent, last  agent-0 " in output.out
    assert "(agent-" not in output.out + output.err
    assert "agents: " not in output.err
    assert figures["agent_names"] == {agent: agent for agent in IDS[:3]}


def test_why_says_who_waits_for_whom_by_name(tmp_path: Path, named: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ForetellError):
        played(tmp_path, "simulated", faults=[ALL_LOST])
    store = Store(tmp_path / "simulated" / "run.sqlite", IDS)
    store.begin_life(-1, "agent-1 died: it hung")
    store.close()
    commands(["why", str(tmp_path / "simulated")], standalone_mode=False)
    assert re.search(r"^life \d+: _hidden \(agent-1\) died: it hung", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("way", WAYS)
def test_an_error_that_ends_a_run_tells_names(tmp_path: Path, named: object, way: str) -> None:
    fail = {"faults": [CRASH], "recovery.on_crash": "fail"}
    with pytest.raises(ParticipantDied, match=r"^_hidden \(agent-1\) died: signal SIGKILL") as caught:
        played(tmp_path, way, **fail)
    assert caught.value.participant == "agent-1"


def test_faults_that_are_not_those_asked_for_are_told_with_names(
    tmp_path: Path, named: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "fault rain: struck 1 of 9 times on agent-1->environment"
    monkeypatch.setattr("scenarios.api.one_run.mismatches", lambda *_: [sentence])
    with pytest.raises(LedgerMismatch) as caught:
        simulated_from_the_command_line(tmp_path)
    assert caught.value.sentences == ["fault rain: struck 1 of 9 times on _hidden (agent-1)->environment"]


def test_check_says_whose_neighbor_each_is_by_name(
    tmp_path: Path, named: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "named.toml"
    path.write_text(load_scenario("exchange-quick", SMALL).to_toml(), encoding="utf-8")
    commands(["check", "--no-play", str(path)], standalone_mode=False)
    text = capsys.readouterr().out
    assert "# _hidden (agent-1): [2J[/a] $x_1$ foe (agent-0), 7 (agent-2)\n" in text
    assert load_scenario(str(_written(tmp_path / "checked.toml", text))) == load_scenario(str(path))


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("way", WAYS)
def test_agents_in_another_order_than_planned_end_the_run_before_anything_is_recorded_of_the_wrong_one(
    tmp_path: Path, named: Callable[..., None], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    named("wolf", "sheep", "dog")
    plan = make_plan(load_scenario("exchange-quick", SMALL))
    named("sheep", "wolf", "dog")
    folder = make_run_folder(tmp_path / way, "small", 1)
    observer = Observer(plan, folder, SUBSTRATES[way], lambda _: None)
    sentence = "environment: its agents are sheep, wolf, dog, and were wolf, sheep, dog when the run was planned"
    with pytest.raises(ForetellError, match=sentence):
        run(plan, folder, observer, WAYS[way], lambda: False)
    assert observer.finish().episodes == 0


def test_a_run_whose_environment_has_other_agents_now_is_not_gone_on_with(
    tmp_path: Path, named: Callable[..., None]
) -> None:
    named("wolf", "sheep", "dog")
    folder, _ = played(tmp_path, "simulated")
    named("sheep", "wolf", "dog")
    plan = make_plan(load_scenario("exchange-quick", SMALL))
    with pytest.raises(
        UserError, match="was begun with the agents wolf, sheep, dog; its environment has now sheep, wolf"
    ):
        Observer(plan, folder, "simulate", lambda _: None)


def test_a_fault_that_is_added_to_a_run_may_name_agents_by_either(tmp_path: Path, named: object) -> None:
    plan = make_plan(load_scenario("exchange-quick", SMALL | {"episodes": 1_000_000}))
    folder = make_run_folder(tmp_path / "run", "small", 1)
    with held(folder):
        observer = Observer(plan, folder, "simulate", lambda _: None)
        storm = ("kind=drop", "name=storm", "probability=1.0", "agents=['_hid*']")
        adding = threading.Thread(target=add, args=(folder.root, storm))
        adding.start()
        run(plan, folder, observer, simulated, lambda: not adding.is_alive())
        adding.join()
        (fault,) = observer.live_faults()
        observer.finish()
    assert fault.document is not None
    assert json.loads(fault.document)["agents"] == ["agent-1"]


@pytest.mark.processes
@pytest.mark.long
def test_an_environment_of_mpe_is_told_of_by_its_names_when_it_runs_as_processes(tmp_path: Path) -> None:
    pytest.importorskip("mpe2")
    path = tmp_path / "adversary.toml"
    options = {"N": 2, "continuous_actions": False}
    environment = {"kind": "pettingzoo", "env": "mpe2.simple_adversary_v3", "steps": 3, "options": options}
    crash = {"kind": "crash", "participants": ["adversary_*"], "at_episodes": [1]}
    scenario = load_scenario("exchange-quick", SMALL | {"environment": environment, "faults": [crash]})
    path.write_text(scenario.to_toml(), encoding="utf-8")
    done = foretell("run", str(path), "--out", str(tmp_path / "run"), COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "fault crash at episode 1: adversary_0 (agent-0) killed with -9" in done.stderr
    assert "per agent, last  adversary_0 (agent-0) " in done.stdout
    figures = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert figures["agent_names"] == {"agent-0": "adversary_0", "agent-1": "agent_0", "agent-2": "agent_1"}
    log = (tmp_path / "run" / "logs" / "environment.log").read_text(encoding="utf-8")
    assert "agents: agent-0 is adversary_0, agent-1 is agent_0, agent-2 is agent_1" in log
