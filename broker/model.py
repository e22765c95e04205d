"""What every part of a scenario's document has in common."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidatorFunctionWrapHandler, WrapValidator

ValueT = TypeVar("ValueT")

LONGEST_S = 1e9
"""Thirty years: no setting in seconds is longer, so that clocks, and sums of such times, still tell them apart."""


class Model(BaseModel):
    """Base of every part of the document: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _as_given(value: ValueT, validate: ValidatorFunctionWrapHandler) -> ValueT:
    checked: ValueT = validate(value)
    return value if checked == value else checked


SHARED = WrapValidator(_as_given)
"""Annotates a field whose value, where it is right as it is, stays the very object that was given: what a run says once
of all agents is then there once, and not once for each of them. Nobody may change it."""
