"""An episode that is over: what an agent learns from in the rounds after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agent_node.experience.rollout import Batch


@dataclass(frozen=True)
class Episode:
    """What the rounds of an episode start from; they leave it as it is.

    Attributes:
        number: From 0.
        batch: The samples.
        rows_in_range: For each potential neighbor the samples at which it was in range (int64 indices), or None for
            all.
        behaviour: (N, P) float32, parameters of all policies when the episode ended, if ratios refer to them.
    """

    number: int
    batch: Batch
    rows_in_range: Mapping[str, np.ndarray | None]
    behaviour: np.ndarray | None

    def rows_for(self, neighbor: str) -> int:
        """Number of samples at which `neighbor` was in range."""
        rows = self.rows_in_range[neighbor]
        return self.batch.samples if rows is None else len(rows)

    def index_for(self, neighbor: str) -> np.ndarray:
        """Positions, in the flattened (T, E) grid, of the samples at which `neighbor` was in range."""
        rows = self.rows_in_range[neighbor]
        index: np.ndarray = self.batch.index if rows is None else self.batch.index[rows]
        return index


def rows_in_range(batch: Batch, neighbors: tuple[str, ...]) -> dict[str, np.ndarray | None]:
    """For each of the potential `neighbors` the samples at which it was in range, or None for all."""
    if batch.in_range is None:
        return dict.fromkeys(neighbors)
    rows = [np.flatnonzero(mask) for mask in batch.in_range]
    return {
        neighbor: None if len(index) == batch.samples else index
        for neighbor, index in zip(neighbors, rows, strict=True)
    }
