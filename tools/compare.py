"""Compares what two checkouts cost, in turn and in one session, and prints ratios.

    python tools/compare.py OLD NEW [--rounds 5] [--only simulate,run,node,agents,acting]

OLD and NEW are folders of checkouts, each with its own `.venv`. Every measurement is a process of its own, old and new
alternating, so that what else the machine does meets both; a ratio is new over old of one round, and the table has the
median of the rounds and the least figure of each side. Processor times hardly see other work; wall times do.

| what | measured |
|---|---|
| simulate | processor ms of a simulated episode: a long simulation less a short one, over the episodes between |
| run | wall seconds of `foretell run exchange-quick` |
| node | RSS and PSS in MB of one learning node alone, and seconds from its start until it has joined |
| agents | seconds until the 20 agents of predation-20 are ready, and PSS in MB of all of them |
| acting | microseconds of an answer within the process, one copy |
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

_TOOLS = Path(__file__).parent
_EPISODES = {"exchange": (20, 120), "navigation": (20, 120), "predation-12": (4, 24), "exchange-quick": (5, 45)}
"""Of the short and the long simulation."""
_LIMIT_S = 600.0
Figures = dict[str, float]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("old", type=Path)
    options.add_argument("new", type=Path)
    options.add_argument("--rounds", type=int, default=5, help="Measurements of each side.")
    options.add_argument("--only", default=",".join(MEASUREMENTS), help="Some of: %(default)s.")
    chosen = options.parse_args()
    _say("| what | old, least | new, least | new / old, median | rounds |\n|---|---|---|---|---|")
    for name in chosen.only.split(","):
        for measure in MEASUREMENTS[name]:
            found: dict[str, list[tuple[float, float]]] = defaultdict(list)
            for _ in range(chosen.rounds):
                old, new = measure(chosen.old.resolve()), measure(chosen.new.resolve())
                for what in old.keys() & new.keys():
                    found[what].append((old[what], new[what]))
            for what, pairs in sorted(found.items()):
                ratio = statistics.median(new / old for old, new in pairs)
                least = " | ".join(f"{min(side):.3g}" for side in zip(*pairs, strict=True))
                _say(f"| {what} | {least} | {ratio:.2f} | {len(pairs)} |")


def _simulated(scenario: str) -> Callable[[Path], Figures]:
    def measure(checkout: Path) -> Figures:
        short, long = _EPISODES[scenario]
        spent = [_processor_s(checkout, "simulate", scenario, "--episodes", str(count)) for count in (short, long)]
        return {f"{scenario}: ms of processor time an episode": (spent[1] - spent[0]) * 1e3 / (long - short)}

    return measure


def _ran(checkout: Path) -> Figures:
    done = _probe(checkout, "timed", "run", "exchange-quick")
    return {"foretell run exchange-quick: wall s": done["wall_s"], "of these, its own loop: s": done["loop_s"]}


def _processor_s(checkout: Path, *words: str) -> float:
    return _probe(checkout, "timed", *words)["processor_s"]


def _node(checkout: Path) -> Figures:
    return {f"a learning node alone: {what}": value for what, value in _probe(checkout, "node").items()}


def _agents(checkout: Path) -> Figures:
    said = _foretell(checkout, "bench", "startup")
    joined = re.search(r"startup: ([\d.]+) s until all have joined", said)
    memory = re.search(r"startup: (\d+) MB of PSS in all agents", said)
    if joined is None or memory is None:
        sys.exit(f"{checkout}: foretell bench startup said no figures:\n{said}")
    return {"predation-20 ready: s": float(joined[1]), "predation-20, its 20 agents: MB PSS": float(memory[1])}


def _acting(checkout: Path) -> Figures:
    return {f"acting, {what}": value for what, value in _probe(checkout, "acting").items()}


def _foretell(checkout: Path, *words: str) -> str:
    done = subprocess.run(
        [str(checkout / ".venv/bin/python"), "-m", "scenarios.commands.main", *words],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{checkout}: foretell {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _probe(checkout: Path, *words: str) -> Figures:
    """What tools/probe.py of this checkout measures with the code of another."""
    with tempfile.TemporaryDirectory(prefix="foretell-compare-") as out:
        done = subprocess.run(
            [str(checkout / ".venv/bin/python"), str(_TOOLS / "probe.py"), out, *words],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    if done.returncode:
        sys.exit(f"{checkout}: {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


MEASUREMENTS: dict[str, tuple[Callable[[Path], Figures], ...]] = {
    "simulate": tuple(map(_simulated, _EPISODES)),
    "run": (_ran,),
    "node": (_node,),
    "agents": (_agents,),
    "acting": (_acting,),
}

if __name__ == "__main__":
    main()
