"""Statistics of few runs: interquartile mean and intervals; of many episodes: the mean.

After Agarwal et al. (2021), *Deep Reinforcement Learning at the Edge of the Statistical Precipice*. Pure, and the same
numbers every time: the generator of a bootstrap is named by what it is for. SciPy is imported when it is needed.

Resamples of two or three numbers say little: of equal groups of two runs a bootstrap interval calls one in three pairs
different, of three runs one in five, of four and five one in fifteen (normal runs). So the interval of a group of fewer
than `RESAMPLED` runs is their range, which is not called more, and that of a difference is a t interval (Welch's, or
Student's for differences run by run): of equal groups of two runs it calls one pair in fifty different, of three one in
thirty. Differences run by run are a single sample: of runs that do not differ Student's interval calls one group in
twenty different, of two runs and of three, a bootstrap one in eight of four runs and one in ten of five.

Of numbers that are all equal neither says anything: an interval without width would call certain what two episodes that
ended alike only suggest. So there is none, be they ever so many, and `Estimate` says that they were equal. The range of
a few runs stays: it is what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from broker.seeding import generator

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 2000
RESAMPLED = 4
"""Fewest runs of a group whose interval is a bootstrap's."""
RESAMPLED_EPISODES = 10
"""Fewest episodes whose interval is a bootstrap's: of 2 it holds the mean in one case of two, of 10 in nine of ten."""
_SEED = 0
_TRIMMED = 0.25
_ROUNDED = 2.0**-20
"""Numbers are equal that differ by no more of their size: returns are sums of rewards that are float32."""


@dataclass(frozen=True)
class Estimate:
    """A number from a sample, and how sure it is.

    Attributes:
        value: The estimate.
        low: Lower end of the interval; None where the sample has none: a single number, or numbers that are all equal.
        high: Upper end.
        equal: Which numbers were all equal, as `all 5 equal`; empty where none were, or there is only one.
    """

    value: float
    low: float | None
    high: float | None
    equal: str = ""

    def numbers(self) -> dict[str, float | None]:
        """The estimate and its ends by name, as files have them."""
        return {"value": self.value, "low": self.low, "high": self.high}


