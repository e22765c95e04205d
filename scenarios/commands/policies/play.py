"""`foretell play`: trained agents acting, frame by frame on a terminal, or as a GIF and a strip."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import Progress, TextColumn

from broker.counting import counted
from broker.errors import UserError
from scenarios.commands.asked_file import require_new, write_where_asked
from scenarios.commands.planned import hushed
from scenarios.commands.policies.playing import OF_PICTURES, Playing, RecordedWish, playing
from scenarios.commands.policies.still import still
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say
from scenarios.play.evaluate import EvaluationWish
from scenarios.play.frame import Frame
from scenarios.play.numbers import shown
from scenarios.running.control.interrupting import interruptible

if TYPE_CHECKING:
    from scenarios.play.picture import Animation, Strip

_MOST_SAID = 20
"""Episodes told of one by one."""
_LONGEST_SLEEP_S = 0.1
"""So that a user who interrupts is soon heard, however slowly frames follow each other."""


@dataclass(frozen=True)
class PlayWish:
    """What shall be played, and how it is shown.

    Attributes:
        wish: The episodes: new ones, as they are evaluated, or one of a run itself.
        per_second: Frames.
        gif: File for an animation, if one is wanted.
        strip: The same of a few frames side by side.
    """

    wish: EvaluationWish | RecordedWish
    per_second: float
    gif: Path | None = None
    strip: Path | None = None


def show_episodes(wish: PlayWish) -> None:
    """Play in the terminal: frames over one another, or below one another where there is none, and without waiting.

    Raises:
        ForetellError: There is no policy, or it cannot be played.
    """
    played = playing(wish.wish, "text", "ansi")
    if played.lack:
        drawn = "; --gif FILE draws it" if played.draws else ""
        say(f"{played.lack}. What its agents do is shown{drawn}", err=True)
    screen = Screen()
    with interruptible() as interrupted, _stage(screen, wish.per_second, interrupted) as show, hushed():
        for frame in played.frames:
            _fit(screen)
            if not show(frame, still(frame, played.title, played.episodes, screen.width)):
                return


def draw_episodes(wish: PlayWish) -> None:
    """Play without showing, and write pictures.

    Raises:
        ForetellError: There is no policy, it cannot be played or drawn, or a file cannot be written.
    """
    from scenarios.play.picture import MOST_ROWS, Animation, Strip  # noqa: PLC0415 - matplotlib takes half a second

    files = [path for path in (wish.gif, wish.strip) if path is not None]
    for path in files:
        require_new(path)
    if wish.gif == wish.strip:
        raise UserError(f"--gif and --strip are two files: expected two names, found {wish.gif} twice")
    _require_ending("--gif", wish.gif, ".gif")
    _require_ending("--strip", wish.strip, ".png")
    played = playing(wish.wish, "picture", OF_PICTURES)
    if wish.strip is not None and played.episodes > MOST_ROWS:
        found = counted(played.episodes, "episode")
        raise UserError(f"--strip shows an episode a row: expected at most {MOST_ROWS} episodes, found {found}")
    if played.lack:
        raise UserError(played.lack)
    pictures: list[tuple[Path, Animation | Strip]] = []
    if wish.gif is not None:
        pictures.append((wish.gif, Animation(played.title, played.episodes, wish.per_second)))
    if wish.strip is not None:
        pictures.append((wish.strip, Strip(played.title)))
    with interruptible() as interrupted, _bar() as show, hushed():
        ends = _drawn(played, [picture for _, picture in pictures], show, interrupted)
    for path, picture in pictures:
        write_where_asked(path, picture.content())
    for number, frame in enumerate(ends[:_MOST_SAID], played.first):
        say(f"episode {number}: team return {shown(frame.team_return)} in {counted(frame.step, 'step')}")
    if len(ends) > _MOST_SAID:
        say("...")
    for path, _ in pictures:
        say(f"picture          {path}")


def _require_ending(option: str, path: Path | None, ending: str) -> None:
    """See that a file is called what is written into it: who opens it goes by that.

    Raises:
        UserError: It is not.
    """
    if path is not None and path.suffix.lower() != ending:
        raise UserError(f"{option} writes a {ending[1:].upper()}: expected a name that ends in {ending}, found {path}")


def _drawn(
    played: Playing, pictures: list[Animation | Strip], show: Callable[[Frame], None], interrupted: Callable[[], bool]
) -> list[Frame]:
    """Play and draw; the last frame of each episode."""
    ends = []
    for frame in played.frames:
        if interrupted():
            raise KeyboardInterrupt
        for picture in pictures:
            picture.add(frame)
        show(frame)
        if frame.last:
            ends.append(frame)
    return ends


# On the terminal


@contextmanager
def _stage(
    screen: Screen, per_second: float, interrupted: Callable[[], bool]
) -> Iterator[Callable[[Frame, Group], bool]]:
    """Yields what shows a frame, waits for the next one to be due, and says whether anybody is there to see it.

    Raises:
        KeyboardInterrupt: A user wants the end; what was shown last stays.
    """
    moves = screen.is_terminal and not screen.is_dumb_terminal
    live: Live | None = None

    def show(frame: Frame, picture: Group) -> bool:
        nonlocal live
        if interrupted():
            raise KeyboardInterrupt
        if not moves:
            screen.print(picture)
            screen.print()
            return not _nobody_reads(screen)
        if live is None:
            live = Live(console=screen, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            live.start()
        live.update(picture, refresh=True)
        if frame.last:
            live.stop()
            live = None
        _wait(1 / per_second, interrupted)
        return True

    try:
        yield show
    finally:
        if live is not None:
            live.stop()


def _wait(for_s: float, interrupted: Callable[[], bool]) -> None:
    until = time.monotonic() + for_s
    while (left := until - time.monotonic()) > 0 and not interrupted():
        time.sleep(min(left, _LONGEST_SLEEP_S))


def _fit(screen: Screen) -> None:
    """Take the terminal as wide as it is now: rich looks at standard output, which is lent to the environment."""
    if screen.is_terminal and "COLUMNS" not in os.environ:
        try:
            screen.width = os.get_terminal_size(screen.file.fileno()).columns or screen.width
        except (OSError, ValueError):
            return


def _nobody_reads(screen: Screen) -> bool:
    """Whether what is shown goes into a pipe at whose other end nobody is any more."""
    try:
        waiting = select.poll()
        waiting.register(screen.file.fileno(), 0)
        return bool(waiting.poll(0))
    except (OSError, ValueError):
        return False


# Into files


@contextmanager
def _bar() -> Iterator[Callable[[Frame], None]]:
    """How far it is, as long as it takes."""
    columns = (TextColumn("episode {task.fields[episode]}, step {task.fields[step]}", markup=False),)
    console = Screen(stderr=True)
    with Progress(
        *columns, console=console, refresh_per_second=4, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task("", total=None, episode=1, step=0)
        yield lambda frame: progress.update(task, episode=frame.episode + 1, step=frame.step)
