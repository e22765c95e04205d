"""An environment of one's own, as a user meets it: tried by `check`, heard in its log, and the same when resumed."""

from __future__ import annotations

import json
import os
import signal
import tomllib
from pathlib import Path

import pytest
from runs import children_of, foretell, start, summary, until

from env_service.config import ServiceConfig

pytestmark = pytest.mark.processes

SOURCE = """
import atexit, os, signal, sys, time
from pathlib import Path

HERE = Path(__file__).parent

def say(when):
    print("LOUD", when)
    print("LOUD stderr", when, file=sys.stderr)
    os.write(1, b"LOUD raw\\n")
    os.system("echo LOUD child")
    print("LOUD unfinished", end=" ", flush=True)

LOUD = (HERE / "loud").exists()
if LOUD:
    say("import")
    atexit.register(print, "LOUD exit")
    atexit.register(os.write, 2, b"LOUD exit")

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

class parallel_env(ParallelEnv):
    metadata = {"name": "mine_v0"}
    possible_agents = ["a", "b"]
    agents = []

    def __init__(self, broken=""):
        self.broken, self.episode = broken, -1
        if LOUD:
            say("made")

    def observation_space(self, agent):
        return Box(-9, 9, (2,))

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        self.episode += 1
        if LOUD:
            say("reset")
        if self.broken == "hangs":
            (HERE / "hangs").touch()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            while True:
                try:
                    time.sleep(1)
                except BaseException:
                    pass
        return self.seen(), {}

    def step(self, actions):
        self.time += 1
        if LOUD:
            say("step")
        if (HERE / "fuse").exists() and self.episode == 1:
            (HERE / "lit").touch()
        if self.broken == "raises" or (HERE / "lit").exists():
            raise ValueError("out of fuel")  # my own line
        if self.broken == "ends":
            os._exit(0)
        if self.broken == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.broken == "asks":
            input("which way? ")
        if self.broken == "interrupts":
            raise KeyboardInterrupt
        reward = float("nan") if self.broken == "no-number" else 1.0 + sum(actions.values())
        rewards = dict.fromkeys(self.agents, reward)
        return self.seen(), rewards, {}, {}, {}

    def seen(self):
        if self.broken == "draws":
            return {agent: np.random.default_rng().random(2, np.float32) for agent in self.agents}
        return {agent: np.full(2, self.time, np.float32) for agent in self.agents}

    def close(self):
        if LOUD:
            say("closed")

    def __del__(self):
        if LOUD:
            print("LOUD deleted")
"""
SCENARIO = """
name = "mine"
seed = 1
episodes = 3
parallel_episodes = 2

[environment]
kind = "pettingzoo"
env = "my_game"
observation = "own"
steps = 3

[topology]
kind = "complete"

[learning]
hidden = [4]
rounds = 1

[recovery]
checkpoint_every = 1
"""
LINE = 'raise ValueError("out of fuel") # my own line'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder; the working directory is another."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_game.py").write_text(SOURCE)
    (tmp_path / "mine" / "scenario.toml").write_text(SCENARIO)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "mine"


def scenario(folder: Path, broken: str = "") -> tuple[str, ...]:
    return (str(folder / "scenario.toml"), "--set", f"environment.options.broken={broken}")


# What it prints


@pytest.mark.parametrize("broken", ["", "raises"])
@pytest.mark.parametrize("way", ["simulate", "run"])
def test_what_an_environment_prints_goes_to_its_log_and_disturbs_neither_screen_nor_pipe(
    folder: Path, way: str, broken: str
) -> None:
    (folder / "loud").touch()
    done = foretell(way, *scenario(folder, broken), "--out", str(folder / "run"))
    assert "LOUD" not in done.stdout + done.stderr
    log = (folder / "run" / "logs" / "environment.log").read_text()
    for said in ("import", "made", "reset", "step", "stderr import", "raw", "child"):
        assert f"LOUD {said}" in log
    if broken:
        assert done.returncode == 3
        last = done.stderr.splitlines()[-1]
        assert last.startswith("foretell: environment: step() of my_game raised ValueError: out of fuel (my_game.py, ")
        assert LINE in last
    else:
        assert done.returncode == 0, done.stderr
        assert "LOUD closed" in log
        assert summary(folder / "run")["complete"]


