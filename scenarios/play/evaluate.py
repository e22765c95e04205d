"""Evaluation: a run of a scenario whose agents act with a saved policy and never learn.

Its draws derive from a seed of its own, so no episode of training is played again; faults of its scenario touch
timesteps and actions alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import JsonValue

from agent_node.policy_files import place_of_policy
from agent_node.policy_folder import read_document
from broker.arithmetic.sums import added
from broker.errors import ScenarioError, UserError
from scenarios.document.environment_file import with_environment_file
from scenarios.document.loading import parse_scenario, with_initial_policy
from scenarios.document.plan import Plan
from scenarios.document.scenario import Scenario
from scenarios.document.text.plain import plain_settings
from scenarios.reports.statistics import mean_of
from scenarios.results.evaluation import Evaluation, ReturnInterval
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.results.summary import Summary

EPISODES = 100
"""How many are played where nobody says."""

_LEFT_BEHIND = ("faults", "initial_policy", "acts_only", "evaluation")
"""What of a training's document says nothing about the policy."""

_OF_TRAINING = ("algorithm", "learning", "initial_policy")
"""Settings of how a policy is learned, which nobody can set afterwards."""

_READY = "service.ready_patience_s"
"""Nobody learns after an episode, so nobody needs more time there than for an action."""


@dataclass(frozen=True)
class EvaluationWish:
    """What shall be evaluated, and how.

    Attributes:
        place: A run's folder, or that of a policy.
        episodes: How many; None for what `settings` say, else `EPISODES`. Each is played in one copy of the
            environment, if `settings` do not say otherwise.
        greedy: Whether agents take their likeliest actions.
        seed: Instead of the training's.
        settings: Values by dotted path, put into the training's document; its own faults are not played. What stands
            above goes before them.
    """

    place: Path
    episodes: int | None
    greedy: bool = False
    seed: int | None = None
    settings: Mapping[str, Any] | None = None


def scenario_of(wish: EvaluationWish) -> Scenario:
    """The scenario of an evaluation: the training's, without what is about learning alone.

    Raises:
        UserError: There is no policy, or it does not say where it comes from.
        ScenarioError: A setting cannot be, or is about learning.
    """
    folder = place_of_policy(wish.place)
    document, _ = read_document(folder)
    if not document.document:
        msg = f"the policy in {folder} does not say which scenario it is of"
        raise UserError(msg)
    trained = {name: value for name, value in document.document.items() if name not in _LEFT_BEHIND}
    unless_set: dict[str, JsonValue] = {
        "episodes": EPISODES,
        "parallel_episodes": 1,
        "initial_policy": str(folder.absolute()),
        "acts_only": "drawn",
    }
    wished = {"episodes": wish.episodes, "seed": wish.seed, "acts_only": "greedy" if wish.greedy else None}
    wished_for = plain_settings(wish.settings or {})
    for path in wished_for:
        if path.partition(".")[0] in _OF_TRAINING:
            raise ScenarioError(
                path, f"expected no such setting: the policy in {folder} has been learned, and acts as it is"
            )
    settings = unless_set | wished_for
    settings |= {name: value for name, value in wished.items() if value is not None}
    scenario = parse_scenario(tomli_w.dumps(trained), settings)
    if _READY not in settings:
        settings[_READY] = scenario.service.action_patience_s
        scenario = parse_scenario(tomli_w.dumps(trained), settings)
    return with_initial_policy(with_environment_file(scenario, None), None)


def evaluation_of(plan: Plan, folder: RunFolder, summary: Summary) -> Evaluation:
    """What came of a run that was an evaluation.

    Args:
        plan: What ran.
        folder: Where.
        summary: What came of it.
    """
    scenario = plan.scenario
    policy = scenario.initial_policy
    assert policy is not None  # noqa: S101 - no evaluation without one
    learned, _ = read_document(folder.initial_policy)
    returns: defaultdict[str, list[float]] = defaultdict(list)
    team: defaultdict[int, list[float]] = defaultdict(list)
    with read_store(folder.store) as store:
        for row in store.episodes():
            returns[row.agent].append(row.value)
            team[row.episode].append(row.value)
    together = [added(own) for own in team.values()]
    return Evaluation(
        scenario=summary.scenario,
        policy=str(place_of_policy(policy.path)),
        policy_digest=policy.digest or "",
        learned_from=policy.episodes or 0,
        died_after=learned.died_after,
        algorithm=learned.algorithm,
        episodes=summary.episodes,
        parallel_episodes=scenario.parallel_episodes,
        greedy=scenario.acts_only == "greedy",
        seed=summary.seed,
        substrate=summary.substrate,
        team=_interval(together, "team"),
        agents={agent: _interval(returns[agent], agent) for agent in plan.agents},
        team_returns=together,
        agent_names=summary.agent_names,
        env_steps=summary.env_steps,
        missing_actions=summary.missing_actions,
        rejected=summary.rejected,
        lost=summary.lost,
        faults_applied=summary.faults_applied,
        arithmetic=summary.arithmetic,
        curve_digest=summary.curve_digest,
        weights_digest=summary.weights_digest or "",
        ledger_digest=summary.ledger_digest,
    )


def _interval(sample: list[float], name: str) -> ReturnInterval:
    found = mean_of(sample, "evaluation", name)
    return ReturnInterval(mean=found.value, low=found.low, high=found.high)
