"""Networked multi-agent MDPs small enough for tables (Section 3), and what follows from a joint policy exactly.

Axes: N agents, S states, A own actions of every agent, J = A^N joint actions, agent 0's action changing slowest.
All tables are float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mmdp:
    """A networked MMDP; the graph plays no part in the theorems.

    Attributes:
        transitions: (S, J, S), the probability of each next state.
        rewards: (N, S, J), each agent's private reward.
        start: (S,), the distribution of the first state.
        discount: gamma, in [0, 1).
    """

    transitions: np.ndarray
    rewards: np.ndarray
    start: np.ndarray
    discount: float


@dataclass(frozen=True)
class Values:
    """Each agent's values under one joint policy (Eqs. 2 and 3).

    Attributes:
        v: (N, S).
        q: (N, S, J).
    """

    v: np.ndarray
    q: np.ndarray

    @property
    def advantages(self) -> np.ndarray:
        """A_i (N, S, J) (Eq. 2)."""
        advantages: np.ndarray = self.q - self.v[:, :, None]
        return advantages


def joint(policies: np.ndarray) -> np.ndarray:
    """The joint policy (S, J), a product of the agents' policies (N, S, A)."""
    product: np.ndarray = np.ones((policies.shape[1], 1))
    for policy in policies:
        product = (product[:, :, None] * policy[:, None, :]).reshape(len(policy), -1)
    return product


def evaluate(mmdp: Mmdp, policy: np.ndarray) -> Values:
    """The values of a joint policy (S, J), from the Bellman equation as a linear system."""
    expected = np.einsum("sj,nsj->sn", policy, mmdp.rewards)
    v = np.linalg.solve(_resolvent(mmdp, policy), expected).T
    return Values(v, mmdp.rewards + mmdp.discount * np.einsum("sjt,nt->nsj", mmdp.transitions, v))


def visitation(mmdp: Mmdp, policy: np.ndarray) -> np.ndarray:
    """sum_t gamma^t P(s_t = s) (S,) from the MMDP's start (Eq. 27); it sums to 1 / (1 - gamma)."""
    return np.linalg.solve(_resolvent(mmdp, policy).T, mmdp.start)


def stationary(mmdp: Mmdp, policy: np.ndarray) -> np.ndarray:
    """The stationary distribution (S,) of the states under a joint policy (S, J); it has to be the only one."""
    states = len(mmdp.start)
    system = np.vstack([np.eye(states) - _moves(mmdp, policy).T, np.ones(states)])
    solution: np.ndarray = np.linalg.lstsq(system, np.append(np.zeros(states), 1.0), rcond=None)[0]
    return solution


def _moves(mmdp: Mmdp, policy: np.ndarray) -> np.ndarray:
    """P_pi (S, S)."""
    moves: np.ndarray = np.einsum("sj,sjt->st", policy, mmdp.transitions)
    return moves


def _resolvent(mmdp: Mmdp, policy: np.ndarray) -> np.ndarray:
    """I - gamma P_pi (S, S)."""
    resolvent: np.ndarray = np.eye(len(mmdp.start)) - mmdp.discount * _moves(mmdp, policy)
    return resolvent
