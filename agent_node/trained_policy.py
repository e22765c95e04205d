"""What a run has taught its agents, for whoever wants to use it: a function from observations to probabilities.

policies = load_policies(Path("runs/exchange-quick-seed1-1/policy"))
probabilities = policies["agent-0"](observations)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from agent_node.learning.fields import Arrays
from agent_node.policy_document import LearnedAgent
from agent_node.policy_files import joined, name_of_policy
from agent_node.policy_folder import read_policy
from broker.arithmetic.chosen import kernels
from broker.errors import UserError


class TrainedPolicy:
    """The policy of one agent, as the agent itself would act next.

    Attributes:
        agent: Whose.
        learned: How far it had come, and its spaces.

    Args:
        agent: Its name.
        learned: What `policy.json` says of it.
        arrays: All arrays of the folder.

    Raises:
        UserError: Its arrays are not there.
    """

    def __init__(self, agent: str, learned: LearnedAgent, arrays: Arrays) -> None:
        self.agent, self.learned = agent, learned
        self._sizes = learned.actor.sizes
        try:
            self._parameters = joined(name_of_policy(agent, agent), len(learned.actor.hidden), arrays)[None]
        except KeyError as missing:
            msg = f"the policy of {agent} cannot be used: the array {missing} is missing"
            raise UserError(msg) from None

    def __call__(self, observations: ArrayLike, possible: ArrayLike | None = None) -> np.ndarray:
        """Probabilities (B, A) float32 of each action, for observations (B, S), taken as float32.

        Where the environment masks actions, `possible` (B, A) says by 1 or 0 which are; the others have probability 0.

        They are those that the agent draws from, bit for bit.

        Raises:
            UserError: The observations have another shape or are not finite, or `possible` is no mask of them.
        """
        seen = np.require(observations, np.float32, ("C", "ALIGNED"))
        shape = self.learned.observation_space.shape
        if seen.ndim != 2 or seen.shape[1:] != shape:
            msg = f"the policy of {self.agent} expects observations of shape (any, {shape[0]}), found {seen.shape}"
            raise UserError(msg)
        self._require_finite(seen)
        outputs = kernels.evaluate(self._sizes, self._parameters, (0,), seen).outputs[0]
        logits = np.ascontiguousarray(outputs[:, : self.learned.action_space.n])
        weights = kernels.weights(logits, None if possible is None else self._mask(possible, len(seen)))
        probabilities: np.ndarray = weights / kernels.summed_last(weights)[:, None]
        return probabilities

    def _require_finite(self, seen: np.ndarray) -> None:
        """Refuse observations of which no probabilities come."""
        if np.isfinite(seen).all():
            return
        row, place = (int(index) for index in np.argwhere(~np.isfinite(seen))[0])
        found = f"{seen[row, place]:g} in place {place} of row {row}"
        raise UserError(f"the policy of {self.agent} expects finite numbers within float32, found {found}")

    def _mask(self, possible: ArrayLike, rows: int) -> np.ndarray:
        """(B, A) bool; refuses what is no mask."""
        mask, shape = np.asarray(possible), (rows, self.learned.action_space.n)
        found = f"shape {mask.shape}"
        if mask.shape == shape:
            neither, empty = ~np.isin(mask, (0, 1)), ~mask.any(axis=1)
            if not (neither.any() or empty.any()):
                return np.ascontiguousarray(mask, np.bool_)
            found = f"none in row {int(np.argmax(empty))}"
            if neither.any():
                row, place = (int(index) for index in np.argwhere(neither)[0])
                found = f"{mask.item((row, place))!r} in place {place} of row {row}"
        expected = f"a mask of shape {shape}, a 1 or 0 for each action and a 1 in every row"
        raise UserError(f"the policy of {self.agent} expects {expected}, found {found}")


def load_policies(folder: str | Path) -> dict[str, TrainedPolicy]:
    """The policies that a run has ended with.

    Args:
        folder: `policy/` in the run's folder, or a copy of it.

    Returns:
        By agent, in the agents' order, a function from observations (B, S) to probabilities (B, A); an agent that died
        before it kept anything is left out.

    Raises:
        UserError: There is no policy, it is of another version, or it is damaged.
    """
    document, arrays = read_policy(Path(folder))
    return {
        agent: TrainedPolicy(agent, learned, arrays)
        for agent, learned in document.agents.items()
        if learned.after_episode is not None
    }
