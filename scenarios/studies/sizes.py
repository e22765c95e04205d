"""How large the quick studies are: all of it in one place, so that their cost can be set.

Beside each scenario stand the seconds that one whole run of anticipation sharing takes on one free core of the machine
that was measured; independent learning takes about half. Starting a run costs four seconds more. A study takes about
the sum over its cells, divided by the cores.
"""

from __future__ import annotations

from scenarios.running.batch.cell import Settings

QUICK_SEEDS = 3
FULL_SEEDS = 5
MAP_SEEDS = 2
"""Of a quick study that has many cells for each group of another."""

QUICK_EPISODES = {
    "exchange-quick": 1200,  # 80 s
    "exchange-near-quick": 1200,  # 75 s
    "navigation-quick": 500,  # 30 s
    "predation-6-quick": 1000,  # 115 s
    "predation-8-quick": 600,  # 45 s
    "predation-12-quick": 400,  # 50 s
    "predation-20-quick": 200,  # 45 s
    "predation-20-random-partner-quick": 200,  # 40 s
    "predation-20-skip-quick": 200,  # 30 s
    "predation-6": 6000,  # 150 s: the paper's settings, one copy
}
"""Training episodes of a quick scenario in a study that takes it whole."""

TIED_RHO = {
    "exchange-quick": 8.0,
    "exchange-near-quick": 8.0,
    "navigation-quick": 8.0,
    "predation-6-quick": 5.0,
    "predation-8-quick": 5.0,
    "predation-12-quick": 5.0,
    "predation-20-quick": 5.0,
    "predation-20-random-partner-quick": 5.0,
    "predation-20-skip-quick": 5.0,
}
"""The rho of fixed weights in the quick scenarios, which are calibrated themselves; full scenarios have the paper's."""

QUICK_FRACTION = {
    "fig1": 0.6,  # 126 runs
    "fig3": 0.5,  # 189 runs
    "fig4": 0.5,  # 148 runs
    "fig5": 1.0,  # 42 runs
    "latency": 0.4,  # 222 runs
    "loss": 0.4,  # 222 runs
    "inaccurate": 0.5,  # 78 runs
    "calibrated": 0.5,  # 159 runs
    "search": 0.5,  # 630 runs, most of them short
}
"""Part of these episodes that a study plays; the more cells, the less."""


def quick_episodes(study: str, scenario: str) -> int:
    """Training episodes of `scenario` in the quick `study`."""
    return max(1, round(QUICK_EPISODES[scenario] * QUICK_FRACTION[study]))


FULL_EPISODES = {
    "exchange": 10_000,
    "navigation": 10_000,
    "predation-6": 10_000,
    "predation-8": 10_000,
    "predation-12": 10_000,
    "predation-20-random-partner": 10_000,
    "predation-20-skip": 10_000,
}
"""Training episodes at full size, by the rule of `docs/results/full-size.md`."""


FEWER_FULL_SEEDS = {"predation-12": 3, "predation-20": 3, "predation-20-random-partner": 3, "predation-20-skip": 3}
"""Seeds at full size where a run takes longest, by the same rule; all others have `FULL_SEEDS`."""


def full_seeds(scenario: str) -> int:
    """How many seeds a scenario has at full size, unless the user says."""
    return FEWER_FULL_SEEDS.get(scenario, FULL_SEEDS)


def full_episodes(scenario: str) -> Settings:
    """What a study at full size sets; nothing where the scenario's own number serves."""
    return (("episodes", str(FULL_EPISODES[scenario])),) if scenario in FULL_EPISODES else ()


SEARCH_RUNGS = ((9, 1 / 9), (4, 1 / 3), (2, 1.0))
"""Successive halving: candidates of each rung, and the part of the episodes they play. Candidate 0 is in every rung."""

THEORY_SEED = 1
"""Random problems of the theory study are drawn with it."""
