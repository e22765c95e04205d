"""How long something takes that a fault adds: distributions of seconds, with unit, range and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from broker.model import LONGEST_S, Model


class Constant(Model):
    """Always the same delay."""

    distribution: Literal["constant"]
    value_s: float = Field(ge=0, le=LONGEST_S, description="Delay in seconds.")


class Uniform(Model):
    """Every delay between two bounds is equally likely."""

    distribution: Literal["uniform"]
    low_s: float = Field(ge=0, le=LONGEST_S, description="Shortest delay in seconds.")
    high_s: float = Field(ge=0, le=LONGEST_S, description="Longest delay in seconds.")

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low_s > self.high_s:
            msg = f"low_s must not exceed high_s, found {self.low_s} and {self.high_s}"
            raise ValueError(msg)
        return self


class Normal(Model):
    """Around a mean, cut off at 0: no message arrives before it was sent."""

    distribution: Literal["normal"]
    mean_s: float = Field(ge=0, le=LONGEST_S, description="Mean in seconds, before the cut at 0.")
    deviation_s: float = Field(gt=0, le=LONGEST_S, description="Standard deviation in seconds, before the cut at 0.")


class LogNormal(Model):
    """Mostly around the median, now and then much longer: what most networks do."""

    distribution: Literal["lognormal"]
    median_s: float = Field(gt=0, le=LONGEST_S, description="Half of the delays are shorter, in seconds.")
    sigma: float = Field(gt=0, le=10, description="Standard deviation of the delay's logarithm; above 2 is wild.")


class Exponential(Model):
    """Memoryless delays, many short and a few long."""

    distribution: Literal["exponential"]
    mean_s: float = Field(gt=0, le=LONGEST_S, description="Mean delay in seconds.")


class Pareto(Model):
    """Heavy tail: rarely, delays of another order of magnitude."""

    distribution: Literal["pareto"]
    shortest_s: float = Field(gt=0, le=LONGEST_S, description="Shortest delay in seconds.")
    shape: float = Field(ge=0.5, description="Index of the tail; up to 1 there is no mean, up to 2 no variance.")


Independent = Annotated[
    Constant | Uniform | Normal | LogNormal | Exponential | Pareto, Field(discriminator="distribution")
]


class Correlated(Model):
    """Delays like those just before: an AR(1) along an edge's steps or rounds, begun anew in every episode."""

    distribution: Literal["correlated"]
    correlation: float = Field(gt=-1, lt=1, description="Of the normal scores of two messages that follow each other.")
    marginal: Independent = Field(description="Distribution of a single delay.")


class Trace(Model):
    """Delays that somebody measured."""

    distribution: Literal["trace"]
    file: Path | None = Field(
        default=None,
        description="One delay in seconds a line, or first column of a CSV file, whose first line is a heading where "
        "it is no number; read when a run is planned.",
    )
    values_s: tuple[Annotated[float, Field(ge=0, le=LONGEST_S)], ...] = Field(
        default=(), max_length=1_000_000, description="The delays themselves, in seconds; filled from the file."
    )
    order: Literal["drawn", "index", "walk"] = Field(
        default="drawn",
        description="drawn: each message draws one; index: message number n of an episode takes line n; walk: line "
        "after line from a place drawn for each episode and edge. At the end of the file it begins anew.",
    )

    @model_validator(mode="after")
    def _given(self) -> Trace:
        if self.file is None and not self.values_s:
            msg = "expected a file or values_s, found neither"
            raise ValueError(msg)
        return self


DelayDistribution = Annotated[
    Constant | Uniform | Normal | LogNormal | Exponential | Pareto | Correlated | Trace,
    Field(discriminator="distribution"),
]
