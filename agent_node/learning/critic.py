"""The critic of an agent: what its samples are worth, and how it learns that (Eqs. 16 and 17)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent_node.config import LearningConfig
from agent_node.experience.rollout import Batch
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.estimators import squared_error
from agent_node.learning.given import Finite, Taking
from agent_node.learning.networks import Stack
from agent_node.learning.round import Draws
from agent_node.learning.shares import check_form
from agent_node.learning.valuing import Valuing
from broker.arithmetic.kernels import Pass
from broker.user_code import UserCode


class Critic:
    """It values samples as a round opens, and takes a step a round: as it opens, or once what was heard is mixed.

    Attributes:
        stack: Its network.

    Args:
        stack: As above.
        learning: The agent's settings.
        algorithm: What it may step toward, and when.
        user_code: Calls the algorithm.
        finite: Refuses a loss that is not.
    """

    def __init__(
        self, stack: Stack, learning: LearningConfig, algorithm: Algorithm, user_code: UserCode, finite: Finite
    ) -> None:
        self.stack, self._finite = stack, finite
        self._learning, self._algorithm, self._user_code = learning, algorithm, user_code

    @property
    def parameters(self) -> np.ndarray:
        """(P,) float32; a view."""
        parameters: np.ndarray = self.stack.parameters[0]
        return parameters

    def value(self, batch: Batch, now: Draws, kept: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, float]]:
        """Advantages (B,) by the critic as it is, and then its step, unless that waits.

        Args:
            batch: The samples, at least one.
            now: Whose, and in which round of which episode.
            kept: What the algorithm keeps from round to round.

        Returns:
            The advantages, and losses by name.

        Raises:
            UserCodeFailed: What the algorithm steps toward is not what it says, or the loss is not finite.
        """
        passed = self.stack.evaluate([0], batch.observations)
        targets, values = self._targets(batch, now, kept), passed.outputs[0, :, 0]
        if targets is None:
            targets, advantages = batch.returns, self._advantages(batch, values, None)
        else:
            advantages = targets - values[: batch.samples]
        return advantages, {} if self._algorithm.critic_waits else self._step(targets, now, passed)

    def advantages(self, batch: Batch, rewards: np.ndarray | None) -> np.ndarray:
        """Advantages (B,) by the critic as it is, of the agent's own rewards, or of `rewards` (B,) in their place."""
        return self._advantages(batch, self.stack.evaluate([0], batch.observations).outputs[0, :, 0], rewards)

    def catch_up(self, batch: Batch, now: Draws, rewards: np.ndarray | None) -> dict[str, float]:
        """The step that waited; losses by name.

        Args:
            batch: The samples, at least one.
            now: Whose, and in which round of which episode.
            rewards: (B,), in place of the agent's own, or None.

        Raises:
            UserCodeFailed: The loss is not finite.
        """
        returns = batch.returns if rewards is None else batch.returns_of(rewards, self._learning.gamma)
        return self._step(returns, now, self.stack.evaluate([0], batch.observations))

    def _advantages(self, batch: Batch, values: np.ndarray, rewards: np.ndarray | None) -> np.ndarray:
        return batch.advantages(values, self._learning.gamma, self._learning.gae_lambda, rewards)

    def _targets(self, batch: Batch, now: Draws, kept: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """(B,), what it steps toward where the algorithm says so itself."""
        with self._user_code.calling("critic_targets()"):
            targets = self._algorithm.critic_targets(Valuing(batch, self.stack.sizes, self._learning.gamma, kept))
        if targets is None:
            return None
        with Taking(now, f"critic_targets() of {self._algorithm.name}"):
            check_form("targets", targets, (batch.samples,))
        return np.ascontiguousarray(targets)

    def _step(self, targets: np.ndarray, now: Draws, passed: Pass) -> dict[str, float]:
        loss, gradient = squared_error(passed.outputs, targets)
        losses = {"critic_loss": loss}
        self._finite.require_losses(now, losses)
        self._finite.require_moved(now, self.stack.descend(passed, [0], gradient))
        return losses
