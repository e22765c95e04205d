"""`foretell` as a user meets it: a process with arguments, an exit code, and what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib

import pytest
import runs
from limits import LIMIT_S

from agent_node.config import AgentConfig
from broker.arithmetic.version import ARITHMETIC
from broker.release import FORETELL
from env_service.config import ServiceConfig
from scenarios.document.loading import catalogue_names, load_scenario, parse_scenario
from scenarios.results.folder import RunFolder

pytestmark = pytest.mark.processes

TINY = [
    *("exchange-quick", "--set", "parallel_episodes=2", "--set", "learning.rounds=2", "--set", "learning.hidden=[8]"),
    *("--set", "environment.steps=5"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, in which one works."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture
def foretell(here):
    """Runs `foretell` in an empty folder."""
    return lambda *arguments: runs.foretell(*map(str, arguments))


@pytest.fixture
def foretell_afresh(here):
    """The same in an interpreter of its own, as a user does."""
    return lambda *arguments: runs.foretell_afresh(*map(str, arguments))


def refusal(result, code=2):
    """The one sentence of a refused command."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    [line] = [line for line in result.stderr.splitlines() if line.startswith("foretell: ")]
    if code == 2:
        assert result.stderr == f"{line}\n"
        assert result.stdout == ""
    return line.removeprefix("foretell: ")


def said_by_python(code, *arguments):
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, timeout=LIMIT_S
    )
    return result.stderr.splitlines()[-1]


# Help


def test_the_version_names_the_arithmetic_and_the_kernels_in_use(foretell_afresh):
    done = foretell_afresh("--version")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"foretell, version {FORETELL}, arithmetic {ARITHMETIC}, kernels \w+\n", done.stdout)


def test_help_names_the_commands(foretell_afresh):
    result = foretell_afresh("--help")
    assert result.returncode == 0
    for command in ("list", "check", "run", "simulate", "study", "report", "export", "bench"):
        assert re.search(rf"^  {command} ", result.stdout, re.MULTILINE), command
    assert "neighbors" in result.stdout


