"""Those entries of an environment's journal that one episode needs.

An episode needs nothing of those before it, and what faults do to a message follows from its name: so an environment
that begins with this episode, and hears what belongs to it, does what it did then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from broker.transports.journal import Entry, Polled, Sent, Turn
from broker.wire.codec import read_written
from broker.wire.messages import Action, Faults, Gone, GoOn, Hello, Message, Timestep


def whole_episodes(entries: Iterable[Entry]) -> Iterator[int]:
    """Episodes that were played to their end, each once, in order."""
    newest = -1
    for entry in entries:
        if type(entry) is Sent:
            message = read_written(entry.frame).message
            if type(message) is Timestep and message.last and message.episode > newest:
                newest = message.episode
                yield newest


def entries_of(entries: Iterable[Entry], episode: int) -> Iterator[Entry]:
    """What leads an environment through one episode, if it begins with that; `Sent` entries are its timesteps alone.

    Args:
        entries: Of a whole journal.
        episode: From 0.
    """
    early: list[bytes] = []
    now_s, began = 0.0, False
    for entry in entries:
        if type(entry) is Polled:
            frames = [frame for frame in entry.frames if _concerns(read_written(frame).message, episode)]
            now_s = entry.now_s
            if began:
                yield Polled(now_s, entry.at_s, frames)
            else:
                early += frames
        elif type(entry) is Turn:
            now_s = entry.now_s
            if entry.call == "start" or (began and entry.call == "expire"):
                yield entry
        elif type(entry) is Sent:
            of = _episode_of(entry)
            if of == episode and not began:
                began = True
                yield Polled(now_s, entry.at_s, early)
            if of == episode:
                yield entry
            elif of is not None and of > episode:
                return


def _concerns(message: Message, episode: int) -> bool:
    """Whether an environment that begins with an episode has to hear it."""
    if type(message) is Action or type(message) is GoOn:
        return message.episode == episode
    return type(message) in {Hello, Gone, Faults}


def _episode_of(entry: Sent) -> int | None:
    message = read_written(entry.frame).message
    return message.episode if type(message) is Timestep else None
