"""Curves in MLflow. Its own settings count: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and the others."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from broker.errors import UserError
from scenarios.document.text.short_names import by_path

if TYPE_CHECKING:
    from scenarios.telemetry.writer import About

_EXPERIMENT = "foretell"
_TAG = "foretell.run"
_MOST_AT_ONCE = 1000
_LONGEST = 500
"""What a value of a parameter may take everywhere."""


class MlflowCurves:
    """A run there, tagged with the name of ours, gone on with where ours is resumed.

    Args:
        about: What runs.

    Raises:
        UserError: Nobody said where to.
    """

    def __init__(self, about: About) -> None:
        if "MLFLOW_TRACKING_URI" not in os.environ and importlib.util.find_spec("sqlalchemy") is None:
            msg = (
                "expected MLFLOW_TRACKING_URI, such as http://HOST:5000, or file:///FOLDER with "
                "MLFLOW_ALLOW_FILE_STORE=true"
            )
            raise UserError(msg)
        self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        begun = self._client.search_runs([experiment], f"tags.`{_TAG}` = '{about.run}'")
        if begun:
            self._id = begun[0].info.run_id
            self._client.update_run(self._id, "RUNNING")
        else:
            tags = {_TAG: about.run, "foretell.scenario": about.scenario}
            self._id = self._client.create_run(experiment, run_name=about.run, tags=tags).info.run_id
            params = [Param(key, str(value)[:_LONGEST]) for key, value in by_path(about.settings).items()]
            for begin in range(0, len(params), 100):
                self._client.log_batch(self._id, params=params[begin : begin + 100])

    def add(self, episode: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of an episode; what is played again is there twice, with the same values."""
        at_ms = int(time.time() * 1000)
        found = [Metric(name, value, at_ms, episode) for name, value in scalars.items()]
        for begin in range(0, len(found), _MOST_AT_ONCE):
            self._client.log_batch(self._id, metrics=found[begin : begin + _MOST_AT_ONCE])

    def close(self) -> None:
        """Say that it has ended."""
        self._client.set_terminated(self._id)
