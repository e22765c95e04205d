"""Settings to try in a search, and who of them goes on. Pure: no I/O, no clock.

Every draw is named by environment, algorithm, candidate and setting. Candidate 0 is the scenario as it is. Rho belongs
to anticipation sharing alone; every algorithm has as many candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.arithmetic.scalars import exp, log
from broker.seeding import choice, uniform
from scenarios.document.scenario import Scenario
from scenarios.running.batch.cell import Settings
from scenarios.studies.study import AS

_SEED = 0
_ACTOR = "learning.actor_learning_rate"
_CRITIC = "learning.critic_learning_rate"
_ROUNDS = "learning.rounds"
_REFERENCE = "learning.ratio_reference"
_RHO = "algorithm.anticipation_sharing.rho"
_COPIES = "parallel_episodes"

_FACTOR = 4.0
"""Learning rates are drawn log-uniformly from a quarter to four times the scenario's own."""
_RHO_RANGE = (0.1, 30.0)
_ROUND_CHOICES = (2, 3, 5)
_COPIES_FACTORS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Candidate:
    """One try.

    Attributes:
        number: From 0.
        settings: What it sets, always the same settings in the same order.
        copies: Parallel episodes, which `settings` set too.
    """

    number: int
    settings: Settings
    copies: int


def draw_candidates(plain: Scenario, algorithm: str, count: int) -> tuple[Candidate, ...]:
    """The candidates of one algorithm on one task.

    Args:
        plain: The scenario that is searched around.
        algorithm: Whose.
        count: How many, the scenario as it is among them.
    """
    return tuple(_draw(plain, algorithm, number) for number in range(count))


def episodes_of(games: int, copies: int) -> int:
    """Training episodes so that `copies` of them at a time make `games` episodes played."""
    return max(1, round(games / copies))


def survivors(scores: Mapping[int, float], count: int) -> tuple[int, ...]:
    """Numbers of the `count` candidates that go on, best first; of equals the lower number.

    Candidate 0 always does, with those of the highest scores: short runs favor fast starters, and a search must not
    end below where it began.
    """
    ranked = sorted(scores, key=lambda number: (-scores[number], number))
    drawn = [number for number in ranked if number != 0]
    return tuple(number for number in ranked if number == 0 or number in drawn[: count - 1])


def _draw(plain: Scenario, algorithm: str, number: int) -> Candidate:
    name = ("search", plain.environment.kind, algorithm, number)
    learning = plain.learning
    rates = {_ACTOR: learning.actor_learning_rate, _CRITIC: learning.critic_learning_rate}
    found: dict[str, str] = {}
    if number == 0:
        copies = plain.parallel_episodes
        found |= {path: f"{rate:g}" for path, rate in rates.items()}
        found |= {_ROUNDS: str(learning.rounds), _REFERENCE: f'"{learning.ratio_reference}"'}
        rho = plain.algorithm.anticipation_sharing.rho
    else:
        factor = _COPIES_FACTORS[choice(len(_COPIES_FACTORS), _SEED, *name, _COPIES)]
        copies = max(1, round(plain.parallel_episodes * factor))
        found |= {path: f"{_between(rate / _FACTOR, rate * _FACTOR, *name, path):.3g}" for path, rate in rates.items()}
        found[_ROUNDS] = str(_ROUND_CHOICES[choice(len(_ROUND_CHOICES), _SEED, *name, _ROUNDS)])
        found[_REFERENCE] = ('"round"', '"behaviour"')[choice(2, _SEED, *name, _REFERENCE)]
        rho = _between(*_RHO_RANGE, *name, _RHO)
    found[_COPIES] = str(copies)
    if algorithm == AS:
        found[_RHO] = f"{rho:.3g}"
    return Candidate(number, tuple(found.items()), copies)


def _between(low: float, high: float, *name: str | int) -> float:
    """Log-uniform between two bounds."""
    return low * exp(log(high / low) * uniform(_SEED, *name))
