"""What agents draw their actions from, seen where they draw them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agent_node.learning import learner as learning
from agent_node.learning.perceptron import action_weights

Look = Callable[[str, memoryview, np.ndarray], None]
"""Told of an agent, the timestep it acted at as it came, and the probabilities (B, A) that it drew from."""


def spy_on_acting(monkeypatch: pytest.MonkeyPatch, episode: int, look: Look) -> None:
    """Let every agent tell, at every step of an episode, what it draws from."""
    drawn_from: list[np.ndarray] = []

    def spied(logits: np.ndarray) -> np.ndarray:
        drawn_from.append(action_weights(logits))
        return drawn_from[-1]

    class Spied(learning.Learner):
        def act(self, step: int, data: memoryview) -> np.ndarray:
            actions = super().act(step, data)
            if self._episode == episode:
                weights = drawn_from[-1]
                look(self._name, data, weights / np.add.accumulate(weights, axis=1)[:, -1:])
            return actions

    monkeypatch.setattr(learning, "action_weights", spied)
    monkeypatch.setattr("agent_node.build.Learner", Spied)
