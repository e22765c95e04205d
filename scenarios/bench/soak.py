"""`foretell bench soak`: many agents for long, with losses, delays and a kill a minute; its memory and its ledger.

The run is interrupted when its time is over. What it recorded until then is compared, row for row, with the same
scenario simulated without kills.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from broker.counting import counted
from broker.wire.messages import ENVIRONMENT
from scenarios.document.loading import load_scenario
from scenarios.results.answers import CRASHED, EpisodeRow, FaultRow, RoundRow
from scenarios.results.folder import RunFolder
from scenarios.results.proof.mismatches import gather, verify_ledger
from scenarios.results.reader import RunReader, read_store
from scenarios.results.temporary import temporary_folder
from scenarios.running.procfs import parent_of, writers_of

LAUNCHER, FORK_SERVER, AGENTS = "launcher", "fork server", "agents"

_SCENARIO = (
    *("environment.agents=20", "environment.grid=7", "environment.steps=10", "topology.kind=ring"),
    *("parallel_episodes=2", "learning.hidden=[16]", "learning.rounds=2", "exchange.patience_s=0.5"),
    *("recovery.checkpoint_every=10", "recovery.restarts=1000"),
)
_LOSSES = (
    '{kind="drop",probability=0.1},{kind="delay",delay_s={distribution="constant",value_s=0.02},'
    'messages=["share","timestep","action"]}'
)
_KILLS = '{{kind="crash",participants=["agent-*","environment"],pick="one",every_s={every_s}}}'
_EPISODES = 1_000_000
_SAMPLE_EVERY_S = 5.0
_OLD_S = 15.0
_Compared = EpisodeRow | RoundRow | FaultRow
_Question = Callable[[RunReader], Iterator[_Compared]]
_COMPARED: dict[str, _Question] = {
    "episodes": RunReader.episodes,
    "rounds": RunReader.rounds,
    "faults": RunReader.faults,
}


@dataclass
class Soak:
    """What became of a long run.

    Attributes:
        seconds: How long it ran.
        episodes: Episodes that were recorded whole.
        kills: Processes killed.
        lives: Lives that the run had.
        memory_mb: By role: median resident memory of processes older than a few seconds, in the second and in the last
            quarter of the time.
        wrong: What does not fit in the ledger, or differs from the simulation; a sentence each.
        compared: Rows compared, by table.
    """

    seconds: float = 0.0
    episodes: int = 0
    kills: int = 0
    lives: int = 0
    memory_mb: dict[str, tuple[float, float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)


def measure_soak(foretell: Sequence[str], minutes: float, kill_every_s: float, show: Callable[[int], None]) -> Soak:
    """Run, interrupt, simulate, compare.

    Args:
        foretell: The words that start the command line as a process.
        minutes: How long it runs.
        kill_every_s: Seconds from one kill to the next.
        show: Told the seconds that have passed.
    """
    soak = Soak()
    with temporary_folder() as temporary:
        run, undisturbed = RunFolder(Path(temporary) / "run"), RunFolder(Path(temporary) / "simulate")
        losses = f"faults=[{_LOSSES},{_KILLS.format(every_s=kill_every_s)}]"
        _run_for(60 * minutes, [*foretell, "run"], run, faults=losses, soak=soak, show=show)
        with read_store(run.store) as store:
            soak.episodes = _whole_episodes(store)
            soak.kills = sum(strike.what.startswith(CRASHED) for strike in store.strikes())
            soak.lives = len(store.lives())
        soak.wrong += verify_ledger(load_scenario(str(run.scenario)), gather(run.store))
        _start([*foretell, "simulate"], undisturbed, soak.episodes, f"faults=[{_LOSSES}]").wait()
        _compare(run, undisturbed, soak)
    return soak


def _run_for(
    seconds: float, command: Sequence[str], folder: RunFolder, *, faults: str, soak: Soak, show: Callable[[int], None]
) -> None:
    """Run until the time is over, and take the memory of all its processes now and then."""
    process = _start(command, folder, _EPISODES, faults)
    began_at = time.monotonic()
    samples: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    born: dict[int, float] = {}
    try:
        while (passed_s := time.monotonic() - began_at) < seconds and process.poll() is None:
            for role, pid in _processes(process.pid, folder):
                age_s = passed_s - born.setdefault(pid, passed_s)
                memory_mb = _resident_mb(pid)
                if age_s >= _OLD_S and memory_mb:
                    samples[role].append((passed_s, memory_mb))
            show(int(passed_s))
            time.sleep(_SAMPLE_EVERY_S)
        soak.seconds = time.monotonic() - began_at
        if process.poll() is not None:
            soak.wrong.append(f"the run ended by itself with exit code {process.returncode}")
        process.send_signal(signal.SIGINT)
        process.wait()
    finally:
        process.kill()
        process.wait()
    for role, found in samples.items():
        early = [memory for at_s, memory in found if seconds / 4 <= at_s < seconds / 2]
        late = [memory for at_s, memory in found if at_s >= 3 * seconds / 4]
        if early and late:
            soak.memory_mb[role] = (median(early), median(late))


def _processes(launcher: int, folder: RunFolder) -> Iterator[tuple[str, int]]:
    """Roles and ids of the processes of the run that live now."""
    yield LAUNCHER, launcher
    for log in folder.logs.glob("*.log"):
        for pid in writers_of(log):
            yield ENVIRONMENT if log.stem == ENVIRONMENT else AGENTS, pid
            if log.stem == ENVIRONMENT and (parent := parent_of(pid)) is not None:
                yield FORK_SERVER, parent


def _resident_mb(pid: int) -> float:
    """Memory that it holds, what it shares included; 0 if it has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1000
    return 0.0


def _start(command: Sequence[str], folder: RunFolder, episodes: int, faults: str) -> subprocess.Popen[bytes]:
    settings = [part for setting in (*_SCENARIO, faults) for part in ("--set", setting)]
    words = [*command, "exchange-quick", "--episodes", str(episodes), *settings]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603 - this program itself
        [*words, "--out", str(folder.root)], stdout=quiet, stderr=quiet, start_new_session=True
    )


def _whole_episodes(store: RunReader) -> int:
    """Episodes from the first of which returns and all rounds are recorded."""
    returns: dict[int, set[str]] = defaultdict(set)
    for row in store.episodes():
        returns[row.episode].add(row.agent)
    agents = len(set().union(*returns.values()))
    rounds = Counter(row.episode for row in store.rounds())
    each = 1 + max(row.round for row in store.rounds())
    whole = {episode for episode in returns if rounds[episode] == agents * each}
    return next(episode for episode in range(len(whole) + 1) if episode not in whole)


def _compare(run: RunFolder, undisturbed: RunFolder, soak: Soak) -> None:
    for table, ask in _COMPARED.items():
        found, expected = (_rows(folder, ask, soak.episodes) for folder in (run, undisturbed))
        soak.compared[table] = len(expected)
        if found != expected:
            missing, more = len(expected - found), len(found - expected)
            soak.wrong.append(f"{table}: {counted(missing, 'row')} of the simulation missing, {more} others")


def _rows(folder: RunFolder, ask: _Question, episodes: int) -> set[_Compared]:
    with read_store(folder.store) as store:
        return {row for row in ask(store) if row.episode < episodes}
