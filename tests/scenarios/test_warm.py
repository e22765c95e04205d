"""What the tests take for a run of the command is one: forked from a process with the imports, or started afresh."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from batches import forking
from runs import TINY, children_of, foretell, foretell_afresh, participant_pid, recorded, start, summary, until

from scenarios.running.procfs import is_alive

pytestmark = pytest.mark.processes

FIGURES = ("curve_digest", "weights_digest", "ledger_digest", "shares_heard", "episodes", "complete", "substrate")


def test_a_forked_command_leaves_and_says_what_a_fresh_one_does(tmp_path: Path) -> None:
    arguments = ("run", "exchange-quick", "--episodes", "3", *TINY, "--out", "out")
    found = []
    for name, run in (("forked", foretell), ("fresh", foretell_afresh)):
        (tmp_path / name).mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path / name)
            done = run(*arguments, COLUMNS="100")
        assert done.returncode == 0, done.stderr
        out = tmp_path / name / "out"
        files = {path.relative_to(out).as_posix() for path in out.rglob("*") if "events" not in path.name}
        said = [line for line in done.stdout.splitlines() if not line.startswith("speed")]
        found.append((files, said, {figure: summary(out)[figure] for figure in FIGURES}))
    assert found[0] == found[1]


def test_its_exit_codes_and_refusals_are_those_of_the_command(tmp_path: Path) -> None:
    arguments = ("run", "exchange-quick", "--set", "learning.wat=1", "--out", str(tmp_path / "run"))
    forked, fresh = foretell(*arguments), foretell_afresh(*arguments)
    assert (forked.returncode, forked.stdout, forked.stderr) == (2, fresh.stdout, fresh.stderr)


def test_it_leads_a_session_of_its_own_in_the_folder_of_the_test_and_can_be_ended_at_once(tmp_path: Path) -> None:
    with start("run", "exchange-quick", "--episodes", "100000", *TINY, "--out", str(tmp_path / "run")) as run:
        until(lambda: (Path("/proc") / str(run.pid) / "cwd").readlink() == Path.cwd(), "the folder of the test")
        assert os.getsid(run.pid) == run.pid != os.getsid(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_as_the_command_does_and_leaves_nobody(tmp_path: Path, number: signal.Signals) -> None:
    with start("run", "exchange-quick", "--episodes", "100000", *TINY, "--out", str(tmp_path / "run")) as run:
        until(lambda: len(children_of(run.pid)) >= 5, "a fork server and its participants")
        children = children_of(run.pid)
        os.kill(run.pid, number)
        _, said = run.communicate()
    assert run.returncode == (130 if number == signal.SIGINT else -number), said
    until(lambda: not any(map(is_alive, children)), "the end of all processes")


def test_what_was_called_by_a_program_that_is_killed_ends_with_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [forking(), "run", "exchange-quick", "--episodes", "100000", *TINY, "--out", str(out)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as called:
        until(lambda: recorded(out) > 0, "an episode")
        environment = participant_pid(out, "environment")
        called.kill()
    until(lambda: not is_alive(environment), "the end of its processes")
