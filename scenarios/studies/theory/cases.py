"""Random cases: every one is a function of the study's seed and of its own index.

Cases take shapes and recipes in turn. A recipe says how far the new policies and the anticipations are; searched
recipes then climb toward the case that leaves a theorem the least room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.random import Generator

from broker.seeding import generator
from scenarios.studies.theory.bounds import CLAIMS, Bound, Instance
from scenarios.studies.theory.mmdp import Mmdp

SEARCH_STEPS = 300
"""Changes that a searched case tries."""
SMALLEST_STEP, LARGEST_STEP = 1e-3, 0.3
"""Range of near policies: standard deviation of the change of a logarithm of a probability."""


@dataclass(frozen=True)
class Shape:
    """Sizes of an MMDP.

    Attributes:
        agents: N.
        states: S.
        actions: A, of each agent.
        discount: gamma.
    """

    agents: int
    states: int
    actions: int
    discount: float

    @property
    def entries(self) -> int:
        """Size of the table of rewards."""
        return self.agents * self.states * self.joint_actions

    @property
    def joint_actions(self) -> int:
        """J."""
        return int(self.actions**self.agents)


@dataclass(frozen=True)
class Recipe:
    """How the policies of a case are drawn.

    Attributes:
        name: In tables.
        old: `random` or `deterministic`.
        new: `same`, `near`, `random` or `deterministic`.
        anticipations: `true` (equal to the new policies), `near`, `random` or `deterministic`.
        searched: The theorem whose room is then made as small as the search can; None for no search.
    """

    name: str
    old: str
    new: str
    anticipations: str
    searched: int | None = None


SHAPES = tuple(
    Shape(agents, states, actions, discount)
    for (agents, states, actions), discount in product(
        ((2, 2, 2), (2, 5, 3), (2, 32, 2), (3, 4, 2), (3, 8, 3), (4, 6, 2)), (0.5, 0.9, 0.99)
    )
)
RECIPES = (
    Recipe("identical", "random", "same", "true"),
    Recipe("same policy, anticipations random", "random", "same", "random"),
    Recipe("near, anticipations true", "random", "near", "true"),
    Recipe("near, anticipations near", "random", "near", "near"),
    Recipe("near, anticipations random", "random", "near", "random"),
    Recipe("random, anticipations true", "random", "random", "true"),
    Recipe("random, anticipations random", "random", "random", "random"),
    Recipe("deterministic to random", "deterministic", "random", "random"),
    Recipe("all deterministic", "deterministic", "deterministic", "deterministic"),
    Recipe("searched for Theorem 1", "random", "near", "near", searched=1),
    Recipe("searched for Theorem 2", "random", "near", "near", searched=2),
    Recipe("searched for Theorem 3", "random", "near", "near", searched=3),
)
INSTANCES = 6 * len(SHAPES) * len(RECIPES)
"""Six cases of each shape and recipe."""


def shape_of(index: int) -> Shape:
    """The sizes of case `index`."""
    return SHAPES[index % len(SHAPES)]


def recipe_of(index: int) -> Recipe:
    """The recipe of case `index`."""
    return RECIPES[index // len(SHAPES) % len(RECIPES)]


def draw_case(seed: int, index: int) -> Instance:
    """Instance `index` of a study."""
    draws, recipe = generator(seed, "theory", index), recipe_of(index)
    case = _draw(draws, shape_of(index), recipe)
    if recipe.searched is None:
        return case
    return search(case, CLAIMS[recipe.searched - 1], draws, SEARCH_STEPS)


def search(case: Instance, claim: Bound, draws: Generator, steps: int) -> Instance:
    """Hill climbing over policies, anticipations, rewards and transitions toward a claim's whole allowance.

    Args:
        case: Where it begins.
        claim: The slack itself is smallest where nothing moves; the share of the allowance in use is what shows how
            near a claim is to being false.
        draws: Proposes changes.
        steps: Number of changes tried.
    """
    best, reached = case, claim.at(case).share or 0.0
    for _ in range(steps):
        proposed = _changed(best, draws)
        share = claim.at(proposed).share or 0.0
        if share > reached:
            best, reached = proposed, share
    return best


def random_mmdp(draws: Generator, shape: Shape) -> Mmdp:
    """Normal rewards; next states between nearly even and nearly certain, with a random tendency to stay."""
    evenness = 5.0 ** draws.uniform(-1, 0)
    moves = draws.dirichlet(np.full(shape.states, evenness), size=(shape.states, shape.joint_actions))
    stay = draws.uniform()
    return Mmdp(
        transitions=(1 - stay) * moves + stay * np.eye(shape.states)[:, None],
        rewards=draws.normal(size=(shape.agents, shape.states, shape.joint_actions)),
        start=draws.dirichlet(np.ones(shape.states)),
        discount=shape.discount,
    )


def _draw(draws: Generator, shape: Shape, recipe: Recipe) -> Instance:
    sizes = (shape.agents, shape.states, shape.actions)
    mmdp = random_mmdp(draws, shape)
    old = _POLICIES[recipe.old](draws, np.ones(sizes))
    new = _POLICIES[recipe.new](draws, old)
    true = np.broadcast_to(new, (shape.agents, *sizes))
    return Instance(mmdp, old, new, _POLICIES[recipe.anticipations](draws, true))


def _same(_: Generator, policies: np.ndarray) -> np.ndarray:
    return policies.copy()


def _near(draws: Generator, policies: np.ndarray) -> np.ndarray:
    return _moved(draws, policies, np.exp(draws.uniform(np.log(SMALLEST_STEP), np.log(LARGEST_STEP))))


def _random(draws: Generator, policies: np.ndarray) -> np.ndarray:
    return draws.dirichlet(np.ones(policies.shape[-1]), size=policies.shape[:-1])


def _deterministic(draws: Generator, policies: np.ndarray) -> np.ndarray:
    actions = policies.shape[-1]
    return np.eye(actions)[draws.integers(actions, size=policies.shape[:-1])]


_POLICIES: dict[str, Callable[[Generator, np.ndarray], np.ndarray]] = {
    "same": _same,
    "true": _same,
    "near": _near,
    "random": _random,
    "deterministic": _deterministic,
}


def _moved(draws: Generator, distributions: np.ndarray, size: float) -> np.ndarray:
    """Distributions over the last axis whose logarithms have moved by normal steps of a size."""
    weights = distributions * np.exp(size * draws.normal(size=distributions.shape))
    moved: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return moved


def _changed(case: Instance, draws: Generator) -> Instance:
    """A case with one of its tables moved."""
    size, mmdp = 10.0 ** draws.uniform(-2, 0.5), case.mmdp
    match draws.integers(5):
        case 0:
            return replace(case, old=_moved(draws, case.old, size))
        case 1:
            return replace(case, new=_moved(draws, case.new, size))
        case 2:
            return replace(case, anticipations=_moved(draws, case.anticipations, size))
        case 3:
            return replace(case, mmdp=replace(mmdp, transitions=_moved(draws, mmdp.transitions, size)))
        case _:
            rewards = mmdp.rewards + size * draws.normal(size=mmdp.rewards.shape)
            return replace(case, mmdp=replace(mmdp, rewards=rewards))
