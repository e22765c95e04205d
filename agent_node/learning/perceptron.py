"""Networks as numpy knows them: cut into layers, evaluated to act, and told apart by a digest.

Axes: R networks, P parameters of one network, B samples, I inputs, O outputs, A actions; float32 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate

import numpy as np

from agent_node.learning.network_sizes import Sizes

Layer = tuple[np.ndarray, np.ndarray]
"""Weight (I, O) and bias (O,): outputs are `inputs @ weight + bias`."""


def layers_of(layout: Sizes, parameters: np.ndarray) -> list[Layer]:
    """The layers of a network, as views into its parameters (P,)."""
    pieces = np.split(parameters, list(accumulate(layout.pieces))[:-1])
    return [
        (pieces[2 * number].reshape(rows, columns), pieces[2 * number + 1])
        for number, (rows, columns) in enumerate(layout.layers)
    ]


class Perceptron:
    """One network, for acting: where its layers are views, it sees every update at once.

    In numpy, whose products of small matrices start up three times faster than torch's.

    Args:
        layers: With ReLU between them.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs (B, O) float32 for `inputs` (B, I) float32."""
        *hidden, (weight, bias) = self._layers
        x = inputs
        for inner_weight, inner_bias in hidden:
            x = x @ inner_weight
            x += inner_bias
            np.maximum(x, 0, out=x)
        outputs: np.ndarray = x @ weight
        outputs += bias
        return outputs


def action_weights(logits: np.ndarray) -> np.ndarray:
    """(B, A) float32 from logits (B, A): by how much each action is likelier than the likeliest one, at most 1."""
    weights: np.ndarray = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
    return weights


def cumulated(weights: np.ndarray) -> np.ndarray:
    """(B, A) float32: sums of `weights` (B, A) up to each action; an action is drawn below the last of them."""
    sums: np.ndarray = np.add.accumulate(weights, axis=1)
    return sums


def weights_digest(policies: np.ndarray, critic: np.ndarray) -> str:
    """SHA-256 over all parameters of an agent: of its policies (R, P) and its critic (1, P)."""
    return sha256(policies.tobytes() + critic.tobytes()).hexdigest()
