"""What it costs a run to be watched: environment steps a second, with metrics that are scraped and with spans.

    .venv/bin/python tools/metrics_cost.py [BLOCKS] [EPISODES]

In each block the same run goes on unwatched, with an endpoint that is scraped every second, and with spans, in turn; a
ratio is the median over the blocks of watched over unwatched.
"""

from __future__ import annotations

import statistics
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def steps_a_second(wish: TelemetryWish, episodes: int, folder: Path) -> tuple[float, list[int]]:
    """How fast a run goes, and the bytes of each scrape."""
    scenario, said = load_scenario(SCENARIO, {"episodes": episodes}), []
    plan = make_plan(scenario)
    with telemetry(wish) as told:
        root = make_run_folder(folder / "run", scenario.name, scenario.seed)
        observer = Observer(plan, root, "run", lambda _: None)
        asked = told.begin(plan, root, observer, "run", said.append)
        with scraped(said) as sizes:
            run(plan, root, observer, way_called("run", asked), lambda: False)
        return observer.finish().env_steps_per_s, sizes


def main(blocks: int, episodes: int) -> None:
    """Measure and say it."""
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    for block in range(blocks):
        for way in (*WAYS,)[block % len(WAYS) :] + (*WAYS,)[: block % len(WAYS)]:
            with temporary_folder() as folder:
                speed, sizes = steps_a_second(WAYS[way], episodes, folder)
            speeds[way].append(speed)
            _say(f"block {block}: {way} {speed:.0f} steps/s, {len(sizes)} scrapes of {max(sizes, default=0)} bytes")
    for way in WAYS:
        ratios = [watched / alone for watched, alone in zip(speeds[way], speeds["unwatched"], strict=True)]
        _say(f"{way}: {statistics.median(speeds[way]):.0f} steps/s, ratio {statistics.median(ratios):.3f}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(*given, *(9, 60)[len(given) :])
