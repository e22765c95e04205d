"""A learner that learns nothing and remembers everything it was asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from broker.errors import ProtocolViolation

Arrays = dict[str, np.ndarray]


def stamp(source: str, destination: str, episode: int, round_: int) -> Arrays:
    """A share that says what it is."""
    ends = [int(name.removeprefix("agent-")) for name in (source, destination)]
    return {"stamp": np.array([*ends, episode, round_], np.int32)}


def bad() -> Arrays:
    """A share that no correct neighbor sends."""
    return {"stamp": np.full(4, -1, np.int32)}


class RecordingLearner:
    """Every action and every share is new and says when it was made, so asking twice would show.

    Args:
        name: Whose learner.
        copies: E.
        silent_towards: Neighbors with which nothing is exchanged.
    """

    def __init__(self, name: str, copies: int, silent_towards: tuple[str, ...] = ()) -> None:
        self.name, self.copies, self.silent_towards = name, copies, silent_towards
        self.calls: list[tuple[object, ...]] = []
        self.closed: list[tuple[int, int, dict[str, list[int]]]] = []
        self.episode = self.round = -1
        self.stale: list[dict[str, list[int]]] = []
        self._acts = 0

    def begin_episode(self, episode: int) -> None:
        self.calls.append(("begin_episode", episode))
        self.episode, self.round = episode, -1

    def act(self, step: int, data: memoryview) -> np.ndarray:
        self.calls.append(("act", step))
        self._acts += 1
        return np.full(self.copies, self._acts % 5, np.int32)

    def see(self, step: int, data: memoryview) -> None:
        self.calls.append(("see", step))

    def end_episode(self) -> None:
        self.calls.append(("end_episode",))

    def open_round(self, partners: tuple[str, ...]) -> dict[str, Arrays]:
        self.calls.append(("open_round", partners))
        self.round += 1
        return {
            partner: stamp(self.name, partner, self.episode, self.round)
            for partner in partners
            if self.exchanges_with(partner)
        }

    def exchanges_with(self, neighbor: str) -> bool:
        return neighbor not in self.silent_towards

    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None:
        if (arrays["stamp"] < 0).any():
            raise ProtocolViolation("stamp: expected a stamp")

    def close_round(self, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays]) -> dict[str, float]:
        self.calls.append(("close_round", tuple(shares)))
        self.stale.append({name: said["stamp"].tolist() for name, said in stale.items()})
        self.closed.append((self.episode, self.round, {name: said["stamp"].tolist() for name, said in shares.items()}))
        return {"gain": float(self.round)}

    def weights_digest(self) -> str:
        return f"digest of {self.name}"
