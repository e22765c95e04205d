"""`evaluation.json`: what a policy is worth, and how sure that is."""

from __future__ import annotations

import json
from pathlib import Path

from broker.errors import UserError
from broker.files import write_whole
from broker.model import Model
from scenarios.reports.statistics import Estimate


class ReturnInterval(Model):
    """A mean return per episode, undiscounted, with its 95% percentile bootstrap interval over episodes.

    One episode has no interval.
    """

    mean: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, estimate: Estimate) -> ReturnInterval:
        """From what statistics calls it."""
        return cls(mean=estimate.value, low=estimate.low, high=estimate.high)


class Evaluation(Model):
    """What came of an evaluation. Agents stand here by their ids; `agent_names` has what the environment calls them."""

    scenario: str
    policy: str
    policy_digest: str
    learned_from: int
    algorithm: str
    episodes: int
    parallel_episodes: int
    greedy: bool
    seed: int
    substrate: str
    team: ReturnInterval
    agents: dict[str, ReturnInterval]
    agent_names: dict[str, str]
    env_steps: int
    missing_actions: int
    rejected: int
    lost: int
    faults_applied: int
    arithmetic: int
    curve_digest: str
    weights_digest: str
    ledger_digest: str

    def as_json(self) -> str:
        """The text of the file."""
        return json.dumps(self.model_dump(), indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            UserError: It cannot be written.
        """
        try:
            write_whole(path, self.as_json().encode())
        except OSError as error:
            msg = f"cannot write the evaluation to {path}: {error.strerror}"
            raise UserError(msg) from None
