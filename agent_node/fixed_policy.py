"""What acts for an agent that never learns: one policy, as it was saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from agent_node.experience.acting_episode import ActingEpisode
from agent_node.learning.fields import Arrays
from broker.arithmetic.sizes import Sizes
from broker.errors import ProtocolViolation

if TYPE_CHECKING:
    from agent_node.config import AgentConfig


class FixedPolicy:
    """The place of a learner in an agent that is evaluated; see `agent_node.protocol.Learns`.

    Drawn actions have the streams of a learner's, but those of an evaluation derive from a seed of its own.

    Args:
        config: The agent's slice of the scenario.
        sizes: Of the policy.
        parameters: Of the policy (P,).
        weights_digest: Of all networks that the agent had when it was saved.
    """

    def __init__(self, config: AgentConfig, sizes: Sizes, parameters: np.ndarray, weights_digest: str) -> None:
        self._config, self._weights_digest = config, weights_digest
        self._acting = ActingEpisode(config, sizes, parameters, follows=False)
        self._greedy = config.acts_only == "greedy"

    def begin_episode(self, episode: int) -> None:
        """Get ready to act in `episode`."""
        self._acting.begin(episode)

    def see(self, step: int, data: memoryview) -> None:
        """Note a timestep without acting on it."""
        self._acting.see(step, data)

    def act(self, step: int, data: memoryview) -> np.ndarray:
        """Actions (E,) int32: drawn from the policy, or the likeliest ones."""
        return self._acting.choose(step, data) if self._greedy else self._acting.draw(step, data)

    def end_episode(self) -> None:
        """Nothing is learned from it."""

    def open_round(self, episode: None, number: int, partners: tuple[str, ...]) -> NoReturn:  # noqa: ARG002
        """There is none."""
        msg = f"{self._config.link.name} is evaluated, and has no round {number}"
        raise AssertionError(msg)

    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None:  # noqa: ARG002
        """Refuse every share."""
        raise ProtocolViolation(f"{source} shares with an agent that is evaluated")

    def close_round(
        self,
        opened: NoReturn,
        shares: Mapping[str, Arrays],  # noqa: ARG002
        stale: Mapping[str, Arrays],  # noqa: ARG002
    ) -> dict[str, float]:
        """There is none."""
        return opened

    def weights_digest(self) -> str:
        """That of the agent whose policy it is, when it was saved."""
        return self._weights_digest

    def state(self) -> Arrays:
        """Nothing changes."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Nothing has changed."""
