"""From an agent's slice of the scenario to the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from agent_node.config import AgentConfig, InitialPolicyConfig
from agent_node.experience.episode import Episode
from agent_node.fixed_policy import FixedPolicy
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.learner import Learner
from agent_node.learning.open_round import OpenRound
from agent_node.policy_files import place_of_policy
from agent_node.protocol import AgentProtocol
from agent_node.registry import load_algorithm
from agent_node.saved_policy import SavedPolicy, open_policy
from broker.participants.checkpoint import State
from broker.user_code import UserCode

Agent = AgentProtocol[Episode, OpenRound] | AgentProtocol[None, NoReturn]
MakeLearner = Callable[[AgentConfig, Algorithm], Learner]


def make_agent(config: AgentConfig, state: State | None = None, make_learner: MakeLearner | None = None) -> Agent:
    """The agent, with fresh networks or those of a saved policy or, with the state of an earlier life, as it was then.

    Args:
        config: Its slice of the scenario.
        state: What it knew after the last episode of an earlier life, or None.
        make_learner: Makes what learns, where it learns at all; None for the learner itself.

    Raises:
        UserError: The policy is not there, or not what it was.
    """
    if config.acts_only is not None:
        return AgentProtocol(config, make_fixed_policy(config), state)
    begun_with = config.initial_policy if state is None else None
    saved = None if begun_with is None else _opened(begun_with)
    name = config.link.name
    named = load_algorithm(config.algorithm.name)
    with UserCode(name, config.algorithm.name, named.__module__).calling("the making"):
        algorithm = named(config.learning, config.algorithm)
        algorithm.make_ready()
    learner = (make_learner or Learner)(config, algorithm)
    if saved is not None:
        learner.restore(saved.state(name, learner.modeled, config.algorithm.name, learner.state()))
    return AgentProtocol(config, learner, state)


def make_fixed_policy(config: AgentConfig) -> FixedPolicy:
    """What an agent that never learns acts with.

    Raises:
        UserError: The policy is not there, or not what it was.
    """
    assert config.initial_policy is not None  # noqa: S101 - no scenario has such agents without a policy
    saved, name = _opened(config.initial_policy), config.link.name
    digest = saved.document.agents[name].weights_digest or ""
    return FixedPolicy(config, *saved.own_policy(name), digest)


def _opened(config: InitialPolicyConfig) -> SavedPolicy:
    return open_policy(place_of_policy(config.path), config.digest or "")
