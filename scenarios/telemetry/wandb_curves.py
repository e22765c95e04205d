"""Curves in Weights & Biases. Its own settings count: WANDB_MODE, WANDB_PROJECT, WANDB_API_KEY and the others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import wandb

if TYPE_CHECKING:
    from scenarios.telemetry.writer import About

_PROJECT = "foretell"
_EPISODE = "episode"


class WandbCurves:
    """A run there, by the name of ours, gone on with where ours is resumed.

    Args:
        about: What runs.
    """

    def __init__(self, about: About) -> None:
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=about.run,
            name=about.run,
            group=about.scenario,
            resume="allow",
            dir=about.folder,
            config=dict(about.settings),
            settings=wandb.Settings(console="off", silent=True),
        )
        self._run.define_metric(_EPISODE)
        self._run.define_metric("*", step_metric=_EPISODE)

    def add(self, episode: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of an episode; what is played again is there twice, with the same values."""
        self._run.log({_EPISODE: episode, **scalars})

    def close(self) -> None:
        """Wait until all of it is there."""
        self._run.finish()
