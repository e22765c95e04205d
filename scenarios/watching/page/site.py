"""The pages of a folder: all its runs, one of them, or two side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from nicegui import __version__, app, ui
from nicegui.client import Client
from nicegui.dependencies import esm_modules
from nicegui.events import GenericEventArguments

from broker.errors import ForetellError, UserError
from broker.text_files import as_text
from scenarios.watching.page.feed import RunFeed
from scenarios.watching.page.payload import Payload
from scenarios.watching.page.scenes import SceneMaker
from scenarios.watching.page.view import ASSETS, View
from scenarios.watching.page.wishes import carry_out
from scenarios.watching.run_list import RunLine, RunList, is_run
from scenarios.watching.thinning import thinned
from scenarios.watching.watched_run import WatchedRun

LIST_EVERY_S = 2.0
_SPARK_POINTS = 40


class WatchedSite:
    """What is watched, and by whom.

    Args:
        root: A run's folder, or one of many runs.

    Raises:
        UserError: It is neither.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            msg = f"expected the folder of a run, or one that holds runs, found {root}"
            raise UserError(msg)
        self.root = root
        self.single = WatchedRun(root) if is_run(root) else None
        self.runs = RunList(root)
        self._feeds: dict[Path, RunFeed] = {}

    def feed(self, path: str) -> RunFeed:
        """Of a run, by its path below the folder.

        Raises:
            UserError: There is none, or it cannot be read.
        """
        run = self.single or self.runs.run(path)
        return self._feeds.setdefault(run.folder.root, RunFeed(run))


def make_pages(site: WatchedSite) -> None:
    """Let NiceGUI know the pages."""
    app.add_static_files("/assets", ASSETS)

    @ui.page("/")
    def first(client: Client) -> None:
        _dress()
        if site.single is None:
            _list_page(site, client)
        else:
            _run_page(site, client, "")

    @ui.page("/run/{path:path}")
    def run(client: Client, path: str) -> None:
        _dress()
        _run_page(site, client, path)

    @ui.page("/compare")
    def compare(client: Client, a: str = "", b: str = "") -> None:
        _dress()
        view = View("compare")
        for place, path in enumerate((a, b)):
            _follow(site, client, view, path, partial(_tell_of_one, view, place))


def _tell_of_one(view: View, place: int, payload: Payload) -> None:
    view.tell({"place": place, **payload})


def _dress() -> None:
    """Bring the looks, and all scripts at once: else a browser learns of each from the one that asks for it."""
    modules = [f"/_nicegui/{__version__}/esm/{key}" for key, found in esm_modules.items() if found.path == ASSETS]
    scripts = [f"{place}/{path.name}" for place in modules for path in sorted(ASSETS.glob("*.js"))]
    links = [f'<link rel="modulepreload" href="{script}">' for script in scripts]
    ui.add_head_html("".join(['<link rel="stylesheet" href="/assets/watch.css">', *links]))


def _run_page(site: WatchedSite, client: Client, path: str) -> None:
    view = View("run")
    feed = _follow(site, client, view, path, view.tell)
    if feed is None:
        return
    scenes = SceneMaker(feed.run.folder)

    async def answer(event: GenericEventArguments) -> None:
        names = [] if feed.newest is None else [fault.name for fault in feed.newest.faults]
        try:
            said, failed = await asyncio.to_thread(carry_out, feed.run.folder.root, event.args, names), False
        except ForetellError as error:
            said, failed = as_text(error), True
        feed.hurry()
        view.tell({"answer": {"said": said, "failed": failed}})

    async def draw(event: GenericEventArguments) -> None:
        view.tell({"scene": await asyncio.to_thread(scenes.episode, event.args)})

    view.on("order", answer)
    view.on("scene", draw)


def _follow(
    site: WatchedSite, client: Client, view: View, path: str, tell: Callable[[Payload], None]
) -> RunFeed | None:
    """Tell a page of a run as long as its browser is there; None where there is no such run, which is told."""
    try:
        feed = site.feed(path)
    except UserError as error:
        problem = as_text(error)
        view.on("ready", lambda: tell({"problem": problem}))
        return None
    joined: list[int] = []
    listed = {"list": True} if site.single is None else {}

    def join() -> None:
        leave()
        joined.append(feed.join(lambda payload: tell({**payload, **listed})))

    def leave() -> None:
        while joined:
            feed.leave(joined.pop())

    _while_there(view, client, join, leave)
    return feed


def _list_page(site: WatchedSite, client: Client) -> None:
    view = View("list")
    tasks: list[asyncio.Task[None]] = []

    async def look() -> None:
        before: Any = None
        while True:
            lines = await asyncio.to_thread(site.runs.look)
            payload = {"root": as_text(site.root), "runs": list(map(_line, lines))}
            if payload != before:
                view.tell(payload)
                before = payload
            await asyncio.sleep(LIST_EVERY_S)

    def join() -> None:
        leave()
        tasks.append(asyncio.create_task(look()))

    def leave() -> None:
        while tasks:
            with suppress(RuntimeError):
                tasks.pop().cancel()

    _while_there(view, client, join, leave)


def _while_there(view: View, client: Client, join: Callable[[], None], leave: Callable[[], None]) -> None:
    """Join when a page is ready, and again when its connection comes back; leave whenever it breaks."""
    ready = False

    def begin() -> None:
        nonlocal ready
        ready = True
        join()

    view.on("ready", begin)
    client.on_connect(lambda: join() if ready else None)
    client.on_disconnect(leave)


def _line(line: RunLine) -> Payload:
    seen = line.seen
    if seen is None:
        return {"path": line.path, "problem": line.problem}
    tenth = max(1, len(seen.team) // 10)
    return {
        "path": line.path,
        "state": seen.state,
        "episode": len(seen.team),
        "episodes": seen.scenario.episodes,
        "task": seen.scenario.environment.kind,
        "algorithm": seen.scenario.algorithm.name,
        "agents": len(seen.agents),
        "seed": seen.scenario.seed,
        "value": float(seen.team[-tenth:].mean()) if len(seen.team) else None,
        "curve": thinned(seen.team, _SPARK_POINTS)[1].round(3).tolist(),
        "changed": line.changed_s,
    }
