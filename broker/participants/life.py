"""One life of a participant: where it begins, where it keeps what the next one needs, what was counted before it.

After a crash all participants of a run begin a new life together, with the state they had after a common episode.
Nothing of an earlier life is taken for one of this: the numbers of its messages begin beyond all of those before. Where
participants share a process nothing of an earlier life is under way, and numbers go on where it kept its state: frames
are as long as if nothing had happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from broker.participants.checkpoint import Checkpoints, FileCheckpoints, State
from broker.wire.messages import first_number
from broker.wire.records import Record

if TYPE_CHECKING:
    from broker.participants.link import LifeConfig

_RECORDS, _NUMBERS = "records", "numbers"


class _Held(NamedTuple):
    state: State
    counted: Sequence[Record]
    numbers: Mapping[str, int]


def _numbers(incarnation: int, kept: Mapping[str, int] = MappingProxyType({})) -> defaultdict[str, int]:
    """Numbers of the next messages: what was kept, and the first of a life."""
    return defaultdict(partial(first_number, incarnation), kept)


class ParticipantLife:
    """What a driver knows of it.

    States that are not due are held in memory: copies of the last two, since a process is asked to end at any instant,
    when some participants have ended an episode and others have not, and never by more than one. Participants that
    share a process are asked to end between messages, and let go on until they have `settled`: what each holds is lent,
    the last state as it was given, or copies would double what all of them take.

    Attributes:
        incarnation: Which life it is, from 0.
        checkpoints: Where the states for the next one are kept, or None to keep none.
        counted: What was counted before it.
        numbers: Of the next message to each peer, as it begins.
        newest: The last episode whose state was to be kept in this life; None before the first.

    Args:
        incarnation: As above.
        checkpoints: As above.
        counted: As above.
        numbers: As above; None: those of the incarnation, from the first.
        lent: Whether a state that is held is not copied, and good only as long as the participant is `settled`.
    """

    def __init__(
        self,
        incarnation: int = 0,
        checkpoints: Checkpoints | None = None,
        counted: tuple[Record, ...] = (),
        numbers: defaultdict[str, int] | None = None,
        *,
        lent: bool = False,
    ) -> None:
        self.incarnation = incarnation
        self.checkpoints = checkpoints
        self.counted = counted
        self.numbers = _numbers(incarnation) if numbers is None else numbers
        self.newest: int | None = None
        self._lent = lent
        self._held: dict[int, _Held] = {}

    def keep(
        self, episode: int, state: State, counted: Sequence[Record], numbers: Mapping[str, int], *, due: bool
    ) -> None:
        """Write a checkpoint, or hold it until the next one but one.

        Args:
            episode: After which.
            state: To begin with.
            counted: What has been counted until now.
            numbers: Of the next message to each peer.
            due: Whether it is written.

        Raises:
            OSError: It cannot be written; it is held.
        """
        if self.checkpoints is None:
            return
        self.newest = episode
        before = {each: held for each, held in self._held.items() if each == episode - 1 and not self._lent}
        self._held = before  # before the next is copied: there are never three
        kept = state if self._lent else State({name: each.copy() for name, each in state.arrays.items()}, state.facts)
        self._held = before | {episode: _Held(kept, counted, dict(numbers))}
        if due:
            self._write(self.checkpoints, episode)
            self._held = before

    def leave(self) -> None:
        """Write what is held, the newest first: the participant is asked to end, and may be asked to go on from here.

        Raises:
            OSError: It cannot be written.
        """
        if self.checkpoints is not None:
            for episode in reversed(self._held):
                self._write(self.checkpoints, episode)

    def _write(self, checkpoints: Checkpoints, episode: int) -> None:
        held = self._held[episode]
        records = msgspec.to_builtins(list(held.counted))
        facts = held.state.facts | {_RECORDS: records, _NUMBERS: held.numbers}
        checkpoints.write(episode, State(held.state.arrays, facts))


FIRST_LIFE = ParticipantLife()


def is_due(life: LifeConfig, ended: int, episodes: int) -> bool:
    """Whether every participant writes a checkpoint, from which all can go on, once so many episodes have ended."""
    return ended % life.checkpoint_every == 0 or ended == episodes


def begin_life(
    config: LifeConfig, checkpoints: Checkpoints | None = None, *, together: bool = False, lent: bool = False
) -> tuple[ParticipantLife, State | None]:
    """The life that a participant was told to lead, and the state to begin with, if any.

    Args:
        config: Its slice of the scenario.
        checkpoints: Where its checkpoints are, if not in the folder that the slice names.
        together: Whether participants share a process, so that numbers go on.
        lent: Whether states that are held are not copied; see `ParticipantLife`.

    Raises:
        CheckpointDamaged: The state cannot be read.
    """
    if checkpoints is None and config.checkpoints is not None:
        checkpoints = FileCheckpoints(config.checkpoints)
    if config.after_episode < 0 or checkpoints is None:
        numbers = _numbers(0 if together else config.incarnation)
        return ParticipantLife(config.incarnation, checkpoints, (), numbers, lent=lent), None
    state = checkpoints.read(config.after_episode)
    counted = msgspec.convert(state.facts[_RECORDS], list[Record])
    numbers = _numbers(0, state.facts[_NUMBERS]) if together else _numbers(config.incarnation)
    return ParticipantLife(config.incarnation, checkpoints, tuple(counted), numbers, lent=lent), state
