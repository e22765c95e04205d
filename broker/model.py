"""What every part of a scenario's document has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LONGEST_S = 1e9
"""Thirty years: no setting in seconds is longer, so that clocks, and sums of such times, still tell them apart."""


class Model(BaseModel):
    """Base of every part of the document: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
