"""How much memory a plan needs at least: what its participants hold at the end of an episode."""

from __future__ import annotations

from dataclasses import dataclass

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.network_sizes import Networks
from agent_node.learning.shares import ShareFormat
from broker.wire.messages import ENVIRONMENT
from scenarios.document.plan import Plan
from scenarios.document.planning import make_algorithm

_NUMBER_BYTES = 4
_OF_A_PARAMETER = 4
"""Itself, two moments of Adam's and its gradient."""
_OF_A_LAYER = 2
"""What comes out of it, and the gradient of that."""


@dataclass(frozen=True)
class Needs:
    """Memory in bytes.

    Attributes:
        by_participant: What each needs at least, beyond the program itself.
    """

    by_participant: dict[str, int]

    @property
    def in_all(self) -> int:
        """What all need together."""
        return sum(self.by_participant.values())

    @property
    def largest(self) -> str:
        """Who needs most; the first of several."""
        return max(self.by_participant, key=self.by_participant.__getitem__)


def needs_of(plan: Plan) -> Needs:
    """What the participants of a plan need."""
    algorithm = make_algorithm(plan.scenario)
    return Needs({ENVIRONMENT: _environment(plan)} | {agent: _agent(plan, agent, algorithm) for agent in plan.agents})


def _environment(plan: Plan) -> int:
    rewards = plan.steps * plan.scenario.parallel_episodes * len(plan.agents) * _NUMBER_BYTES
    return rewards + len(plan.agents) * plan.timestep_bytes


def _agent(plan: Plan, agent: str, algorithm: Algorithm) -> int:
    scenario, neighbors = plan.scenario, plan.graph.neighbors[agent]
    networks = plan.networks(agent, type(algorithm))
    positions = plan.steps * scenario.parallel_episodes
    edge = networks.edge(positions, plan.action_counts[agent], max(plan.action_counts.values()))
    share = ShareFormat(
        algorithm, positions, len(plan.agents), plan.masks, scenario.exchange.largest_number
    ).size_bytes(edge)
    episode = (plan.steps + 1) * plan.timestep_bytes
    return episode + len(neighbors) * share + _learning(networks, positions)


def _learning(networks: Networks, positions: int) -> int:
    """Parameters, and what an update computes from all samples of an episode."""
    actor, critic, policies = networks.actor, networks.critic, len(networks.modeled)
    own = sum(sizes.size for sizes in networks.estimators.values())
    parameters = _OF_A_PARAMETER * (policies * actor.size + critic.size + own)
    widest = policies * sum((*actor.hidden, actor.outputs))
    return _NUMBER_BYTES * (parameters + _OF_A_LAYER * positions * widest)
