"""How large the quick studies are: all of it in one place, so that their cost can be set.

Seconds are of one run of anticipation sharing on one core of the machine that was measured; the others take less,
except for policy sharing. A study's wall time is about the sum over its cells divided by the cores.
"""

from __future__ import annotations

QUICK_SEEDS = 3
FULL_SEEDS = 5

QUICK_EPISODES = {
    "exchange-quick": 900,
    "navigation-quick": 500,
    "predation-6-quick": 500,
    "predation-8-quick": 600,
    "predation-12-quick": 400,
    "predation-20-quick": 200,
    "predation-20-random-partner-quick": 200,
    "predation-20-skip-quick": 200,
}
"""Training episodes of a quick scenario in a study that takes it whole."""

QUICK_FRACTION = {
    "fig1": 1.0,
    "fig3": 0.5,
    "fig4": 1.0,
    "fig5": 1.0,
    "latency": 0.6,
    "loss": 0.6,
    "inaccurate": 0.6,
    "search": 1.0,
}
"""Part of these episodes that a study plays; the more cells, the less."""


def quick_episodes(study: str, scenario: str) -> int:
    """Training episodes of `scenario` in the quick `study`."""
    return max(1, round(QUICK_EPISODES[scenario] * QUICK_FRACTION[study]))


SEARCH_RUNGS = ((9, 1 / 9), (3, 1 / 3), (1, 1.0))
"""Successive halving: candidates of each rung, and the part of the episodes they play; every rung costs the same."""

THEORY_SEED = 1
"""Random problems of the theory study are drawn with it."""
