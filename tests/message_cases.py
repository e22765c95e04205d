"""Messages with arrays, made of arrays; and the state of what holds messages, for comparing."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from broker.wire.arrays import pack
from broker.wire.messages import Action, Timestep


def timestep_of(
    episode: int,
    step: int,
    attempt: int,
    last: bool,
    observation: np.ndarray,
    reward: np.ndarray,
    ended: np.ndarray,
    neighbors: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> Timestep:
    return Timestep(episode, step, attempt, last, *seen_of(observation, reward, ended, neighbors, mask))


def seen_of(
    observation: np.ndarray,
    reward: np.ndarray,
    ended: np.ndarray,
    neighbors: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> tuple[str, memoryview]:
    """Layout and data of a timestep."""
    arrays = {"observation": observation, "reward": reward, "ended": ended}
    sometimes = {"neighbors": neighbors, "mask": mask}
    return pack(arrays | {name: array for name, array in sometimes.items() if array is not None})


def action_of(episode: int, step: int, attempt: int, actions: np.ndarray) -> Action:
    return Action(episode, step, attempt, *pack({"actions": actions}))


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if hasattr(value, "cache_info"):  # the answers that a function remembers are no state
            return (str, ("lru_cache",))
        return (bytes, (bytes(value),)) if isinstance(value, memoryview) else NotImplemented


def state_of(value: Any) -> bytes:
    """All that `value` holds; arrays of messages by their bytes."""
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()
