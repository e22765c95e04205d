"""What watching costs.

    python tools/watching.py [--only many,cost,slowdown] [--agents 200] [--seconds 20] [--pairs 3]

Needs Chromium and the extras `watch`, `lab` and `dev`. It starts runs and pages of its own in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from broker.wire.records import EdgeRecord, EpisodeRecord, RoundRecord, StatusRecord, TrafficRecord
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder, held
from scenarios.results.observer import Observer

_TICKS = os.sysconf("SC_CLK_TCK")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def say(text: str) -> None:
    """Show a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def foretell(*words: str) -> subprocess.Popen[str]:
    """The command, beside this process."""
    command = [sys.executable, "-m", "scenarios.commands.main", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=None, text=True)


def cpu_s(pid: int) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def page_of(root: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`foretell watch`, and where its page is."""
    process = foretell("watch", str(root))
    try:
        found = re.search(r"http://\S+", process.stdout.readline() if process.stdout else "")
        if found is None:
            raise SystemExit("the page did not start")
        yield process, found.group()
    finally:
        process.terminate()
        process.wait()


def share_of_a_core(process: subprocess.Popen[str], seconds: float) -> float:
    """How much of a core a process takes for some seconds."""
    before, began = cpu_s(process.pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(process.pid) - before) / (time.monotonic() - began)


def cost(browser: Browser, seconds: float, scenario: str) -> None:
    """Of the page's process, beside a run at full speed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "run"
        run = foretell("run", scenario, "--episodes", "1000000", "--out", str(root))
        try:
            while not (root / "run.sqlite").exists():
                time.sleep(0.1)
            with page_of(root) as (process, url):
                alone = share_of_a_core(process, seconds)
                page = browser.new_page()
                page.goto(url)
                page.wait_for_selector(".agents tbody tr")
                time.sleep(3)
                with_browser = share_of_a_core(process, seconds)
                page.close()
        finally:
            run.terminate()
            run.wait()
    say(f"{scenario}: the page's process takes {with_browser:.1%} of a core with a browser, {alone:.1%} without")


def slowdown(pairs: int, scenario: str, episodes: int) -> None:
    """Of a run with a page that nobody looks at, in turns with one without."""

    def took(*, watched: bool) -> float:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as held_open:
            if watched:
                held_open.enter_context(page_of(Path(folder)))
            began = time.monotonic()
            foretell("run", scenario, "--episodes", str(episodes), "--out", str(Path(folder) / "run")).wait()
            return time.monotonic() - began

    found = [(took(watched=True), took(watched=False)) for _ in range(pairs)]
    ratio = statistics.median(watched / alone for watched, alone in found)
    say(f"{scenario}, {episodes} episodes: {ratio:.2f} times as long with a page, pairs {found}")


def many(browser: Browser, agents: int, seconds: float) -> None:
    """First paint and updates with many agents, whose records are written as those of a run are: every second."""
    with tempfile.TemporaryDirectory() as folder, _written(Path(folder) / "run", agents) as root:
        with page_of(root) as (process, url):
            page = browser.new_page()
            began = time.monotonic()
            page.goto(url)
            page.wait_for_function("document.querySelector('.network canvas')?.getAttribute('aria-label')")
            painted = time.monotonic() - began
            watch = (
                "window.seen = 0; new MutationObserver(() => window.seen++).observe("
                "document.querySelector('.heading .far .num'), {childList: true, characterData: true, subtree: true})"
            )
            page.evaluate(watch)
            before = share_of_a_core(process, seconds)
            updates = page.evaluate("window.seen") / seconds
            page.close()
        say(
            f"{agents} agents: first paint after {painted:.2f} s, {updates:.2f} updates a second, "
            f"the page's process takes {before:.1%} of a core"
        )


@contextmanager
def _written(root: Path, agents: int) -> Iterator[Path]:
    settings = {
        "environment.agents": agents,
        "topology": {"kind": "k-regular", "degree": 6},
        "episodes": 100000,
        "parallel_episodes": 1,
    }
    plan = make_plan(load_scenario("predation-6-quick", settings))
    root.mkdir()
    folder, stop = RunFolder(root), threading.Event()
    ready = threading.Event()

    def write() -> None:
        observer = Observer(plan, folder, "run", lambda _: None)
        observer.begin_life(-1, "")
        with held(folder):
            number = 0
            while not stop.is_set():
                observer.take([EpisodeRecord(number, tuple(-float(number % 7) for _ in plan.agents), 30, 0)])
                for agent in plan.agents:
                    waits = f"{agent} in SHARING (episode {number}) waits for the shares of round 0 from agent-1"
                    edges = [
                        TrafficRecord(EdgeRecord(other, agent, sent=number, sent_bytes=99 * number, heard=number))
                        for other in plan.graph.neighbors[agent]
                    ]
                    rounds = [RoundRecord(agent, number, k, 6, 6, {"gain": 0.0}) for k in range(plan.scenario.rounds)]
                    observer.take([StatusRecord(agent, "SHARING", waits), *edges, *rounds])
                observer.flush()
                ready.set()
                number += 1
                stop.wait(0.8)
        observer.finish()

    writer = threading.Thread(target=write)
    writer.start()
    ready.wait()
    try:
        yield root
    finally:
        stop.set()
        writer.join()


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="many,cost,slowdown")
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pairs", type=int, default=3)
    wanted = parser.parse_args()
    say(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS)
        if "many" in wanted.only:
            many(browser, wanted.agents, wanted.seconds)
        if "cost" in wanted.only:
            cost(browser, wanted.seconds, "predation-20-quick")
        browser.close()
    if "slowdown" in wanted.only:
        slowdown(wanted.pairs, "exchange-quick", 40)
    say(f"load of this machine after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
