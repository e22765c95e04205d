"""Measures one thing in the checkout whose Python runs this, and prints its figures as JSON; see compare.py.

python tools/probe.py FOLDER timed run|simulate SCENARIO ...      a command with all that it starts
python tools/probe.py FOLDER node                                 a learning node that nobody forked
python tools/probe.py FOLDER acting                               answers of agents in a simulation of `exchange`

FOLDER is an empty one, for results. Needs Linux's /proc.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from broker.threads import limit_threads

limit_threads()

_LIMIT_S = 120.0
_EPISODES = 20
_COMMAND = (sys.executable, "-m", "scenarios.commands.main")
Figures = dict[str, float]


def timed(folder: Path, *words: str) -> Figures:
    """What a command costs: wall and processor seconds with all its processes, and those of the run's own loop."""
    began_at = time.monotonic()
    out = folder / "run"
    done = subprocess.run([*_COMMAND, *words, "--out", str(out)], capture_output=True, text=True, check=False)
    wall_s = time.monotonic() - began_at
    if done.returncode:
        sys.exit(done.stderr)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    loop_s = json.loads((out / "summary.json").read_text(encoding="utf-8"))["wall_s"]
    return {"wall_s": wall_s, "processor_s": used.ru_utime + used.ru_stime, "loop_s": loop_s}


def node(folder: Path) -> Figures:
    """What one agent costs that is started by hand as the last of its run, once it has learned from some episodes."""
    slices = folder / "slices"
    words = ["check", "exchange-quick", "--set", "joining.hello_interval_s=0.05", "--slices", str(slices)]
    subprocess.run([*_COMMAND, *words], check=True, capture_output=True)
    nodes = {name: "env_service" if name == "environment" else "agent_node" for name in _names(slices)}
    started: list[subprocess.Popen[str]] = []
    try:
        for name in [each for each in nodes if each != "agent-0"]:
            started.append(_start(nodes[name], slices / f"{name}.json"))
            _await(lambda name=name: _listens(slices, name), f"{name} to listen")  # type: ignore[misc]
        began_at = time.monotonic()
        agent = _start(nodes["agent-0"], slices / "agent-0.json")
        started.append(agent)
        _read_until(agent.stderr, "JoinedRecord")
        joined_s = time.monotonic() - began_at
        _read_until(agent.stderr, f"episode={_EPISODES},")
        memory = _memory(agent.pid)
    finally:
        for process in started:
            process.kill()
            process.wait()
    return {"s until it has joined": joined_s, "MB RSS": memory["Rss"], "MB PSS": memory["Pss"]}


def acting(folder: Path) -> Figures:
    """Microseconds an answer, median: of the learner alone, and from message to message."""
    from agent_node.learning.learner import Learner  # noqa: PLC0415 - where the checkout has it
    from agent_node.protocol import AgentProtocol  # noqa: PLC0415
    from broker.wire.messages import Timestep  # noqa: PLC0415
    from scenarios.document.loading import load_scenario  # noqa: PLC0415
    from scenarios.trials.quiet_run import try_out  # noqa: PLC0415

    acts = _watched(Learner, "act", lambda _: True)
    answers = _watched(
        AgentProtocol,
        "receive",
        lambda given: isinstance(given[1], Timestep) and given[1].step > 0 and not given[1].last,
    )
    try_out(load_scenario("exchange", {"episodes": _EPISODES}), folder / "run")
    return {"us in the learner": statistics.median(acts), "us from message to message": statistics.median(answers)}


def _watched(owner: Any, name: str, counts: Callable[[Sequence[Any]], bool]) -> list[float]:
    """Microseconds of each call of a method from now on that counts."""
    method, spent_us = getattr(owner, name), []

    def watched(self: object, *given: object) -> object:
        began_at = time.perf_counter()
        result = method(self, *given)
        if counts(given):
            spent_us.append((time.perf_counter() - began_at) * 1e6)
        return result

    setattr(owner, name, watched)
    return spent_us


def _names(slices: Path) -> list[str]:
    return sorted(path.stem for path in slices.glob("*.json"))


def _start(module: str, slice_: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, str(slice_)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def _listens(slices: Path, name: str) -> bool:
    address = json.loads((slices / f"{name}.json").read_text(encoding="utf-8"))["link"]["addresses"][name]
    return Path(address.removeprefix("ipc://")).exists()


def _await(condition: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + _LIMIT_S
    while not condition():
        if time.monotonic() > give_up_at:
            sys.exit(f"waited {_LIMIT_S:.0f} s for {what}")
        time.sleep(0.01)


def _read_until(lines: IO[str] | None, text: str) -> None:
    said = []
    for line in lines or ():
        said.append(line)
        if text in line:
            return
    sys.exit(f"a node ended before it said {text}:\n{''.join(said[-5:])}")


def _memory(process: int) -> Figures:
    """MB by name of what the system knows of a process's memory."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1e3 for line in lines if line.endswith("kB")}


MEASURED: dict[str, Callable[..., Figures]] = {"timed": timed, "node": node, "acting": acting}

if __name__ == "__main__":
    folder_, what, *rest = sys.argv[1:]
    sys.stdout.write(json.dumps(MEASURED[what](Path(folder_), *rest)) + "\n")
