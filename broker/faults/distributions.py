"""Delays in seconds from draws in [0, 1): the inverse of each distribution function."""

from __future__ import annotations

from functools import lru_cache

from broker.arithmetic.normal import probability as normal_probability
from broker.arithmetic.normal import quantile as normal_quantile
from broker.arithmetic.scalars import exp, log1p, power
from broker.faults.delays import (
    Constant,
    Correlated,
    DelayDistribution,
    Exponential,
    LogNormal,
    Normal,
    Pareto,
    Trace,
    Uniform,
)
from broker.model import LONGEST_S

_SMALLEST, _LARGEST = 2.0**-54, 1 - 2.0**-53


def normal_score(probability: float) -> float:
    """The standard normal number below which a draw falls with `probability` in [0, 1)."""
    return normal_quantile(min(max(probability, _SMALLEST), _LARGEST))


def probability_of(score: float) -> float:
    """The probability, in [0, 1), that a standard normal number is below `score`."""
    return min(normal_probability(score), _LARGEST)


def quantile(distribution: DelayDistribution, probability: float) -> float:
    """The delay in seconds below which a draw falls with `probability` in [0, 1), at most `LONGEST_S`."""
    return min(LONGEST_S, _quantile(distribution, probability))


def _quantile(distribution: DelayDistribution, probability: float) -> float:
    match distribution:
        case Constant():
            return distribution.value_s
        case Uniform():
            return distribution.low_s + (distribution.high_s - distribution.low_s) * probability
        case Exponential():
            return -distribution.mean_s * log1p(-probability)
        case Normal():
            return _normal(distribution, probability)
        case LogNormal():
            return distribution.median_s * exp(distribution.sigma * normal_score(probability))
        case Pareto():
            return distribution.shortest_s * power(1 - probability, -1 / distribution.shape)
        case Correlated():
            return _quantile(distribution.marginal, probability)
        case Trace():
            return distribution.values_s[int(probability * len(distribution.values_s))]


def _normal(normal: Normal, probability: float) -> float:
    below = _cut_off(normal.mean_s, normal.deviation_s)
    return max(0.0, normal.mean_s + normal.deviation_s * normal_score(below + probability * (1 - below)))


@lru_cache(maxsize=64)
def _cut_off(mean_s: float, deviation_s: float) -> float:
    """The probability of a delay below 0."""
    return normal_probability(-mean_s / deviation_s)