def test_what_an_environment_prints_is_not_in_what_check_prints(folder: Path) -> None:
    (folder / "loud").touch()
    done = foretell("check", *scenario(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert "LOUD" not in done.stdout
    assert tomllib.loads(done.stdout)["environment"]["file"] == str(folder / "my_game.py")


# check


@pytest.mark.parametrize(
    ("broken", "code", "said"),
    [
        ("raises", 3, "environment: step() of my_game raised ValueError: out of fuel (my_game.py, line "),
        ("no-number", 3, 'environment: reward of "a" at step 1 is nan'),
        ("ends", 3, "the environment ended its process, with exit code 0"),
        ("crashes", 3, "the environment ended its process, with signal SIGSEGV"),
        ("asks", 3, "environment: step() of my_game raised EOFError: EOF when reading a line"),
        ("interrupts", 3, "the environment raised KeyboardInterrupt"),
    ],
)
def test_check_says_what_an_environment_does_in_its_first_step_with_the_exit_code_of_a_run(
    folder: Path, broken: str, code: int, said: str
) -> None:
    done = foretell("check", *scenario(folder, broken))
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"foretell: {said}")
    unplayed = foretell("check", *scenario(folder, broken), "--no-play")
    assert (unplayed.returncode, unplayed.stderr) == (0, "")
    assert "# 2 agents, 2 directed edges, observations of 2 numbers" in unplayed.stdout


def test_check_says_of_an_environment_that_does_not_use_the_seed_that_its_runs_may_differ(folder: Path) -> None:
    done = foretell("check", *scenario(folder, "draws"))
    assert (done.returncode, done.stderr) == (0, "")
    (said,) = [line for line in done.stdout.splitlines() if "the same seed" in line]
    assert said.startswith('# note: the same seed gave another observation of "a" after reset: runs with equal seeds ')
    assert "the same seed" not in foretell("check", *scenario(folder)).stdout


def test_ctrl_c_ends_check_while_an_environment_hangs_and_takes_no_notice(folder: Path) -> None:
    with start("check", *scenario(folder, "hangs")) as process:
        until((folder / "hangs").exists, "a reset")
        (child,) = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.strip() == "foretell: interrupted"
    until(lambda: not Path(f"/proc/{child}").exists(), "the end of the environment")


def test_check_without_playing_does_without_an_environment_that_is_not_on_this_host(folder: Path) -> None:
    (folder / "my_game.py").unlink()
    missing = foretell("check", *scenario(folder))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.startswith("foretell: environment.env: no module is called my_game. If it is yours, put ")
    assert "pip install" not in missing.stderr
    done = foretell("check", *scenario(folder), "--no-play")
    assert (done.returncode, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout)["environment"]["env"] == "my_game"
    assert "# agents, edges and sizes are not known here: no module is called my_game" in done.stdout
    assert foretell("check", *scenario(folder), "--no-play", "--slices", "slices").returncode == 2


def test_a_slice_says_which_file_the_environment_is_and_what_was_in_it(folder: Path) -> None:
    done = foretell("check", *scenario(folder), "--no-play", "--slices", str(folder / "slices"))
    assert done.returncode == 0, done.stderr
    told = ServiceConfig.model_validate_json((folder / "slices" / "environment.json").read_text()).environment
    assert json.loads(told.model_dump_json())["file"] == str(folder / "my_game.py")
    assert told.model_dump()["digest"]


# Resuming


def test_a_run_is_resumed_from_any_folder_with_the_file_it_was_begun_with_and_with_no_other(folder: Path) -> None:
    def digests(out: Path) -> tuple[str, str]:
        found = summary(out)
        return found["curve_digest"], found["weights_digest"]

    assert foretell("simulate", *scenario(folder), "--out", str(folder / "undisturbed")).returncode == 0
    (folder / "fuse").touch()
    out = folder / "run"
    broken = foretell("run", *scenario(folder), "--out", str(out))
    assert broken.returncode == 3, broken.stderr
    for file in ("fuse", "lit"):
        (folder / file).unlink()
    (folder / "my_game.py").write_text(SOURCE + "# changed\n")
    os.chdir(folder.parent)
    changed = foretell("run", "--resume", str(out))
    assert changed.returncode == 2
    assert changed.stderr.startswith(f"foretell: environment.digest: {folder}/my_game.py has changed: expected SHA-256")
    (folder / "my_game.py").write_text(SOURCE)
    done = foretell("run", "--resume", str(out))
    assert done.returncode == 0, done.stderr
    assert digests(out) == digests(folder / "undisturbed")
