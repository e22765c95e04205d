"""`evaluation.json`: what a policy is worth, and how sure that is; and all evaluations of a training."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent_node.policy_files import holds_policy
from broker.errors import UserError
from broker.files import write_whole
from broker.model import Model
from broker.text_files import read_text
from scenarios.results.folder import RunFolder

_MOST_BYTES = 1 << 28
_BEST = "best.json"


class ReturnInterval(Model):
    """A mean return per episode, undiscounted, with its 95% interval over episodes: a bootstrap's, of few a t interval.

    One episode has no interval, and neither have episodes whose returns are all equal.
    """

    mean: float
    low: float | None
    high: float | None


class Evaluation(Model):
    """What came of an evaluation. Agents stand here by their ids; `agent_names` has what the environment calls them.

    `team_returns` has the sum over agents for each episode, from which `team` is made. `died_after` has the agents that
    died in training and act with what they knew then, with the episodes that they had learned from.
    """

    scenario: str
    policy: str
    policy_digest: str
    learned_from: int
    died_after: dict[str, int] = {}  # older ones did not say it
    algorithm: str
    episodes: int
    parallel_episodes: int
    greedy: bool
    seed: int
    substrate: str
    team: ReturnInterval
    agents: dict[str, ReturnInterval]
    agent_names: dict[str, str]
    team_returns: list[float]
    env_steps: int
    missing_actions: int
    rejected: int
    lost: int
    faults_applied: int
    arithmetic: int
    curve_digest: str
    weights_digest: str
    ledger_digest: str

    def interval(self, of: ReturnInterval) -> str:
        """The ends of the team's interval, or an agent's, in words; of equal returns how many they were.

        Args:
            of: One of this evaluation.
        """
        if of.low is not None and of.high is not None:
            return f"{of.low:.2f} to {of.high:.2f}"
        return f"all {self.episodes} equal" if self.episodes > 1 else ""

    def as_json(self) -> str:
        """The text of the file."""
        return json.dumps(self.model_dump(), indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            UserError: It cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, self.as_json().encode())
        except OSError as error:
            msg = f"cannot write the evaluation to {path}: {error.strerror}"
            raise UserError(msg) from None


@dataclass(frozen=True)
class TrainingEvaluations:
    """The evaluations of a training.

    Attributes:
        on_the_way: Of the policies that were kept, in the order of the episodes they had learned from.
        best: Of the best of these, in episodes that took no part in the choice; None before it was chosen.
    """

    on_the_way: tuple[Evaluation, ...]
    best: Evaluation | None

    def in_run(self, episodes_before: int) -> list[tuple[int, ReturnInterval]]:
        """After how many episodes of the run itself which team return was found.

        Args:
            episodes_before: Those that the policy that it began with had learned from.
        """
        return [(each.learned_from - episodes_before, each.team) for each in self.on_the_way]


NOT_EVALUATED = TrainingEvaluations((), None)


def place_of_evaluation(folder: RunFolder, learned_from: int) -> Path:
    """Where the evaluation of the policy after so many episodes is; its policy waits in a folder of this name."""
    return folder.evaluations / f"after-{learned_from:08d}.json"


def place_of_best(folder: RunFolder) -> Path:
    """Where the evaluation of the best policy is."""
    return folder.evaluations / _BEST


def waiting(folder: RunFolder) -> list[Path]:
    """Policies that are kept and not evaluated yet, or not compared."""
    return sorted(place for place in folder.evaluations.glob("after-*") if place.is_dir() and holds_policy(place))


def forget_policies(folder: RunFolder) -> None:
    """Remove the policies on the way, and what is left of one whose removal was cut."""
    for place in folder.evaluations.glob("after-*"):
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)


def read_evaluations(folder: RunFolder) -> TrainingEvaluations:
    """What is there; a file that is no evaluation is none."""
    found = [_read(path) for path in sorted(folder.evaluations.glob("after-*.json"))]
    return TrainingEvaluations(tuple(each for each in found if each is not None), _read(place_of_best(folder)))


def _read(path: Path) -> Evaluation | None:
    try:
        return Evaluation.model_validate_json(read_text(path, _MOST_BYTES))
    except (OSError, ValidationError):
        return None
