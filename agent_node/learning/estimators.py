"""Networks of an algorithm's own, beside policies and critic: each says one number of a sample.

An algorithm names them (`Algorithm.estimators`), so that what they take of memory, of a share and of the policy folder
is known before a run. They learn as the critic does: one step a round as it opens, by mean squared error, at the
critic's learning rate. Parameters, moments and steps belong to the learner's state; the parameters also to the digest
of the weights and to the policy folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from agent_node.experience.rollout import Batch
from agent_node.learning.networks import Stack
from broker.arithmetic.chosen import kernels
from broker.arithmetic.sizes import Sizes

Sees = Literal["state", "transition"]
Taught = Literal["returns", "rewards"]


class Estimator(NamedTuple):
    """What such a network sees and learns.

    Attributes:
        name: Its own among those of the algorithm.
        sees: state: the observation (S,) that the agent acted on. transition: that one and the next (2 S,).
        learns: Of the agent itself: the discounted return from the sample on, or its reward alone.
    """

    name: str
    sees: Sees
    learns: Taught

    def sizes(self, observation_size: int, hidden: tuple[int, ...]) -> Sizes:
        """Of the network, its hidden layers as wide as all others."""
        return Sizes(observation_size * (2 if self.sees == "transition" else 1), hidden, 1)

    def inputs(self, batch: Batch) -> np.ndarray:
        """(B, I), what it sees of the samples."""
        if self.sees == "state":
            return batch.observations[: batch.samples]
        assert batch.transitions is not None  # noqa: S101 - a rollout keeps them where somebody sees them
        return batch.transitions

    def targets(self, batch: Batch) -> np.ndarray:
        """(B,), what it is to say of them."""
        return batch.returns if self.learns == "returns" else batch.own_rewards


@dataclass(frozen=True)
class Estimated:
    """An estimator in a round.

    Attributes:
        parameters: (P,), its own after this round's step; a copy.
        sizes: Of the network.
        inputs: (B, I), what it sees of the samples.
    """

    parameters: np.ndarray
    sizes: Sizes
    inputs: np.ndarray

    def at_samples(self, parameters: np.ndarray) -> np.ndarray:
        """What a network with these `parameters` (P,) says of the samples, (B,)."""
        said: np.ndarray = kernels.evaluate(self.sizes, parameters[None], [0], self.inputs).outputs[0, :, 0]
        return said


class Estimators:
    """The networks of one agent's algorithm, in the order in which it names them.

    Args:
        named: What each of them is.
        sizes: Of each, by name.
        initial: Draws the parameters (P,) of a network of such sizes, given what it is.
        learning_rate: Adam's step size.
        epsilon: Adam's.
    """

    def __init__(
        self,
        named: Sequence[Estimator],
        sizes: Mapping[str, Sizes],
        initial: Callable[..., np.ndarray],
        learning_rate: float,
        epsilon: float,
    ) -> None:
        self._named = named
        self._stacks = {
            name: Stack(of_it, [initial(of_it, "estimator", name)], learning_rate, epsilon)
            for name, of_it in sizes.items()
        }

    def learn(self, batch: Batch) -> tuple[dict[str, float], bool]:
        """One step of each toward its targets; losses by name, and whether all could take it."""
        losses, all_moved = {}, True
        for each in self._named:
            stack = self._stacks[each.name]
            passed = stack.evaluate([0], each.inputs(batch))
            loss, gradient = squared_error(passed.outputs, each.targets(batch))
            losses[f"{each.name}_loss"] = loss
            all_moved = stack.descend(passed, [0], gradient) and all_moved
        return losses, all_moved

    def in_round(self, batch: Batch) -> dict[str, Estimated]:
        """Each as it is now, by name."""
        stacks = self._stacks
        return {
            each.name: Estimated(stacks[each.name].parameters[0].copy(), stacks[each.name].sizes, each.inputs(batch))
            for each in self._named
        }

    def take(self, mixed: Mapping[str, np.ndarray]) -> None:
        """Put parameters (P,) into the place of own ones."""
        for name, parameters in mixed.items():
            self._stacks[name].parameters[0] = parameters

    def stacks(self) -> dict[str, Stack]:
        """The stacks, by the name under which a learner keeps them."""
        return {state_name(name): stack for name, stack in self._stacks.items()}


def state_name(name: str) -> str:
    """What the names of an estimator's arrays in a learner's state begin with."""
    return f"estimator/{name}"


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean squared error of outputs (1, B + b, 1) from targets (B,), and its gradient by all outputs."""
    samples = len(targets)
    errors = outputs[0, :samples, 0] - targets
    gradient = np.zeros(outputs.shape, np.float32)
    gradient[0, :samples, 0] = errors * np.float32(2 / samples)
    return kernels.total(errors * errors) / samples, gradient
