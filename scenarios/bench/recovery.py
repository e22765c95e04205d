"""`foretell bench recovery`: kills with -9 at random moments, and whether every run still ends as an undisturbed one.

Kills do not wait for each other: one may meet participants that are still coming back from the last.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.errors import UserError
from scenarios.results.folder import RunFolder, has_begun, open_run_folder
from scenarios.results.reader import read_store
from scenarios.results.temporary import temporary_folder
from scenarios.running.procfs import is_alive, writers_of

TRANSPORTS = ("zeromq", "mqtt")
AGENT, ENVIRONMENT, BROKER, LAUNCHER = "agent", "environment", "broker", "launcher"

_SCENARIO = (
    *("exchange-quick", "--set", "parallel_episodes=2", "--set", "learning.hidden=[8]"),
    *("--set", 'faults=[{kind="drop",probability=0.1}]', "--set", "exchange.patience_s=0.5"),
    *("--set", "learning.rounds=1", "--set", "environment.steps=3"),
    *("--set", "recovery.checkpoint_every=5", "--set", "recovery.restarts=1000"),
)
_AGENTS = 3
_FIGURES = ("curve_digest", "weights_digest", "ledger_digest", "episodes", "shares_heard", "faults_applied")
Figures = Mapping[str, Any]
"""Digests and counts of a run, by their names in its summary."""
_KILLS_A_RUN = 10
_PAUSE_S = (0.05, 5.0)
_LOOK_EVERY_S = 0.02
_RUN_WITHIN_S = 300.0
_STARTING = "STARTING"
_PHASE = re.compile(r" in ([A-Z_]+) ")


@dataclass
class Kill:
    """One process killed.

    Attributes:
        victim: agent, environment, broker or launcher.
        phase: What it, or for a broker or launcher the environment, last said it was doing; a sign comes each second.
        recovered_s: Seconds until an episode was recorded that was not before; None if none was.
    """

    victim: str
    phase: str
    recovered_s: float | None = None


@dataclass
class Campaign:
    """Kills over one transport.

    Attributes:
        transport: It.
        kills: All of them.
        runs: Runs that they were spread over.
        faithful: Runs that ended by themselves with the figures of the undisturbed one.
        wrong: What became of the others, a sentence each.
    """

    transport: str
    kills: list[Kill] = field(default_factory=list)
    runs: int = 0
    faithful: int = 0
    wrong: list[str] = field(default_factory=list)


def undisturbed_figures(foretell: Sequence[str], episodes: int) -> Figures:
    """What a run gives in which nobody is killed, over whichever transport.

    Args:
        foretell: The words that start the command line as a process.
        episodes: Of the run.
    """
    with temporary_folder() as folder:
        out = Path(folder) / "simulate"
        command = [*foretell, "simulate", *_SCENARIO, "--episodes", str(episodes), "--out", str(out)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - this program itself
        return _read_figures(out)


def measure_recovery(
    foretell: Sequence[str],
    undisturbed: Figures,
    *,
    kills: int,
    episodes: int,
    transport: str,
    seed: int,
    show: Callable[[int], None],
) -> Campaign:
    """Kill until there were `kills`, run after run.

    Args:
        foretell: The words that start the command line as a process.
        undisturbed: What `undisturbed_figures` gives for as many episodes.
        kills: How many.
        episodes: Of each run.
        transport: One of `TRANSPORTS`.
        seed: Of the moments and victims.
        show: Told the number of kills so far.
    """
    scenario = (*_SCENARIO, "--episodes", str(episodes))
    draw, campaign = random.Random(seed), Campaign(transport)  # noqa: S311 - no secret
    with temporary_folder() as folder:
        while len(campaign.kills) < kills:
            out = Path(folder) / f"run-{campaign.runs}"
            campaign.runs += 1
            run = _Run(foretell, out, transport, scenario)
            try:
                run.go(draw, campaign, kills, show)
                found = _read_figures(out)
                if found == undisturbed:
                    campaign.faithful += 1
                else:
                    other = {
                        name: (undisturbed[name], found[name]) for name in found if found[name] != undisturbed[name]
                    }
                    campaign.wrong.append(f"run {campaign.runs} over {transport} ended with other figures: {other}")
            except _RunFailed as failure:
                campaign.wrong.append(f"run {campaign.runs} over {transport}: {failure}")
            finally:
                run.end()
    return campaign


class _RunFailed(Exception):
    """A run did not end by itself, or not well."""


class _Run:
    """A run in processes of its own, and whom to kill in it."""

    def __init__(self, foretell: Sequence[str], out: Path, transport: str, scenario: tuple[str, ...]) -> None:
        self._foretell = foretell
        self._out = out
        self._victims = [AGENT, ENVIRONMENT, LAUNCHER, *([BROKER] if transport == "mqtt" else [])]
        self._said = out.with_suffix(".txt")
        self._process = self._start("run", *scenario, "--transport", transport, "--out", str(out))
        self._pending: list[tuple[Kill, float, int]] = []
        self._complete = False

    def go(self, draw: random.Random, campaign: Campaign, kills: int, show: Callable[[int], None]) -> None:
        """Kill some, and wait for the end.

        Raises:
            _RunFailed: It ended badly, or not at all.
        """
        give_up_at = time.monotonic() + _RUN_WITHIN_S
        left = min(_KILLS_A_RUN, kills - len(campaign.kills))
        kill_at = time.monotonic() + draw.uniform(*_PAUSE_S)
        while (code := self._process.poll()) is None and not self._complete:
            if time.monotonic() > give_up_at:
                raise _RunFailed(f"it did not end within {_RUN_WITHIN_S:.0f} s")
            self._note_recovered()
            if left and time.monotonic() >= kill_at and (kill := self._kill(draw)) is not None:
                campaign.kills.append(kill)
                show(len(campaign.kills))
                left -= 1
                kill_at = time.monotonic() + draw.uniform(*_PAUSE_S)
            time.sleep(_LOOK_EVERY_S)
        self._note_recovered()
        if code != 0 and not self._complete:
            raise _RunFailed(f"exit code {code}: {self._said.read_text(encoding='utf-8')[-500:]}")

    def end(self) -> None:
        """End everything that may be left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _kill(self, draw: random.Random) -> Kill | None:
        """Kill somebody, or nobody if he is not there just now."""
        victim = draw.choice(self._victims)
        name = f"agent-{draw.randrange(_AGENTS)}" if victim == AGENT else victim
        with suppress(OSError, UserError):  # the run has not begun, or has just ended
            folder = open_run_folder(self._out)
            kill = Kill(victim, _phase(folder, name if victim in (AGENT, ENVIRONMENT) else ENVIRONMENT))
            episodes = _recorded(folder)
            if victim == LAUNCHER:
                if not has_begun(folder):  # nothing is there to be resumed yet
                    return None
                self._kill_launcher(folder)
            else:
                pid = next(writers_of(folder.log(name)), None)
                if pid is None:
                    return None
                os.kill(pid, signal.SIGKILL)
            self._pending.append((kill, time.monotonic(), episodes))
            return kill
        return None

    def _kill_launcher(self, folder: RunFolder) -> None:
        """Kill it, wait for the end of all it started, and resume the run."""
        others = {pid for log in folder.logs.glob("*.log") for pid in writers_of(log)}
        self._process.kill()
        self._process.wait()
        give_up_at = time.monotonic() + _RUN_WITHIN_S
        while any(map(is_alive, others)):
            if time.monotonic() > give_up_at:
                raise _RunFailed(f"processes outlived their killed launcher: {sorted(others)}")
            time.sleep(_LOOK_EVERY_S)
        with suppress(OSError):  # it may have been killed with its last words on its lips
            self._complete = json.loads(folder.summary.read_text(encoding="utf-8"))["complete"]
        if not self._complete:
            self._process = self._start("resume", str(self._out))

    def _note_recovered(self) -> None:
        if not self._pending:
            return
        episodes, now = _recorded(RunFolder(self._out)), time.monotonic()
        for kill, at, before in self._pending:
            if episodes > before or self._complete or self._process.poll() == 0:
                kill.recovered_s = now - at
        self._pending = [one for one in self._pending if one[0].recovered_s is None]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self._said.open("ab") as said:
            return subprocess.Popen(  # noqa: S603 - this program itself
                [*self._foretell, *arguments],
                stdout=said,
                stderr=said,
                start_new_session=True,
            )


def _read_figures(out: Path) -> Figures:
    found = json.loads(RunFolder(out).summary.read_text(encoding="utf-8"))
    return {name: found[name] for name in _FIGURES}


def _recorded(folder: RunFolder) -> int:
    """Episodes in the run's store; none while there is no store."""
    with suppress(UserError), read_store(folder.store) as store:
        return store.count_episodes()
    return 0


def _phase(folder: RunFolder, name: str) -> str:
    said = ""
    with suppress(UserError), read_store(folder.store) as store:
        said = next((found.waits_for for found in store.status() if found.participant == name), "")
    match = _PHASE.search(said)
    return match[1] if match else _STARTING
