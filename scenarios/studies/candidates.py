"""Settings to try in a search, and who of them goes on. Pure: no I/O, no clock.

Every draw is named by environment, algorithm, candidate and setting. Candidate 0 is the scenario as it is. Every
contender has as many candidates, and beside the settings common to all those that are its own:

| contender        | also varied                                                               |
|------------------|---------------------------------------------------------------------------|
| AS               | rho, which is rho' too                                                    |
| AS two weights   | the same rho, and rho' / rho: with it the same candidates are tried again |
| VS               | what a neighbor's advantage counts                                        |
| VPS, NAC, PS     | more choice of rounds: each mixes once, so these are consensus steps      |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.arithmetic.scalars import exp, log
from broker.seeding import choice, uniform
from scenarios.document.scenario import Scenario
from scenarios.running.batch.cell import Settings
from scenarios.studies.study import AS, AS_TWO, CONTENDERS, NAC, PS, VPS, VS

_SEED = 0
_ACTOR = "learning.actor_learning_rate"
_CRITIC = "learning.critic_learning_rate"
_ROUNDS = "learning.rounds"
_REFERENCE = "learning.ratio_reference"
_RHO = "algorithm.anticipation_sharing.rho"
_RHO_OWN = "algorithm.anticipation_sharing.rho_own"
_WEIGHT = "algorithm.value_sharing.weight"
_COPIES = "parallel_episodes"

_FACTOR = 4.0
"""Learning rates are drawn log-uniformly from a quarter to four times the scenario's own."""
_RHO_RANGE = (0.1, 30.0)
_OTHERS_RANGE = (0.25, 4.0)
"""What others' interests weigh beside the own ones: rho' / rho, and the weight of a neighbor's advantage."""
_ROUND_CHOICES = (2, 3, 5)
_CONSENSUS_CHOICES = (1, 2, 3, 5, 8)
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


def draw_candidates(plain: Scenario, contender: str, count: int) -> tuple[Candidate, ...]:
    """The candidates of one contender on one task.

    Args:
        plain: The scenario that is searched around.
        contender: Whose, by key.
        count: How many, the scenario as it is among them.
    """
    return tuple(_draw(plain, contender, number) for number in range(count))


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


def _draw(plain: Scenario, contender: str, number: int) -> Candidate:
    name = ("search", plain.environment.kind, CONTENDERS[contender].algorithm, number)
    learning = plain.learning
    rates = {_ACTOR: learning.actor_learning_rate, _CRITIC: learning.critic_learning_rate}
    found: dict[str, str] = {}
    if number == 0:
        copies = plain.parallel_episodes
        found |= {path: f"{rate:g}" for path, rate in rates.items()}
        found |= {_ROUNDS: str(learning.rounds), _REFERENCE: f'"{learning.ratio_reference}"'}
    else:
        factor = _COPIES_FACTORS[choice(len(_COPIES_FACTORS), _SEED, *name, _COPIES)]
        copies = max(1, round(plain.parallel_episodes * factor))
        found |= {path: f"{_between(rate / _FACTOR, rate * _FACTOR, *name, path):.3g}" for path, rate in rates.items()}
        rounds = _CONSENSUS_CHOICES if contender in (VPS, NAC, PS) else _ROUND_CHOICES
        found[_ROUNDS] = str(rounds[choice(len(rounds), _SEED, *name, _ROUNDS)])
        found[_REFERENCE] = ('"round"', '"behaviour"')[choice(2, _SEED, *name, _REFERENCE)]
    found[_COPIES] = str(copies)
    found |= {path: f"{value:.3g}" for path, value in _own_settings(plain, contender, number, name).items()}
    return Candidate(number, tuple(found.items()), copies)


def _own_settings(plain: Scenario, contender: str, number: int, name: tuple[str | int, ...]) -> dict[str, float]:
    """The weights that this contender alone has."""
    sharing, drawn = plain.algorithm.anticipation_sharing, number > 0
    if contender in (AS, AS_TWO):
        rho = _between(*_RHO_RANGE, *name, _RHO) if drawn else sharing.rho
        if contender == AS:
            return {_RHO: rho}
        return {_RHO: rho, _RHO_OWN: rho * _between(*_OTHERS_RANGE, *name, _RHO_OWN) if drawn else sharing.rho_prime}
    if contender == VS:
        return {_WEIGHT: _between(*_OTHERS_RANGE, *name, _WEIGHT) if drawn else plain.algorithm.value_sharing.weight}
    return {}


def _between(low: float, high: float, *name: str | int) -> float:
    """Log-uniform between two bounds."""
    return low * exp(log(high / low) * uniform(_SEED, *name))
