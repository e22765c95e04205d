"""Cases made by hand, small enough to check on paper: where a reading fails, and where Theorem 2 is attained.

Two agents with two actions each; only the first agent is paid, so the second's advantages are 0. Joint actions are in
the order (0, 0), (0, 1), (1, 0), (1, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenarios.studies.theory.bounds import Instance
from scenarios.studies.theory.mmdp import Mmdp

_FIRST, _SECOND = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])


@dataclass(frozen=True)
class Worked:
    """A case made by hand for one claim.

    Attributes:
        claim: Its key.
        says: What the case is and what the sides come to, in words.
        case: The tables.
    """

    claim: str
    says: str
    case: Instance


def one_state() -> Instance:
    """One state, gamma = 1/2: agent 0 gets 1 when agent 1 takes action 0, whose probability goes from 0.5 to 0.45."""
    mmdp = Mmdp(np.ones((1, 4, 1)), _rewards((_SECOND == 0)[None]), np.ones(1), 0.5)
    old = np.full((2, 1, 2), 0.5)
    new = np.array([[[0.5, 0.5]], [[0.45, 0.55]]])
    wish = np.stack([new, new])
    wish[0, 1] = [[1.0, 0.0]]
    return Instance(mmdp, old, new, wish)


def drifting(stay: float, step: float) -> Instance:
    """Two states, gamma = 1/2: state 1 pays 1 and agent 0 chooses the next state, unless the state stays.

    Args:
        stay: Probability that the state does not move, whatever is done.
        step: How far the probability of choosing state 1 falls from 0.5.
    """
    chosen = np.eye(2)[_FIRST][None].repeat(2, axis=0)
    moves = (1 - stay) * chosen + stay * np.eye(2)[:, None]
    mmdp = Mmdp(moves, _rewards(np.array([[0.0], [1.0]]).repeat(4, axis=1)), np.array([0.5, 0.5]), 0.5)
    old = np.full((2, 2, 2), 0.5)
    new = old.copy()
    new[0] = [0.5 + step, 0.5 - step]
    return Instance(mmdp, old, new, np.stack([new, new]))


def many_alike() -> Instance:
    """Twenty states that are all alike, gamma = 0.9: agent 0 gets 1 for action 0, taken with 0.4875 instead of 0.5."""
    states = 20
    even = np.full((states, 4, states), 1 / states)
    mmdp = Mmdp(even, _rewards((_FIRST == 0)[None].repeat(states, axis=0)), np.full(states, 1 / states), 0.9)
    old = np.full((2, states, 2), 0.5)
    new = old.copy()
    new[0] = [0.4875, 0.5125]
    return Instance(mmdp, old, new, np.stack([new, new]))


def attained() -> Instance:
    """Two states, gamma = 0: agent 0 gets 1 or -1 by agent 1's action, which is 1 and which it would like to be 0."""
    pay = np.where(_SECOND == 0, 1.0, -1.0)[None].repeat(2, axis=0)
    mmdp = Mmdp(np.full((2, 4, 2), 0.5), _rewards(pay), np.array([0.5, 0.5]), 0.0)
    old = np.full((2, 2, 2), 0.5)
    new = old.copy()
    new[1] = [0.0, 1.0]
    wish = np.stack([new, new])
    wish[0, 1] = [1.0, 0.0]
    return Instance(mmdp, old, new, wish)


def _rewards(first: np.ndarray) -> np.ndarray:
    """(2, S, 4): what the first agent is paid, and nothing for the second."""
    return np.stack([first.astype(np.float64), np.zeros(first.shape)])


WORKED = (
    Worked(
        "theorem-1-distribution",
        "One state, gamma = 0.5. Agent 0 gets 1 when agent 1 takes action 0, whose probability goes from 0.5 to 0.45. "
        "The return falls from 1 to 0.9. The expected advantage is -0.05 a step; over 1/(1 - gamma) = 2 discounted "
        "visits that is the whole loss of 0.1, but as an expectation under a distribution it is only half of it, and "
        "C D_KL = 4 x 0.00503 = 0.0201 does not make up for the other half.",
        one_state(),
    ),
    Worked(
        "theorem-1-start",
        "Two states, gamma = 0.5. State 1 pays 1, and agent 0 chooses the next state: state 1 with 0.45 instead of "
        "0.5. Each policy starts from its own stationary distribution, so the first state is worse as well; no "
        "advantage counts that. The return falls from 1 to 0.9, zeta is -0.05 and C D_KL = 2 x 0.00503 = 0.0101.",
        drifting(stay=0.0, step=0.05),
    ),
    Worked(
        "theorem-3-distribution",
        "Twenty states that are all alike, gamma = 0.9, anticipations true. Agent 0 gets 1 for action 0, taken with "
        "0.4875 instead of 0.5. The return falls by 0.125; zeta is -0.0125, C sum D_KL = 0.0563, f = 1/20.",
        many_alike(),
    ),
    Worked(
        "theorem-3-start",
        "As the second case, but a state stays as it is with probability 0.99, anticipations are true and the "
        "probability goes from 0.5 to 0.25. Values of the two states are far apart, advantages are tiny and with them "
        "C and f, and the first state's distribution moves as before: the return falls from 1 to 0.5.",
        drifting(stay=0.99, step=0.25),
    ),
    Worked(
        "eq-31-printed",
        "As the first case. Agent 0 would like agent 1 to take action 0 for certain: zeta(anticipated) - zeta(new) = "
        "2 x (0.5 + 0.05) = 1.1. The printed right side is 0, because sums over actions of the difference of two "
        "distributions are 0.",
        one_state(),
    ),
    Worked(
        "theorem-2",
        "Not a counterexample: two states, gamma = 0. Agent 0 gets 1 where agent 1 takes action 0 and -1 where it "
        "takes action 1; agent 1 takes 1, agent 0 would like 0. Both sides are 2, so no constant in Theorem 2 can be "
        "made smaller.",
        attained(),
    ),
)
"""Checked with every study, beside the drawn cases."""
