"""What it costs a run to be watched: processor time of all its processes, with metrics that are scraped and with spans.

    .venv/bin/python tools/metrics_cost.py [BLOCKS] [EPISODES]

In each block the same run goes on unwatched, with an endpoint that is scraped every second, and with spans, in turn; a
ratio is the median over the blocks of watched over unwatched. Processor time is that of the launcher, which scrapes,
too, and of all that the fork server has made.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path

from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import run
from scenarios.running.ways import way_called
from scenarios.telemetry.telemetry import telemetry
from scenarios.telemetry.wish import NOTHING_WANTED, TelemetryWish

SCENARIO = "exchange-quick"
SCRAPED_EVERY_S = 1.0
WAYS = {"unwatched": NOTHING_WANTED, "metrics": TelemetryWish(metrics="0"), "spans": TelemetryWish(spans=True)}


@contextmanager
def scraped(said: list[str]) -> Iterator[list[int]]:
    """Ask the endpoint of which something was said, every second; yields the bytes of each answer."""
    over, sizes = threading.Event(), []

    def scrape() -> None:
        while not over.wait(SCRAPED_EVERY_S):
            for sentence in said:
                with suppress(OSError):
                    url = sentence.removeprefix("metrics at ")
                    sizes.append(len(urllib.request.urlopen(url).read()))  # noqa: S310 - our own

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield sizes
    finally:
        over.set()
        thread.join()


def computed_s() -> float:
    """Processor time of this process, the fork server and its children that have ended."""
    pid = forkserver._forkserver._forkserver_pid  # noqa: SLF001 - it is told nowhere else
    if pid is None:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return time.process_time() + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def ms_an_episode(wish: TelemetryWish, episodes: int, folder: Path) -> tuple[float, list[int]]:
    """How long a run computes for an episode, and the bytes of each scrape."""
    scenario, said = load_scenario(SCENARIO, {"episodes": episodes}), []
    plan = make_plan(scenario)
    with telemetry(wish) as told:
        root = make_run_folder(folder / "run", scenario.name, scenario.seed)
        observer = Observer(plan, root, "run", lambda _: None)
        asked = told.begin(plan, root, observer, "run", said.append)
        before = computed_s()
        with scraped(said) as sizes:
            run(plan, root, observer, way_called("run", asked), lambda: False)
        observer.finish()
        return (computed_s() - before) / episodes * 1000, sizes


def main(blocks: int, episodes: int) -> None:
    """Measure and say it."""
    costs: dict[str, list[float]] = {way: [] for way in WAYS}
    with temporary_folder() as folder:
        ms_an_episode(NOTHING_WANTED, 2, folder)  # starts the fork server
    for block in range(blocks):
        for way in (*WAYS,)[block % len(WAYS) :] + (*WAYS,)[: block % len(WAYS)]:
            with temporary_folder() as folder:
                cost, sizes = ms_an_episode(WAYS[way], episodes, folder)
            costs[way].append(cost)
            _say(f"block {block}: {way} {cost:.1f} ms/episode, {len(sizes)} scrapes of {max(sizes, default=0)} bytes")
    for way in WAYS:
        ratios = [watched / alone for watched, alone in zip(costs[way], costs["unwatched"], strict=True)]
        _say(f"{way}: {statistics.median(costs[way]):.1f} ms/episode, ratio {statistics.median(ratios):.3f}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blocks", type=int, nargs="?", default=9, help="each way once, in turns; default 9")
    parser.add_argument("episodes", type=int, nargs="?", default=60, help="of a run; default 60")
    main(**vars(parser.parse_args()))
