"""Small runs that keep journals."""

from __future__ import annotations

from pathlib import Path

from runs import TINY, simulate_here

JOURNALED = ("exchange-quick", *TINY, "--set", "environment.steps=5", "--set", "transport.journal=true")
AGENTS = ("agent-0", "agent-1", "agent-2")
ROUGH = (
    'faults=[{kind="drop",probability=0.2},{kind="nan",probability=0.1,messages=["share"]},'
    '{kind="duplicate",probability=0.1,extra_s={distribution="constant",value_s=0.5}},'
    '{kind="delay",delay_s={distribution="exponential",mean_s=0.4}}]'
)
"""Losses, broken numbers, second copies and delays, some beyond the patience."""


def journaled(out: Path, *settings: str, episodes: int = 3) -> Path:
    """A simulated run in `out`."""
    assignments = [word for setting in settings for word in ("--set", setting)]
    simulate_here(out, *JOURNALED, "--episodes", str(episodes), *assignments)
    return out
