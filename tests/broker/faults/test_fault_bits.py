"""Delays are the same to the last bit on every machine, so that a study of faults can be repeated anywhere."""

from __future__ import annotations

import struct
from hashlib import sha256

import pytest

from broker.faults.chains import LONGEST_EPISODE, Chains
from broker.faults.delays import Correlated, Exponential, LogNormal, Normal, Pareto, Uniform
from broker.faults.distributions import quantile
from broker.wire.messages import MessageName

DRAWS = [n / 997 for n in range(997)] + [2.0**-n for n in range(2, 55)] + [1 - 2.0**-n for n in range(2, 54)]


def digest(numbers):
    return sha256(struct.pack(f"<{len(numbers)}d", *numbers)).hexdigest()[:16]


@pytest.mark.parametrize(
    ("distribution", "bits"),
    [
        (Uniform(distribution="uniform", low_s=0.1, high_s=0.7), "deefe442d20a9f78"),
        (Normal(distribution="normal", mean_s=0.05, deviation_s=0.03), "e8c3608f56cf356f"),
        (LogNormal(distribution="lognormal", median_s=0.02, sigma=0.8), "5eea657bee9a58c7"),
        (Exponential(distribution="exponential", mean_s=0.03), "a270559055a10e03"),
        (Pareto(distribution="pareto", shortest_s=0.01, shape=1.3), "508ea34883b60285"),
    ],
    ids=lambda value: getattr(value, "distribution", None),
)
def test_delays_of_every_distribution_have_these_bits(distribution, bits):
    assert digest([quantile(distribution, draw) for draw in DRAWS]) == bits


def test_a_chain_of_correlated_delays_has_these_bits():
    config = Correlated(
        distribution="correlated",
        correlation=0.9,
        marginal=Exponential(distribution="exponential", mean_s=0.03),
    )
    chains, edge = Chains(5, LONGEST_EPISODE), ("late", "agent-0", "agent-1", "share")
    assert digest([chains.score(config, edge, MessageName("share", 3, n, 0)) for n in range(500)]) == "c0de568d8245f603"
    assert (
        digest([chains.score(config, edge, MessageName("share", 3, 9, n)) for n in range(3000)]) == "f2cf452278d33315"
    )
