"""A saved policy as what agents begin with: to act and never learn, or to train on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from agent_node.learning.algorithm import is_kept
from agent_node.learning.fields import Arrays
from agent_node.learning.weights_digest import weights_digest
from agent_node.policy_document import LearnedAgent, PolicyDocument
from agent_node.policy_files import (
    joined,
    name_of_critic,
    name_of_estimator,
    name_of_policy,
    name_of_training,
    names_of_layers,
)
from agent_node.policy_folder import read_document
from broker.arithmetic.sizes import Sizes
from broker.counting import counted
from broker.errors import UserError

ACTOR, CRITIC = "actor/parameters", "critic/parameters"
"""What a learner's state calls its networks (`agent_node.learning.learner.Learner.state`)."""


@dataclass(frozen=True)
class SavedPolicy:
    """The policies of all agents, of which each reads its own alone.

    Attributes:
        folder: Where.
        document: What is there.
    """

    folder: Path
    document: PolicyDocument

    def networks(self, agent: str) -> tuple[np.ndarray, np.ndarray]:
        """Policies (R, P) of `agent`, in the order in which it holds them, and its critic (1, P).

        Raises:
            UserError: They are not what was written.
        """
        learned = self.document.agents[agent]
        held = [(name_of_policy(agent, other), len(learned.actor.hidden)) for other in learned.policies]
        critic = (name_of_critic(agent), len(learned.critic.hidden))
        estimators = [(name_of_estimator(agent, name), len(each.hidden)) for name, each in learned.estimators.items()]
        parts = [name for each in (*held, critic, *estimators) for name in names_of_layers(*each)]
        found = self._read(self.document.arrays, parts)
        networks = np.stack([joined(*each, found) for each in held]), joined(*critic, found)[None]
        if weights_digest(*networks, *(joined(*each, found) for each in estimators)) != learned.weights_digest:
            msg = f"{self.folder} cannot be used: the networks of {agent} are not what was written"
            raise UserError(msg)
        return networks

    def own_policy(self, agent: str) -> tuple[Sizes, np.ndarray]:
        """What `agent` acts with: sizes, and parameters (P,).

        Raises:
            UserError: It is not what was written.
        """
        learned, (policies, _) = self.document.agents[agent], self.networks(agent)
        return learned.actor.sizes, policies[learned.policies.index(agent)]

    def state(self, agent: str, modeled: tuple[str, ...], algorithm: str, drawn: Mapping[str, np.ndarray]) -> Arrays:
        """The state that the learner of `agent` begins with.

        What training needs beside the networks, such as the moments of Adam, goes on where algorithm and policies held
        are the same; else it begins anew. So does what the algorithm keeps where it has learned without: with a setting
        that keeps nothing.

        Args:
            agent: Whose.
            modeled: The agents it is to hold a policy for; the folder has them (`fits`).
            algorithm: What it is to learn with.
            drawn: The state of a learner that begins with nothing.

        Raises:
            UserError: It is not what was written.
        """
        learned, (policies, critic) = self.document.agents[agent], self.networks(agent)
        rows = [learned.policies.index(other) for other in modeled]
        state = {**drawn, ACTOR: policies[rows], CRITIC: critic}
        parts = [part for part in drawn if part not in (ACTOR, CRITIC)]
        there = self._names(self.document.training) if self.document.training else frozenset()
        goes_on = self.goes_on(agent, modeled, algorithm)
        if not goes_on or not all(name_of_training(agent, part) in there for part in parts if is_kept(part)):
            state = {name: array for name, array in state.items() if not is_kept(name)}
            parts = [part for part in parts if not is_kept(part)]
        if goes_on and self.document.training:
            found = self._read(self.document.training, [name_of_training(agent, part) for part in parts])
            state |= {part: found[name_of_training(agent, part)] for part in parts}
        return state

    def goes_on(self, agent: str, modeled: tuple[str, ...], algorithm: str) -> bool:
        """Whether `agent` trains on where it stopped, not with its networks alone."""
        return self.document.algorithm == algorithm and self.document.agents[agent].policies == modeled

    def _names(self, name: str) -> frozenset[str]:
        """What the arrays of a file are called."""
        with self._opened(name) as file:
            return frozenset(file.keys())

    def _read(self, name: str, parts: list[str]) -> Arrays:
        """Some arrays of a file, and nothing else of it."""
        with self._opened(name) as file:
            return {part: file.get_tensor(part) for part in parts}

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        try:
            with safe_open(self.folder / Path(name).name, "np") as file:
                yield file
        except (OSError, SafetensorError) as error:
            msg = f"{self.folder} cannot be used: {name or 'its file of arrays'} cannot be read ({error})"
            raise UserError(msg) from None


@lru_cache(maxsize=1)
def open_policy(folder: Path, digest: str) -> SavedPolicy:
    """The policy in a folder, read once for all agents of a simulation.

    Args:
        folder: Where.
        digest: SHA-256 of its `policy.json`.

    Raises:
        UserError: There is none, it is of another version, or it is not this one.
    """
    document, found = read_document(folder)
    if found != digest:
        msg = (
            f"the policy in {folder} is not the one that the document names, or that was there when the scenario was "
            f"loaded: expected SHA-256 {digest[:16]}, found {found[:16]}"
        )
        raise UserError(msg)
    return SavedPolicy(folder, document)


def misfit(agent: str, learned: LearnedAgent, observation_size: int, actions: int) -> str:
    """Why an agent of a scenario cannot act with what was learned, as a clause; empty where it can.

    Args:
        agent: Its name.
        learned: What the policy says of it.
        observation_size: What it will see.
        actions: How many it will have.
    """
    if learned.after_episode is None:
        return f"{agent} died before it kept anything, so there is no policy of it"
    seen, known = learned.observation_space.shape, learned.action_space.n
    if seen != (observation_size,):
        return (
            f"{agent} sees observations of {counted(observation_size, 'number')} here, and has learned from {seen[0]}"
        )
    if known != actions:
        return f"{agent} has {actions} actions here, and has learned with {known}"
    return ""
