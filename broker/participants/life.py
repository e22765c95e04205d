"""One life of a participant: where it begins, where it keeps what the next one needs, what was counted before it.

After a crash all participants of a run begin a new life together, with the state they had after a common episode.
Nothing of an earlier life is taken for one of this: the numbers of its messages begin beyond all of those before.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from broker.participants.checkpoint import Checkpoints, FileCheckpoints, State
from broker.participants.link import LifeConfig
from broker.wire.records import Record

_RECORDS = "records"


class ParticipantLife:
    """What a driver knows of it.

    States that are not due are held in memory, the last two of them: when a run is interrupted, some participants have
    ended an episode and others have not, and never by more than one.

    Attributes:
        incarnation: Which life it is, from 0.
        checkpoints: Where the states for the next one are kept, or None to keep none.
        counted: What was counted before it.
    """

    def __init__(
        self, incarnation: int = 0, checkpoints: Checkpoints | None = None, counted: tuple[Record, ...] = ()
    ) -> None:
        self.incarnation = incarnation
        self.checkpoints = checkpoints
        self.counted = counted
        self._held: dict[int, State] = {}

    def keep(self, episode: int, state: State, counted: Sequence[Record], *, due: bool) -> None:
        """Write a checkpoint, with what has been counted until now, or hold it until the next one but one.

        Raises:
            OSError: It cannot be written; it is held.
        """
        if self.checkpoints is None:
            return
        arrays = {name: array.copy() for name, array in state.arrays.items()}
        kept = State(arrays, state.facts | {_RECORDS: msgspec.to_builtins(list(counted))})
        before = {each: held for each, held in self._held.items() if each == episode - 1}
        self._held = before | {episode: kept}
        if due:
            self.checkpoints.write(episode, kept)
            self._held = before

    def leave(self) -> None:
        """Write what is held, the newest first: the participant is asked to end, and may be asked to go on from here.

        Raises:
            OSError: It cannot be written.
        """
        if self.checkpoints is not None:
            for episode, state in reversed(self._held.items()):
                self.checkpoints.write(episode, state)


FIRST_LIFE = ParticipantLife()


def begin_life(config: LifeConfig, checkpoints: Checkpoints | None = None) -> tuple[ParticipantLife, State | None]:
    """The life that a participant was told to lead, and the state to begin with, if any.

    Args:
        config: Its slice of the scenario.
        checkpoints: Where its checkpoints are, if not in the folder that the slice names.

    Raises:
        CheckpointDamaged: The state cannot be read.
    """
    if checkpoints is None and config.checkpoints is not None:
        checkpoints = FileCheckpoints(config.checkpoints)
    if config.after_episode < 0 or checkpoints is None:
        return ParticipantLife(config.incarnation, checkpoints), None
    state = checkpoints.read(config.after_episode)
    counted = msgspec.convert(state.facts[_RECORDS], list[Record])
    return ParticipantLife(config.incarnation, checkpoints, tuple(counted)), state