def test_help_of_a_command_names_its_options(foretell):
    result = foretell("simulate", "-h")
    assert result.returncode == 0
    for option in ("--seed", "--episodes", "--set", "--out"):
        assert option in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "exchange-quick", "--bogus"], "No such option '--bogus'"),
        (["check", "exchange-quick", "--seed", "many"], "'many' is not a valid integer"),
        (["check"], "Missing argument 'SCENARIO'"),
        (["simulate", "--bogus"], "No such option '--bogus'"),
        (["dance"], "No such command 'dance'"),
    ],
    ids=str,
)
def test_wrong_usage_is_told_with_a_way_to_help(foretell, arguments, said):
    result = foretell(*arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert "--help" in result.stderr
    assert "Traceback" not in result.stderr


# Imports


def test_the_command_line_itself_is_light():
    code = """
import sys
import scenarios.commands.main
print(sorted({"torch", "numpy", "matplotlib", "zmq", "pydantic"} & set(sys.modules)), file=sys.stderr)
"""
    assert said_by_python(code) == "[]"


def test_check_does_without_torch_and_matplotlib():
    code = """
import sys
from scenarios.commands.main import main
main()
print(sorted({"torch", "matplotlib"} & set(sys.modules)), file=sys.stderr)
"""
    assert said_by_python(code, "check", "exchange-quick") == "[]"


def test_the_launcher_does_without_torch_and_matplotlib():
    code = """
import sys
import scenarios.commands.main, scenarios.running.launched.launch, scenarios.commands.terminal
print(sorted({"torch", "matplotlib"} & set(sys.modules)), file=sys.stderr)
"""
    assert said_by_python(code) == "[]"


# list, check


def test_list_shows_every_scenario_with_its_description(foretell_afresh):
    result = foretell_afresh("list")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == catalogue_names()
    column = 1 + max(map(len, catalogue_names()))
    for line, name in zip(lines, catalogue_names(), strict=True):
        assert line == f"{name:{column}}{load_scenario(name).description}"
    assert "(needs `pip install 'foretell[mpe]'`)" in result.stdout, "a shell may take [mpe] for a pattern"


def test_check_prints_a_document_that_is_the_same_scenario_and_the_edges(foretell):
    settings = {"topology.kind": "line", "environment.agents": 4, "algorithm.name": "independent"}
    assignments = [argument for path, value in settings.items() for argument in ("--set", f"{path}={value}")]
    result = foretell("check", "exchange-quick", "--seed", "99", "--episodes", "12", *assignments)
    assert (result.returncode, result.stderr) == (0, "")
    expected = load_scenario("exchange-quick", settings | {"seed": 99, "episodes": 12})
    assert parse_scenario(result.stdout, {}) == expected
    lines = result.stdout.splitlines()
    assert lines[lines.index("# edges per agent") + 1 :][:4] == [
        "# agent-0: agent-1",
        "# agent-1: agent-0, agent-2",
        "# agent-2: agent-1, agent-3",
        "# agent-3: agent-2",
    ]
    assert "# 4 agents, 6 directed edges, observations of 20 numbers" in lines


def test_check_shows_of_many_neighbors_how_many_they_are(foretell):
    whole = foretell("check", "predation-6", "--set", "environment.agents=200").stdout
    assert "# all are neighbors of all\n# 200 agents, 39800 directed edges" in whole
    assert "# agent-0:" not in whole
    star = foretell("check", "predation-6", "--set", "environment.agents=13", "--set", "topology={kind='star'}").stdout
    assert f"# agent-0: {', '.join(f'agent-{number}' for number in range(1, 11))} and 2 more\n" in star
    assert "# agent-12: agent-0\n" in star


def test_check_notes_a_graph_in_parts_and_leaves_nothing_behind(foretell, tmp_path):
    edges = '[["agent-0","agent-1"],["agent-2","agent-3"]]'
    settings = ["--set", "topology.kind=edges", "--set", f"topology.edges={edges}", "--set", "environment.agents=4"]
    result = foretell("check", "exchange-quick", *settings)
    assert "# note: the graph falls into 2 parts that never exchange anything" in result.stdout
    assert list((tmp_path / "here").iterdir()) == []


def test_check_writes_each_participants_slice(foretell, tmp_path):
    result = foretell("check", "exchange-quick", "--set", "topology.kind=line", "--slices", "deep/slices")
    assert (result.returncode, result.stderr) == (0, "")
    folder = tmp_path / "here" / "deep" / "slices"
    names = ["agent-0", "agent-1", "agent-2", "environment"]
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.json" for name in names]
    slices = {
        name: (ServiceConfig if name == "environment" else AgentConfig).model_validate_json(
            (folder / f"{name}.json").read_text()
        )
        for name in names
    }
    assert {name: slice_.link.name for name, slice_ in slices.items()} == {name: name for name in names}
    assert slices["agent-0"].link.peers == ("environment", "agent-1")
    assert set(slices["agent-0"].link.addresses) == {"agent-0", "agent-1", "environment"}
    assert set(slices["environment"].link.addresses) == set(names)
    for slice_ in slices.values():
        for who, address in slice_.link.addresses.items():
            assert slices[who].link.addresses[who] == address


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_check_refuses_keys_as_run_does(foretell, tmp_path, mode):
    beyond = ["--set", "transport.zeromq.scheme=tcp", "--set", "transport.zeromq.host=192.0.2.1"]
    words = [*TINY, "--set", f"transport.security.mode={mode}", "--set", "transport.security.keys=nokeys", *beyond]
    said = refusal(foretell("check", *words))
    assert said.startswith("expected keys of one `foretell keys` in nokeys, found none that say for which run")
    assert foretell("run", *words, "--episodes", "1", "--out", str(tmp_path / "out")).stderr.endswith(f"{said}\n")
    assert not (tmp_path / "out").exists()
    assert foretell("keys", *words, "--out", "nokeys").returncode == 0
    assert foretell("check", *words).returncode == 0


def test_check_says_of_slices_that_meet_at_sockets_of_this_host_that_no_other_can_take_part(foretell):
    alone = "# they meet at sockets of this host, so no other host can take part"
    assert alone in foretell("check", "exchange-quick", "--slices", "slices").stdout
    network = ("--set", "transport.zeromq.scheme=tcp", "--slices", "others")
    assert alone not in foretell("check", "exchange-quick", *network).stdout


def test_what_check_prints_stays_a_document_with_slices(foretell):
    result = foretell("check", "exchange-quick", "--slices", "slices")
    tomllib.loads(result.stdout)


def test_slices_that_cannot_be_written_are_one_sentence(foretell, tmp_path):
    (tmp_path / "here" / "file").write_text("")
    result = foretell("check", "exchange-quick", "--slices", "file")
    assert result.returncode == 2
    assert result.stderr == "foretell: cannot write slices to file: File exists\n"


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback_or_another_exit_code(foretell, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "scenarios.commands.main", "check", "exchange-quick"],
        check=False,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
    )
    os.close(writer)
    assert result.returncode == 0
    assert result.stderr == ""


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "no scenario and no file is called 'nope'. `foretell list` shows the catalogue."),
        (["exchange-quick", "--set", "learning.wat=1"], "learning.wat: there is no such setting. "),
        (["exchange-quick", "--set", "learning.rounds=many"], "learning.rounds: expected a valid integer, "),
        (["exchange-quick", "--set", "environment.kind=chess"], "environment"),
        (["exchange-quick", "--set", "learning.rounds"], "--set expects path=value (such as learning.rounds=5), found"),
        (["exchange-quick", "--episodes", "0"], "episodes: expected greater than or equal to 1, found 0"),
        (
            ["exchange-quick", "--set", "topology.kind=edges", "--set", 'topology.edges=[["agent-0","agent-1"]]'],
            "topology.edges: every agent needs a neighbor, found none for agent-2",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_in_a_scenario_is_one_sentence_and_exit_code_2(foretell, arguments, said):
    assert refusal(foretell("check", *arguments)).startswith(said)


def test_run_refuses_a_scenario_just_like_check(foretell_afresh, tmp_path):
    said = refusal(foretell_afresh("run", "exchange-quick", "--set", "learning.wat=1"))
    assert said.startswith("learning.wat: there is no such setting")
    assert list((tmp_path / "here").iterdir()) == []


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(foretell, tmp_path):
    held = tmp_path / "held"
    held.mkdir()
    (held / "summary.json").write_text("precious")
    said = refusal(foretell("simulate", *TINY, "--episodes", "1", "--out", held))
    assert said == f"{held} holds a run already. Choose another --out, or remove it."
    assert [(path.name, path.read_text()) for path in held.iterdir()] == [("summary.json", "precious")]


@pytest.mark.parametrize(
    "command", [["simulate", *TINY], ["run", *TINY], ["twin", *TINY], ["study", "theory"]], ids=str
)
def test_a_variable_that_is_not_set_is_no_place_to_write_to(foretell, tmp_path, command):
    mine = tmp_path / "here" / "scenario.toml"
    mine.write_text("mine")
    result = foretell(*command, "--out", "")
    assert result.returncode == 2
    assert "Invalid value for '--out': expected a path, found an empty one" in result.stderr
    assert [(path.name, path.read_text()) for path in mine.parent.iterdir()] == [("scenario.toml", "mine")]


# simulate


def test_simulate_runs_and_leaves_its_files(foretell_afresh, tmp_path):
    out = tmp_path / "out"
    result = foretell_afresh("simulate", *TINY, "--episodes", "3", "--out", out)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    files = {path.name for path in out.iterdir()}
    assert files >= {"scenario.toml", "run.sqlite", "summary.json", "learning_curve.png", "tensorboard", "logs"}
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["complete"], summary["episodes"], summary["rounds"]) == (True, 3, 6)
    assert (summary["substrate"], summary["scenario"], summary["seed"]) == ("simulate", "exchange-quick", 1)
    assert summary["shares_sent"] == summary["shares_heard"] == 3 * 2 * 6
    assert (summary["shares_missing"], summary["shares_late"], summary["rejected"]) == (0, 0, 0)
    assert parse_scenario((out / "scenario.toml").read_text(), {}).learning.hidden == (8,)
    assert summary["curve_digest"][:16] in result.stdout
    assert "36 sent, 36 heard, 0 missing, 0 late" in result.stdout
    assert "first and last tenth of 3 episodes" in " ".join(result.stdout.split())
    store = sqlite3.connect(out / "run.sqlite")
    assert store.execute("SELECT COUNT(*), COUNT(DISTINCT agent) FROM episodes").fetchone() == (9, 3)
    assert store.execute("SELECT COUNT(*) FROM rounds").fetchone() == (18,)
    store.close()
    assert list((tmp_path / "here").iterdir()) == []


