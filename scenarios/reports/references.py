"""Returns that a task makes possible at best and at worst, to draw and to normalize by. Pure: no I/O, no clock.

The paper gives no formula for its normalized returns; these are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from broker.seeding import generator
from env_service.config import (
    EnvironmentConfig,
    ExchangeTaskConfig,
    NavigationConfig,
    PredationConfig,
    SimpleSpreadConfig,
)
from env_service.environments import make_task

_MOST_GAMES, _FEWEST_GAMES = 4096, 64
_NUMBERS_AT_ONCE = 1 << 20
"""Of games that are played at once, a number for each pair of agents and each cell: some 200 MB at most."""


@dataclass(frozen=True)
class ReferenceLine:
    """A team return worth a dotted line."""

    label: str
    value: float


@dataclass(frozen=True)
class References:
    """What team returns of a task are measured by.

    Attributes:
        lines: To draw.
        zero: Team return that normalizes to 0.
        one: Team return that normalizes to 1.
        one_of_any_number: Team return that normalizes to 1 where teams of different numbers are compared: of a behavior
            that earns each agent as much whatever their number.
        formula: How, in words and numbers.
    """

    lines: tuple[ReferenceLine, ...]
    zero: float
    one: float
    one_of_any_number: float
    formula: str

    def normalized(self, team_return: float, *, any_number: bool = False) -> float:
        """0 at `zero`, 1 at `one`, or at `one_of_any_number`."""
        one = self.one_of_any_number if any_number else self.one
        return (team_return - self.zero) / (one - self.zero)


def references(environment: EnvironmentConfig) -> References | None:
    """The reference lines of a task.

    None for an environment of others, of whose returns nothing is known, and where settings leave nothing to measure
    by: with boxes that cost what they hold, nobody can end above those who never open one.
    """
    known = _of_task(environment)
    return None if known is None or known.one <= known.zero else known


def _of_task(environment: EnvironmentConfig) -> References | None:
    if isinstance(environment, ExchangeTaskConfig):
        return _exchange(environment)
    if isinstance(environment, NavigationConfig | SimpleSpreadConfig):
        return _above_random_policies(environment)
    if isinstance(environment, PredationConfig):
        return _predation(environment)
    return None


def _exchange(config: ExchangeTaskConfig) -> References:
    agents = config.agents
    # An agent and a box never start in one cell, so the earliest opening is in the second step.
    best = agents * (config.food_reward - config.open_cost - 2 * config.time_cost)
    worst = -agents * config.steps * config.time_cost
    formula = f"(R - ({worst:g})) / ({best:g} - ({worst:g})): 0 when nobody opens a box, 1 when all open in step 2"
    lines = (ReferenceLine("ceiling", best), ReferenceLine("nobody opens", worst))
    return References(lines, worst, best, best, formula)


def _predation(config: PredationConfig) -> References:
    agents, steps = config.agents, config.steps
    everyone, one, nobody = -float(agents * steps), -4.0 * steps, -3.0 * agents * steps
    best = max(everyone, one)
    lines = (
        ReferenceLine("one engages", one),
        ReferenceLine("all engage", everyone),
        ReferenceLine("none engages", nobody),
    )
    who = "one engages" if one >= everyone else "all engage"
    formula = f"(R - ({nobody:g})) / ({best:g} - ({nobody:g})): 0 when none engages, 1 when {who}"
    return References(lines, nobody, best, everyone, formula)


def _above_random_policies(config: NavigationConfig | SimpleSpreadConfig) -> References:
    aimless = _random_policies(config)
    formula = f"(R - ({aimless:.2f})) / (0 - ({aimless:.2f})): 0 for uniformly random policies, 1 for return 0"
    lines = (ReferenceLine("bound", 0.0), ReferenceLine("random policies", aimless))
    return References(lines, aimless, 0.0, 0.0, formula)


@cache
def _random_policies(config: NavigationConfig | SimpleSpreadConfig) -> float:
    """Mean team return of agents that act uniformly at random, played out; of fewer games where a game is large."""
    at_once = games_at_once(config)
    batches = -(-_FEWEST_GAMES // at_once)
    resets, actions = generator(0, "references", "reset"), generator(0, "references", "actions")
    total = 0.0
    for _ in range(batches):
        task = make_task(config, at_once, seed=0)
        task.reset(resets)
        for _ in range(config.steps):
            outcome = task.step(actions.integers(task.action_counts[0], size=(at_once, config.agents)))
            total += float(outcome.rewards.sum(dtype=np.float64))
        task.close()
    return total / (at_once * batches)


def games_at_once(config: NavigationConfig | SimpleSpreadConfig) -> int:
    """How many games are played side by side, so that their memory has a bound."""
    cells = config.grid**2 if isinstance(config, NavigationConfig) else 0
    return max(1, min(_MOST_GAMES, _NUMBERS_AT_ONCE // max(config.agents**2, cells)))
