"""The policy of a run: what its agents had learned when it ended, in a form that needs no run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from agent_node.learning.estimators import state_name
from agent_node.learning.fields import Arrays
from agent_node.learning.network_sizes import Networks
from agent_node.learning.weights_digest import weights_digest
from agent_node.policy_document import (
    ActionSpace,
    LearnedAgent,
    NetworkLayout,
    ObservationSpace,
    PolicyDocument,
)
from agent_node.policy_files import name_of_training
from agent_node.policy_folder import arrays_of, write_policy
from agent_node.registry import load_algorithm
from agent_node.saved_policy import ACTOR, CRITIC
from agent_node.sharing import is_of_edges
from broker.arithmetic.sizes import Sizes
from broker.errors import UserError
from broker.participants.checkpoint import Kept
from scenarios.document.plan import Plan


def keep_policy(plan: Plan, folder: Path, kept: Mapping[str, Kept], gone: tuple[str, ...]) -> None:
    """Write what the agents have learned; nothing where no agent has kept anything.

    Args:
        plan: What ran.
        folder: Where.
        kept: By agent, what it knows after which episode.
        gone: Agents that died, without which the others went on.

    Raises:
        UserError: It cannot be written; what was there before is there still.
    """
    if not kept:
        return
    scenario = plan.scenario
    algorithm = load_algorithm(scenario.algorithm.name)
    arrays: Arrays = {}
    training: Arrays = {}
    agents = {}
    for agent in plan.agents:
        networks, found = plan.networks(agent, algorithm), kept.get(agent)
        agents[agent] = _about(plan, agent, networks, found, gone=agent in gone)
        if found is not None:
            arrays |= arrays_of(agent, networks, *_parameters(found, networks))
            training |= _training(agent, found)
    document = PolicyDocument(
        scenario=scenario.name,
        scenario_digest=scenario.digest,
        document=scenario.model_dump(mode="json", exclude_none=True),
        episodes=scenario.episodes,
        algorithm=scenario.algorithm.name,
        agents=agents,
    )
    try:
        write_policy(folder, document, arrays, training)
    except OSError as error:
        msg = f"cannot write the run's policy to {folder}: {error.strerror}"
        raise UserError(msg) from None


def _about(plan: Plan, agent: str, networks: Networks, kept: Kept | None, *, gone: bool) -> LearnedAgent:
    return LearnedAgent(
        after_episode=kept.episode if kept is not None else None,
        gone=gone,
        observation_space=ObservationSpace(shape=(plan.observation_size,)),
        action_space=ActionSpace(n=plan.action_counts[agent]),
        policies=networks.modeled,
        actor=_layout(networks.actor),
        critic=_layout(networks.critic),
        estimators={name: _layout(sizes) for name, sizes in networks.estimators.items()},
        weights_digest=weights_digest(*_parameters(kept, networks)) if kept is not None else None,
    )


def _parameters(kept: Kept, networks: Networks) -> tuple[np.ndarray, ...]:
    """Policies (R, P), critic (1, P) and estimators (1, P) of what a learner keeps; see `Learner.state`."""
    stacks = ("actor", "critic", *map(state_name, networks.estimators))
    return tuple(kept.state.arrays[f"{stack}/parameters"] for stack in stacks)


def _training(agent: str, kept: Kept) -> Arrays:
    """What else the learner keeps: not what it heard, which is of rounds that are over."""
    own = {name: array for name, array in kept.state.arrays.items() if not is_of_edges(name)}
    return {name_of_training(agent, name): array for name, array in own.items() if name not in (ACTOR, CRITIC)}


def _layout(sizes: Sizes) -> NetworkLayout:
    return NetworkLayout(inputs=sizes.inputs, hidden=sizes.hidden, outputs=sizes.outputs)
