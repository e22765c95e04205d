"""Where a saved policy is, what its document and its arrays are called, and how a network lies in these.

Without pydantic: whoever only acts reads policies, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from broker.arithmetic.sizes import Layer, Sizes

DOCUMENT = "policy.json"
"""What the arrays are; written last."""
_PARTS = ("weight", "bias")


def place_of_policy(path: Path) -> Path:
    """The folder of a policy, where `path` is that or the folder of a run."""
    inside = path / "policy"
    return inside if inside.is_dir() else path


def holds_policy(folder: Path) -> bool:
    """Whether a folder holds a whole policy: its document is written last."""
    return (folder / DOCUMENT).is_file()


def name_of_policy(agent: str, held_for: str) -> str:
    """What the names of the arrays of a policy begin with."""
    return f"{agent}/actor/{held_for}"


def name_of_training(agent: str, part: str) -> str:
    """Name of an array that training needs beside the networks; `part` is what the agent's checkpoints call it."""
    return f"{agent}/{part}"


def name_of_critic(agent: str) -> str:
    """What the names of the arrays of a critic begin with."""
    return f"{agent}/critic"


def name_of_estimator(agent: str, name: str) -> str:
    """What the names of the arrays of an algorithm's own network begin with."""
    return f"{agent}/estimator/{name}"


def names_of_layers(prefix: str, hidden: int) -> list[str]:
    """Names of all arrays of a network with so many hidden layers, in the order of its parameters."""
    return [f"{prefix}/{layer}/{part}" for layer in range(1 + hidden) for part in _PARTS]


def cut(prefix: str, sizes: Sizes, parameters: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a network by name, as views into its parameters (P,)."""
    arrays = [array for layer in sizes.layers_of(parameters) for array in layer]
    return dict(zip(names_of_layers(prefix, len(sizes.hidden)), arrays, strict=True))


def joined(prefix: str, hidden: int, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The parameters (P,) of a network with so many hidden layers, of all arrays of a policy.

    Raises:
        KeyError: An array is missing.
    """
    return np.concatenate([arrays[name].reshape(-1) for name in names_of_layers(prefix, hidden)])


def layers_in(prefix: str, hidden: int, arrays: Mapping[str, np.ndarray]) -> list[Layer]:
    """The same network as its layers, first to last; raises as `joined` does."""
    found = [arrays[name] for name in names_of_layers(prefix, hidden)]
    return list(zip(found[::2], found[1::2], strict=True))
