"""How tests look into a learner: through the state that a checkpoint keeps. Arrays are views, so writing changes it."""

from __future__ import annotations

import numpy as np

from agent_node.learning.learner import Learner


def policies(learner: Learner) -> np.ndarray:
    """(N, P), the parameters of every policy it holds."""
    return learner.state()["actor/parameters"]


def critic(learner: Learner) -> np.ndarray:
    """(P,), the parameters of its critic."""
    return learner.state()["critic/parameters"][0]


def steps(learner: Learner) -> tuple[list[int], list[int]]:
    """How many steps each policy, and the critic, has taken."""
    state = learner.state()
    return state["actor/steps"].tolist(), state["critic/steps"].tolist()
