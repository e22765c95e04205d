"""What agents draw their actions from, seen where they draw them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agent_node.learning import learner as learning
from broker.arithmetic.chosen import kernels
from broker.arithmetic.kernels import Acting

Look = Callable[[str, memoryview, np.ndarray], None]
"""Told of an agent, the timestep it acted at as it came, and the probabilities (B, A) that it drew from."""


def spy_on_acting(monkeypatch: pytest.MonkeyPatch, episode: int, look: Look) -> None:
    """Let every agent tell, at every step of an episode, what it draws from."""

    class Spied(learning.Learner):
        def act(self, step: int, data: memoryview) -> np.ndarray:
            actions = super().act(step, data)
            if self._acting.number == episode:
                look(self._name, data, drawn_from(self._acting.policy, step, actions))
            return actions

    monkeypatch.setattr("agent_node.build.Learner", Spied)


def drawn_from(acting: Acting, step: int, actions: np.ndarray) -> np.ndarray:
    """The probabilities (B, A) that `actions` (B,) were drawn from: with these, the draws of the step give them."""
    seen = np.ascontiguousarray(acting.observations[step])
    logits = kernels.evaluate(acting.sizes, acting.parameters[None], [0], seen).outputs[0, :, : acting.count]
    possible = None if acting.possible is None else np.ascontiguousarray(acting.possible[step])
    weights = kernels.weights(np.ascontiguousarray(logits), possible)
    sums = np.add.accumulate(weights, axis=1)
    below = sums[:, :-1] <= acting.uniforms[step][:, None] * sums[:, -1:]
    np.testing.assert_array_equal(actions, np.count_nonzero(below, axis=1))
    probabilities: np.ndarray = weights / sums[:, -1:]
    return probabilities
