"""From an agent's slice of the scenario to the agent."""

from __future__ import annotations

from agent_node.config import AgentConfig
from agent_node.experience.episode import Episode
from agent_node.learning.learner import Learner
from agent_node.learning.open_round import OpenRound
from agent_node.protocol import AgentProtocol
from agent_node.registry import load_algorithm
from broker.participants.checkpoint import State
from broker.user_code import UserCode


def make_agent(config: AgentConfig, state: State | None = None) -> AgentProtocol[Episode, OpenRound]:
    """The agent, with fresh networks or, with the state of an earlier life, as it was then."""
    named = load_algorithm(config.algorithm.name)
    with UserCode(config.link.name, config.algorithm.name, named.__module__).calling("the making"):
        algorithm = named(config.learning, config.algorithm)
        algorithm.make_ready()
    return AgentProtocol(config, Learner(config, algorithm), state)
