"""A run that ended, however it did, goes on as what it was, and ends with the results of one that nothing disturbed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs import children_of, foretell, start, summary, until

from scenarios.results.reader import read_store
from scenarios.running.procfs import is_alive

pytestmark = pytest.mark.processes

GATED = '''
"""Three agents on a line that somebody can close: the environment then waits before an episode of its process."""

import os
import time
from pathlib import Path

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv


class Gated(ParallelEnv):
    metadata = {"name": "gated_v0"}
    possible_agents = ["a", "b", "c"]

    def __init__(self):
        self.agents, self.episodes, self.gate = [], 0, Path(os.environ["GATE"])

    def observation_space(self, agent):
        return Box(-1, 1, (3,))

    def action_space(self, agent):
        return Discrete(3)

    def reset(self, seed=None, options=None):
        self.wait()
        self.episodes += 1
        self.agents = list(self.possible_agents)
        self.line = np.random.default_rng(seed).uniform(-1, 1, 3).astype(np.float32)
        return self.seen(), {}

    def step(self, actions):
        chosen = np.array([actions[agent] for agent in self.agents], np.float32)
        self.line = np.roll(self.line, 1) * np.float32(0.9)
        rewards = dict(zip(self.agents, (chosen * self.line).tolist()))
        return self.seen(), rewards, {}, {}, {}

    def seen(self):
        return {agent: np.roll(self.line, turn) for turn, agent in enumerate(self.agents)}

    def wait(self):
        closed = self.gate / "closed"
        while closed.exists() and int(closed.read_text()) == self.episodes:
            (self.gate / "waits").touch()
            time.sleep(0.005)


def parallel_env():
    return Gated()
'''
EPISODES, MORE = 40, 80
SCENARIO = f"""
name = "gated"
seed = 5
episodes = {EPISODES}
environment = {{ kind = "pettingzoo", env = "gated", observation = "own", action_masks = "off", steps = 3 }}
topology = {{ kind = "complete" }}
learning = {{ rounds = 1, hidden = [8], actor_learning_rate = 0.01 }}
recovery = {{ checkpoint_every = 3, hung_after_s = 600 }}
"""
FIGURES = (
    *("curve_digest", "weights_digest", "ledger_digest", "episodes", "rounds", "env_steps", "complete", "substrate"),
    *("shares_sent", "shares_heard", "shares_missing", "shares_late", "rejected", "dropped", "lost"),
)


class Gate:
    """A folder with the scenario, its environment and the gate before an episode of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "gated.py").write_text(GATED)
        (root / "gated.toml").write_text(SCENARIO)
        self.environment = {"PYTHONPATH": str(root), "GATE": str(root)}

    def foretell(self, *words: str, code: int = 0) -> str:
        """Run a command to its end; what it says."""
        done = foretell(*words, **self.environment)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def end(self, ending: signal.Signals, after: int, *words: str) -> str:
        """Start a command, and end it so when its environment is about to play one more than `after` episodes.

        A launcher that is asked to end has heard it when the first of its processes has ended. The gate is opened no
        sooner, or the environment would play on until then.
        """
        (self.root / "closed").write_text(str(after))
        with start(*words, **self.environment) as process:
            until((self.root / "waits").exists, f"episode {after}")
            children = children_of(process.pid)
            process.send_signal(ending)
            if ending == signal.SIGKILL:
                process.wait()
            elif children:
                until(lambda: not all(map(is_alive, children)), "the end of a process that was asked to end")
            (self.root / "closed").unlink()
            said = "".join(process.communicate())
        until(lambda: not any(map(is_alive, children)), "the end of all processes")
        (self.root / "waits").unlink()
        return said


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, Any]]:
    """What a run of so many episodes ends with."""
    gate = Gate(tmp_path_factory.mktemp("undisturbed"))
    found = {}
    for episodes in (EPISODES, MORE):
        out = gate.root / str(episodes)
        gate.foretell("simulate", str(gate.root / "gated.toml"), "--episodes", str(episodes), "--out", str(out))
        found[episodes] = ending_of(out)
    return found.__getitem__


def ending_of(out: Path) -> dict[str, Any]:
    """Figures, and the policy to the last byte but for the place of the environment's file."""
    figures = {name: summary(out)[name] for name in FIGURES}
    policy = {path.name: path.read_bytes() for path in (out / "policy").iterdir()}
    return figures | policy | {"policy.json": policy["policy.json"].replace(bytes(out.parent), b"")}


def lives(out: Path) -> list[int]:
    with read_store(out / "run.sqlite") as store:
        return [life.after_episode for life in store.lives()]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("way", ["simulate", "run"])
def test_a_run_goes_on_as_what_it_was_however_it_was_ended_and_to_more_episodes_when_it_is_complete(
    gate: Gate, undisturbed: Callable[[int], dict[str, Any]], way: str, ending: signal.Signals
) -> None:
    out = str(gate.root / "run")
    said = gate.end(ending, 8, way, str(gate.root / "gated.toml"), "--out", out)
    assert (f"go on with: foretell resume {out}" in said) == (ending == signal.SIGINT)
    assert "weights digest" not in said
    gate.end(ending, 0, "resume", out)  # before it has played anything
    gate.foretell("resume", out)
    first, second, third = lives(Path(out))
    assert (first, third) == (-1, second)
    assert second == 5 if ending == signal.SIGKILL else second >= 6, "whoever is asked to end keeps what it knows"
    assert ending_of(Path(out)) == undisturbed(EPISODES) | {"substrate": way}
    gate.end(ending, 1, "resume", out, "--episodes", str(MORE))
    gate.foretell("resume", out)
    assert ending_of(Path(out)) == undisturbed(MORE) | {"substrate": way}
    assert "is complete: there is nothing to go on with" in gate.foretell("resume", out)
