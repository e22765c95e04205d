"""What the arrays of a saved policy are called."""

from __future__ import annotations


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
    return [f"{prefix}/{layer}/{part}" for layer in range(1 + hidden) for part in ("weight", "bias")]
