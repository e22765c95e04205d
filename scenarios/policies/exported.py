"""One agent's policy on its way elsewhere: its layers, what it is, and whether it acts there as it does here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from pydantic import TypeAdapter

from agent_node.policy_document import PolicyDocument
from agent_node.policy_files import layers_in, name_of_policy, place_of_policy
from agent_node.policy_folder import read_document, read_policy
from agent_node.trained_policy import TrainedPolicy
from broker.arithmetic.draws import uniforms
from broker.errors import UserError
from broker.seeding import generator
from env_service.config import EnvironmentConfig
from env_service.environments import make_task

TOLERANCE = 1e-5
"""By how much a probability may differ from ours: float32 that is added in another order differs by about 1e-7."""

_ROWS = 64
_OWN_TASKS = ("exchange", "navigation", "predation", "simple-spread")
_MAY_MASK = ("pettingzoo", None)
"""Kinds of environments that may mask actions; of a policy without its scenario nothing is known."""


class PolicyFacts(TypedDict):
    """What stands beside the numbers in an exported file.

    Attributes:
        agent: Its id.
        scenario: What it has learned in.
        algorithm: By what.
        learned_from: Training episodes that it has learned from, in its run and those before.
        died: Whether it died in its run, which went on without it.
        layers: Length of an observation, widths of the hidden layers, number of actions.
        actions: What they are called, in order; empty where the environment has numbers alone.
        masks: Whether the environment may say of actions that they are impossible.
        weights_digest: SHA-256 over all parameters of the agent, as `policy.json` has it.
        policy_digest: SHA-256 of that `policy.json`.
    """

    agent: str
    scenario: str
    algorithm: str
    learned_from: int
    died: bool
    layers: list[int]
    actions: list[str]
    masks: bool
    weights_digest: str
    policy_digest: str


@dataclass(frozen=True)
class ExportedPolicy:
    """The policy of one agent.

    Attributes:
        facts: What it is.
        layers: Weight (inputs, outputs) and bias (outputs,) of each layer, float32; the last has an output an action.
        ours: The same as it acts here.
    """

    facts: PolicyFacts
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    ours: TrainedPolicy


def policies_of(place: Path) -> tuple[list[ExportedPolicy], list[str]]:
    """The policies of a run, and the agents that died before they kept any.

    Args:
        place: A run's folder, or that of a policy.

    Raises:
        UserError: There is no policy, it is of another version, or it is damaged.
    """
    folder = place_of_policy(place)
    _, digest = read_document(folder)
    document, arrays = read_policy(folder)
    there = [agent for agent, learned in document.agents.items() if learned.has_learned]
    found = [_exported(document, digest, agent, arrays) for agent in there]
    return found, [agent for agent in document.agents if agent not in there]


def greatest_difference(policy: ExportedPolicy, theirs: np.ndarray, masked: np.ndarray | None) -> float:
    """How far probabilities that were computed elsewhere are from ours.

    Args:
        policy: Whose.
        theirs: (B, A) float32, for `questions_for` it.
        masked: The same with masks; None where there are none.

    Raises:
        UserError: They are further apart than `TOLERANCE`.
    """
    observations, possible = questions_for(policy)
    pairs = [(policy.ours(observations), theirs)]
    pairs += [(policy.ours(observations, possible), masked)] if masked is not None else []
    differences = [np.abs(ours - other).max() if ours.shape == other.shape else np.inf for ours, other in pairs]
    greatest = float(np.max(differences))
    if not greatest <= TOLERANCE:
        msg = (
            f"the exported policy of {policy.facts['agent']} gives probabilities that differ by {greatest:.1e} from "
            f"those it acts with here, expected at most {TOLERANCE:g}: nothing was written"
        )
        raise UserError(msg)
    return greatest


def questions_for(policy: ExportedPolicy) -> tuple[np.ndarray, np.ndarray]:
    """What both are asked: observations (B, S) float32 from -1 to 1, and masks (B, A) bool, an action in each row."""
    layers = policy.facts["layers"]
    draws = generator(0, "export", policy.facts["agent"])
    observations = (2 * uniforms(draws, (_ROWS, layers[0])) - 1).astype(np.float32)
    possible = uniforms(draws, (_ROWS, layers[-1])) < 0.5
    possible[np.arange(_ROWS), np.arange(_ROWS) % layers[-1]] = True
    return observations, possible


def _exported(document: PolicyDocument, digest: str, agent: str, arrays: Mapping[str, np.ndarray]) -> ExportedPolicy:
    learned = document.agents[agent]
    ours = TrainedPolicy(agent, learned, dict(arrays))
    actions = learned.action_space.n
    layers = layers_in(name_of_policy(agent, agent), len(learned.actor.hidden), arrays)
    weight, bias = layers[-1]
    layers[-1] = (weight[:, :actions], bias[:actions])  # the others are of agents with more actions
    facts = PolicyFacts(
        agent=agent,
        scenario=document.scenario,
        algorithm=document.algorithm,
        learned_from=document.learned_by(agent),
        died=learned.gone,
        layers=[learned.actor.inputs, *learned.actor.hidden, actions],
        actions=_names_of_actions(document),
        masks=_may_mask(document),
        weights_digest=learned.weights_digest or "",
        policy_digest=digest,
    )
    return ExportedPolicy(
        facts, tuple((np.ascontiguousarray(one), np.ascontiguousarray(two)) for one, two in layers), ours
    )


def _environment_of(document: PolicyDocument) -> dict[str, object]:
    found = document.document.get("environment")
    return dict(found) if isinstance(found, dict) else {}


def _names_of_actions(document: PolicyDocument) -> list[str]:
    kind = _environment_of(document).get("kind")
    if kind not in _OWN_TASKS:
        return []
    config: EnvironmentConfig = TypeAdapter(EnvironmentConfig).validate_python({"kind": kind})
    return list(make_task(config, 1, seed=0).action_names)


def _may_mask(document: PolicyDocument) -> bool:
    environment = _environment_of(document)
    return environment.get("kind") in _MAY_MASK and environment.get("action_masks") != "off"
