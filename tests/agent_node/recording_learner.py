"""A learner that learns nothing and remembers everything it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Opened:
    """A round of a learner that records."""

    episode: int
    number: int
    outgoing: dict[str, Arrays]


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
        self.episode = -1
        self.stale: list[dict[str, list[int]]] = []
        self._acts = 0

    def begin_episode(self, episode: int) -> None:
        self.calls.append(("begin_episode", episode))
        self.episode = episode

    def act(self, step: int, data: memoryview) -> np.ndarray:
        self.calls.append(("act", step))
        self._acts += 1
        return np.full(self.copies, self._acts % 5, np.int32)

    def see(self, step: int, data: memoryview) -> None:
        self.calls.append(("see", step))

    def end_episode(self) -> int:
        self.calls.append(("end_episode",))
        return self.episode

    def open_round(self, episode: int, number: int, partners: tuple[str, ...]) -> Opened:
        self.calls.append(("open_round", partners))
        assert episode == self.episode
        outgoing = {
            partner: stamp(self.name, partner, episode, number)
            for partner in partners
            if partner not in self.silent_towards
        }
        return Opened(episode, number, outgoing)

    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None:
        if (arrays["stamp"] < 0).any():
            raise ProtocolViolation("stamp: expected a stamp")

    def close_round(
        self, opened: Opened, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays]
    ) -> dict[str, float]:
        self.calls.append(("close_round", tuple(shares)))
        self.stale.append({name: said["stamp"].tolist() for name, said in stale.items()})
        heard = {name: said["stamp"].tolist() for name, said in shares.items()}
        self.closed.append((opened.episode, opened.number, heard))
        return {"gain": float(opened.number)}

    def weights_digest(self) -> str:
        return f"digest of {self.name}"

    def state(self) -> Arrays:
        return {"acts": np.array([self._acts])}

    def restore(self, state: Arrays) -> None:
        self._acts = int(state["acts"][0])
