"""Calling code that somebody brought, an environment or an algorithm: what it raises becomes one sentence."""

from __future__ import annotations

import linecache
import traceback
from dataclasses import dataclass

from broker.errors import ForetellError, UserCodeFailed

_LONGEST = 300


@dataclass(frozen=True)
class UserCode:
    """An environment or an algorithm that somebody brought.

    Attributes:
        participant: In whom it runs.
        name: What a user calls it.
        module: Where it is; the last line of its package is what a user is shown.
    """

    participant: str
    name: str
    module: str

    def calling(self, what: str) -> Calling:
        """Call a part of it, such as `step()`, within a `with`.

        Raises:
            UserCodeFailed: It raised, or wanted to end the process.
        """
        return Calling(self, what)


class Calling:
    """A call of code that somebody brought, while it is under way; every share is checked in one.

    Args:
        code: Whose code.
        what: Which part of it.
    """

    __slots__ = ("_code", "_what")

    def __init__(self, code: UserCode, what: str) -> None:
        self._code, self._what = code, what

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, ForetellError) or not is_failure(error):
            return
        problem = f"{self._what} of {self._code.name} raised {described(error, self._code.module)}"
        raise UserCodeFailed(self._code.participant, problem) from error


def is_failure(error: BaseException) -> bool:
    """Whether the code failed by itself; a signal that ends the process is raised in the middle of it, too."""
    return isinstance(error, Exception) or type(error) is SystemExit


def described(error: BaseException, module: str) -> str:
    """An exception in one line: what it is, what it says, and the last line of the user's own that led to it."""
    said = on_one_line(str(error))
    return f"{type(error).__name__}{f': {said}' if said else ''}{_last_line_of(error, module)}"


def traceback_of(failure: UserCodeFailed) -> str:
    """What the code raised, at full length, for a log; empty where it raised nothing."""
    return "" if failure.__cause__ is None else "".join(traceback.format_exception(failure.__cause__)).rstrip()


def on_one_line(text: str) -> str:
    """A text from outside, without line breaks and control characters, and not too long."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _last_line_of(error: BaseException, module: str) -> str:
    package, place = module.partition(".")[0], ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package:
            path = frame.f_code.co_filename
            linecache.checkcache(path)
            line = on_one_line(linecache.getline(path, number, frame.f_globals))
            place = f" ({path.rpartition('/')[2]}, line {number}{f': {line}' if line else ''})"
    return place