def iqm(values: Sequence[float] | Floats, axis: int = -1) -> Floats:
    """The interquartile mean: the mean of what is left without the lowest and the highest quarter.

    A quarter is rounded down, so of up to three values all are kept and this is the mean.

    Args:
        values: At least one along `axis`.
        axis: Along which.
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, np.float64), axis, -1), axis=-1)
    cut = int(_TRIMMED * ordered.shape[-1])
    kept: Floats = ordered[..., cut : ordered.shape[-1] - cut]
    mean: Floats = kept.mean(axis=-1)
    return np.clip(mean, kept[..., 0], kept[..., -1])  # the mean of equal numbers may round past them


def estimate(sample: Sequence[float], *name: str) -> Estimate:
    """IQM of the runs of one group, with its 95% percentile bootstrap interval; of few runs the range.

    Args:
        sample: One number a run.
        name: Names the bootstrap's random stream.
    """
    return stratified([sample], *name)


def mean_of(sample: Sequence[float], *name: str) -> Estimate:
    """Mean of the episodes of one policy, with its 95% percentile bootstrap interval; of few episodes a t interval.

    Args:
        sample: One number an episode.
        name: Names the bootstrap's random stream.
    """
    data = np.asarray(sample, np.float64)
    value = float(data.mean())
    if len(data) < 2 or _are_equal(data):
        return _without(value, len(data))
    if len(data) < RESAMPLED_EPISODES:
        return _t_interval(value, float(data.std(ddof=1)) / sqrt(len(data)), len(data) - 1)
    draw = generator(_SEED, "bootstrap", *name)
    # By hand: `foretell evaluate` need not wait two seconds for SciPy.
    means = [data[draw.integers(len(data), size=len(data))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return _held(value, float(low), float(high))


def stratified(strata: Sequence[Sequence[float]], *name: str) -> Estimate:
    """IQM of all runs of several groups together; runs are resampled within their group. Of one group see `estimate`.

    Args:
        strata: For each group, one number a run.
        name: Names the bootstrap's random stream.
    """

    def together(*samples: Floats, axis: int = -1) -> Floats:
        return iqm(np.concatenate(samples, axis=axis), axis)

    if len(strata) == 1 and 1 < len(strata[0]) < RESAMPLED:
        return _held(float(iqm(strata[0])), min(strata[0]), max(strata[0]))
    if all(len(stratum) > 1 and _are_equal(stratum) for stratum in strata):
        value = float(together(*(np.asarray(stratum, np.float64) for stratum in strata)))
        return _without(value, len(strata[0])) if len(strata) == 1 else Estimate(value, None, None, "all equal in each")
    found = _bootstrap(together, strata, name)
    if found.low is None or found.high is None:
        return found
    everything = [value for stratum in strata for value in stratum]
    # Between quantiles of equal numbers lies a rounded one.
    return _held(found.value, max(found.low, min(everything)), min(found.high, max(everything)))


def difference(sample: Sequence[float], other: Sequence[float], *name: str) -> Estimate:
    """IQM of `sample` minus that of `other`, with its 95% interval.

    Both are resampled, independently of each other. Where one has few runs it is the mean of the one minus that of the
    other, with Welch's t interval.

    Args:
        sample: One number a run.
        other: The same.
        name: Names the bootstrap's random stream.
    """
    if min(len(sample), len(other)) > 1 and _are_equal(sample) and _are_equal(other):
        return Estimate(float(iqm(sample) - iqm(other)), None, None, "all equal in both groups")
    if 1 < min(len(sample), len(other)) < RESAMPLED:
        return _welch(np.asarray(sample, np.float64), np.asarray(other, np.float64))

    def apart(one: Floats, two: Floats, axis: int = -1) -> Floats:
        return iqm(one, axis) - iqm(two, axis)

    return _bootstrap(apart, [sample, other], name)


def paired(after: Sequence[float], before: Sequence[float], *name: str) -> Estimate:
    """IQM of each run's `after` minus its own `before`, with its 95% interval.

    Runs are resampled whole, as both are of the same run. Of few runs it is Student's t interval of the mean.

    Args:
        after: One number a run.
        before: The same, in the same order.
        name: Names the bootstrap's random stream.
    """
    apart = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    if len(apart) > 1 and _are_equal(apart, [*after, *before]):
        return _without(float(iqm(apart)), len(apart))
    if 1 < len(apart) < RESAMPLED:
        return _t_interval(float(apart.mean()), float(apart.std(ddof=1)) / sqrt(len(apart)), len(apart) - 1)
    return estimate(apart.tolist(), *name)


def band(curves: Floats, *name: str) -> tuple[Floats, Floats, Floats]:
    """Mean over runs at every point, and the ends of its 95% bootstrap interval; of few runs the range.

    Args:
        curves: (runs, points).
        name: Names the bootstrap's random stream.
    """
    mean: Floats = curves.mean(axis=0)
    if len(curves) < 2:
        return mean, mean, mean
    if len(curves) < RESAMPLED:
        low, high = curves.min(axis=0), curves.max(axis=0)
    else:
        low, high = _interval([curves], np.mean, name, axis=0)
    return mean, np.minimum(low, mean), np.maximum(high, mean)


def _welch(sample: Floats, other: Floats) -> Estimate:
    """Mean of `sample` minus that of `other`, with the interval of runs that may vary differently."""
    variances = [each.var(ddof=1) / len(each) for each in (sample, other)]
    apart, together = float(sample.mean() - other.mean()), float(sum(variances))
    weights = [variance**2 / (len(each) - 1) for variance, each in zip(variances, (sample, other), strict=True)]
    spread = float(sum(weights))
    return _t_interval(apart, sqrt(together), together**2 / spread if spread else 1.0)  # the square of a tiny one is 0


def _are_equal(sample: Sequence[float] | Floats, made_of: Sequence[float] | Floats | None = None) -> bool:
    """Whether numbers are all equal but for the rounding of what they were made of, if that is not themselves."""
    values = np.asarray(sample, np.float64)
    size = np.abs(sample if made_of is None else made_of).max()
    return bool(np.ptp(values) <= _ROUNDED * size)


def _without(value: float, count: int) -> Estimate:
    """The estimate of one number, or of equal ones."""
    return Estimate(value, None, None, f"all {count} equal" if count > 1 else "")


def _t_interval(value: float, error: float, freedom: float) -> Estimate:
    from scipy.special import stdtrit  # noqa: PLC0415 - takes a second that other commands need not pay

    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return _held(value, value - half, value + half)


def _held(value: float, low: float, high: float) -> Estimate:
    """An estimate within its own interval, however its ends were rounded."""
    return Estimate(value, min(low, value), max(high, value))


def _bootstrap(statistic: Callable[..., Floats], samples: Sequence[Sequence[float]], name: tuple[str, ...]) -> Estimate:
    data = [np.asarray(sample, np.float64) for sample in samples]
    value = float(statistic(*data))
    if min(len(sample) for sample in data) < 2:
        return Estimate(value, None, None)
    low, high = _interval(data, statistic, name, axis=-1)
    return _held(value, float(low), float(high))


def _interval(
    data: Sequence[Floats], statistic: Callable[..., Floats], name: tuple[str, ...], axis: int
) -> tuple[Floats, Floats]:
    from scipy.stats import bootstrap  # noqa: PLC0415 - takes a second that other commands need not pay

    found = bootstrap(
        data,
        statistic,
        n_resamples=RESAMPLES,
        vectorized=True,
        axis=axis,
        confidence_level=LEVEL,
        method="percentile",
        rng=generator(_SEED, "bootstrap", *name),
    ).confidence_interval
    return found.low, found.high