def test_where_the_results_are_is_printed_so_that_it_can_be_copied(foretell, tmp_path):
    out = tmp_path / "studies" / "anticipation-sharing-exchange-rho-8-seed-1" / "[old]" / "second-try"
    result = foretell("simulate", *TINY, "--episodes", "1", "--out", out)
    assert result.returncode == 0
    assert str(out / "learning_curve.png") in result.stdout


def test_a_run_that_gives_up_says_who_waits_and_keeps_what_it_had(foretell, tmp_path):
    out = tmp_path / "out"
    deaf = 'faults=[{kind="drop", probability=1.0, messages=["timestep"], destination="agent-1"}]'
    result = foretell("simulate", *TINY, "--set", deaf, "--out", out)
    said = refusal(result, code=3)
    assert said.startswith(
        "environment died: exit code 1 (environment in STEPPING (episode 0) waits for the action of step 0 from "
        "agent-1, silent for"
    )
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["complete"], summary["episodes"]) == (False, 0)
    assert summary["faults_applied"] > 1


def test_ctrl_c_ends_a_simulation_in_order(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "scenarios.commands.main", "simulate", *TINY, "--episodes", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    folder = RunFolder(tmp_path / "runs" / "exchange-quick-seed1-1")
    try:
        wait_for_the_first_episodes(folder.store, process)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stdout + stderr
    summary = json.loads(folder.summary.read_text())
    assert summary["complete"] is False
    assert summary["episodes"] > 0
    said = [line for line in stderr.splitlines() if line.startswith("foretell: ")]
    assert said == [f"foretell: interrupted after {summary['episodes']} of 1000000 episodes"]
    store = sqlite3.connect(folder.store)
    assert store.execute("SELECT COUNT(*) FROM episodes").fetchone() == (3 * summary["episodes"],)
    store.close()


def wait_for_the_first_episodes(store, process):
    """Polls the store, as anybody may while a run goes on."""
    give_up_at = time.monotonic() + LIMIT_S
    while time.monotonic() < give_up_at:
        assert process.poll() is None, process.stderr.read()
        if store.exists():
            database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
            try:
                if database.execute("SELECT COUNT(*) FROM episodes").fetchone()[0]:
                    return
            except sqlite3.OperationalError:
                pass  # its tables are being made
            finally:
                database.close()
        time.sleep(0.02)
    pytest.fail(f"no episode in {LIMIT_S} s")
