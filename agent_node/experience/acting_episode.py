"""The episode that an agent acts in: one that learns and one that never does draw alike, by the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent_node.experience import masks
from agent_node.experience.rollout import Batch, Rollout
from broker.arithmetic.chosen import kernels
from broker.arithmetic.draws import single_uniforms
from broker.arithmetic.kernels import Acting
from broker.arithmetic.sizes import Sizes
from broker.seeding import generator

if TYPE_CHECKING:
    from agent_node.config import AgentConfig


class ActingEpisode:
    """What an agent sees in an episode, and what its policy does about it; begun anew for each episode.

    Attributes:
        number: Of the episode, from 0; -1 before the first.
        policy: What is acted with, and on.

    Args:
        config: The agent's slice of the scenario.
        sizes: Of the policy.
        parameters: Of the policy (P,); a view, so it acts with what stands there at the time.
        follows: Whether the samples also hold transitions.
    """

    def __init__(self, config: AgentConfig, sizes: Sizes, parameters: np.ndarray, *, follows: bool) -> None:
        self.number = -1
        self._link = config.link
        name, counts = config.link.name, config.action_counts
        near = len(config.neighbors[name]) if config.proximity else None
        actions = (counts[name], max(counts.values())) if config.masks else None
        self._rollout = Rollout(
            *(config.steps, config.parallel_episodes, config.observation_size, near, actions), follows=follows
        )
        self.policy = Acting(
            sizes=sizes,
            parameters=parameters,
            observations=self._rollout.observed,
            possible=self._rollout.possible,
            uniforms=np.zeros((config.steps, config.parallel_episodes), np.float32),
            actions=self._rollout.actions,
            count=counts[name],
        )

    def begin(self, episode: int) -> None:
        """Get ready to act in `episode`."""
        self.number = episode
        self._rollout.begin()
        stream = generator(self._link.seed, self._link.name, "actions", self._link.episodes_before + episode)
        self.policy.uniforms[...] = single_uniforms(stream, self.policy.uniforms.shape)

    def see(self, step: int, data: memoryview) -> None:
        """Note a timestep, as `broker.wire.messages.timestep_layout` lays it out, without acting on it."""
        self._rollout.see(step, data)

    def draw(self, step: int, data: memoryview) -> np.ndarray:
        """Actions (E,) int32 drawn from the policy at a timestep."""
        self._rollout.see(step, data)
        actions = kernels.act(self.policy, step)
        self._rollout.acted(step)
        return actions

    def choose(self, step: int, data: memoryview) -> np.ndarray:
        """The likeliest actions (E,) int32 at a timestep; nobody learns from what was chosen so."""
        self._rollout.see(step, data)
        policy = self.policy
        outputs = kernels.evaluate(policy.sizes, policy.parameters[None], (0,), policy.observations[step]).outputs
        logits = outputs[0, :, : policy.count]
        if policy.possible is not None:
            logits = np.where(policy.possible[step], logits, np.float32(masks.IMPOSSIBLE))
        likeliest: np.ndarray = logits.argmax(axis=1).astype(np.int32)
        return likeliest

    def close(self, gamma: float, bootstrap: bool) -> Batch:
        """The samples; see `Rollout.close`."""
        return self._rollout.close(gamma, bootstrap)
