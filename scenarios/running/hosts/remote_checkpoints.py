"""The checkpoints of a participant that lives on another host, where they stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import safetensors.numpy as tensors

from broker.errors import CheckpointDamaged
from broker.participants.checkpoint import State
from scenarios.running.hosts.frames import ForgetKept, IntactKept, NewestKept, PruneKept, ReadKept, Request

Ask = Callable[[Request], Any]


def checkpoint_bytes(state: State) -> tuple[bytes, str]:
    """Arrays and facts of a state, to cross a pipe."""
    arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
    return tensors.save(arrays), json.dumps(state.facts, allow_nan=False)


class RemoteCheckpoints:
    """See `broker.participants.checkpoint.Checkpoints`.

    Args:
        name: Whose.
        ask: Asks the host.
    """

    def __init__(self, name: str, ask: Ask) -> None:
        self._name, self._ask = name, ask

    def write(self, episode: int, state: State) -> NoReturn:  # noqa: ARG002
        """Nobody but the participant itself writes them."""
        msg = f"{self._name} keeps its checkpoint of episode {episode} itself"
        raise AssertionError(msg)

    def read(self, episode: int) -> State:
        """The state after `episode`."""
        found = self._ask(ReadKept(self._name, episode))
        if found is None:
            raise CheckpointDamaged(f"{self._name}, episode {episode}", "it is not what was written")
        arrays, facts = found
        return State(tensors.load(arrays), json.loads(facts))

    def intact(self) -> set[int]:
        """The episodes whose state can be read."""
        return set(self._ask(IntactKept(self._name)))

    def prune(self, keep_from: int) -> None:
        """Forget those of episodes before `keep_from`."""
        self._ask(PruneKept(self._name, keep_from))

    def forget_after(self, episode: int) -> None:
        """Forget those of later episodes."""
        self._ask(ForgetKept(self._name, episode))

    def newest(self, count: int) -> list[int]:
        """The last `count` episodes of which something is kept."""
        return list(self._ask(NewestKept(self._name, count)))
