"""What the tests of an agent share: configurations, toy episodes, and plain scalar oracles that follow SPEC section 2.

The oracles use Python floats and loops only. They never import the code under test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from message_cases import seen_of

from agent_node.config import AgentConfig, AlgorithmConfig, ExchangeConfig, LearningConfig
from agent_node.experience.episode import Episode
from agent_node.learning.learner import Learner
from agent_node.registry import load_algorithm
from broker.config import JoiningConfig, TransportConfig
from broker.participants.link import LinkConfig
from broker.wire.messages import ENVIRONMENT

Grid = list[list[float]]
RUNNING, TERMINATED, TRUNCATED = 0, 1, 2


# Configurations


def complete_graph(agents: int) -> dict[str, tuple[str, ...]]:
    names = [f"agent-{number}" for number in range(agents)]
    return {name: tuple(other for other in names if other != name) for name in names}


def agent_config(
    name: str = "agent-0",
    *,
    agents: int = 3,
    actions: Mapping[str, int] | int = 3,
    steps: int = 4,
    copies: int = 2,
    observation_size: int = 3,
    episodes: int = 2,
    proximity: bool = False,
    masks: bool = False,
    seed: int = 7,
    give_up_s: float = 50.0,
    joining_give_up_s: float = 5.0,
    environment_waits: bool = True,
    algorithm: str = "anticipation-sharing",
    sharing: Mapping[str, Any] | None = None,
    exchange: Mapping[str, Any] | None = None,
    **learning: Any,
) -> AgentConfig:
    neighbors = complete_graph(agents)
    counts = dict.fromkeys(neighbors, actions) if isinstance(actions, int) else dict(actions)
    return AgentConfig(
        link=LinkConfig(
            run="test",
            name=name,
            peers=(ENVIRONMENT, *neighbors[name]),
            seed=seed,
            transport=TransportConfig(),
            joining=JoiningConfig(hello_interval_s=0.5, give_up_s=joining_give_up_s),
        ),
        neighbors=neighbors,
        proximity=proximity,
        masks=masks,
        episodes=episodes,
        parallel_episodes=copies,
        steps=steps,
        observation_size=observation_size,
        action_counts=counts,
        give_up_s=give_up_s,
        environment_waits=environment_waits,
        exchange=ExchangeConfig.model_validate({"patience_s": 2.0, **(exchange or {})}),
        learning=LearningConfig.model_validate({"hidden": (6, 5), "actor_learning_rate": 0.01, **learning}),
        algorithm=AlgorithmConfig.model_validate({"name": algorithm, "anticipation_sharing": sharing or {}}),
    )


def make_learner(config: AgentConfig) -> Learner:
    return Learner(config, load_algorithm(config.algorithm.name)(config.learning, config.algorithm))


# Toy episodes


@dataclass
class Played:
    """One episode as the environment told it: T steps, E copies."""

    observations: np.ndarray  # (T + 1, E, S)
    rewards: np.ndarray  # (T + 1, E), row t is the reward that came with timestep t
    ended: np.ndarray  # (T + 1, E)
    neighbors: np.ndarray | None  # (T + 1, E, n)
    masks: np.ndarray | None  # (T + 1, E, A)
    actions: dict[int, np.ndarray] = field(default_factory=dict)
    over: Episode | None = None

    @property
    def episode(self) -> Episode:
        """What the learner that played it made of it."""
        assert self.over is not None
        return self.over


def toy_episode(config: AgentConfig, episode: int = 0, *, state_seed: int = 0, reward_seed: int = 1) -> Played:
    """A whole episode up to the time limit: the state depends on `state_seed` alone, the rewards on `reward_seed`."""
    steps, copies = config.steps, config.parallel_episodes
    state = np.random.default_rng([state_seed, episode])
    reward = np.random.default_rng([reward_seed, episode, 99])
    potential = len(config.neighbors[config.link.name])
    ended = np.zeros((steps + 1, copies), np.uint8)
    ended[-1] = TRUNCATED
    return Played(
        observations=state.normal(size=(steps + 1, copies, config.observation_size)).astype(np.float32),
        rewards=reward.normal(size=(steps + 1, copies)).astype(np.float32),
        ended=ended,
        neighbors=np.ones((steps + 1, copies, potential), np.uint8) if config.proximity else None,
        masks=random_masks(config, np.random.default_rng([state_seed, episode, 5])) if config.masks else None,
    )


def random_masks(config: AgentConfig, random: np.random.Generator) -> np.ndarray:
    """(T + 1, E, A) uint8: each action of the agent is possible or not, and at least one is."""
    own, most = config.action_counts[config.link.name], max(config.action_counts.values())
    masks = np.zeros((config.steps + 1, config.parallel_episodes, most), np.uint8)
    masks[..., :own] = random.integers(0, 2, (*masks.shape[:2], own))
    np.put_along_axis(masks, random.integers(0, own, (*masks.shape[:2], 1)), 1, axis=-1)
    return masks


def play(learner: Learner, played: Played, episode: int = 0, *, missed: Sequence[int] = ()) -> Played:
    """Let `learner` live through an episode, but for the timesteps it `missed`."""
    learner.begin_episode(episode)
    last = len(played.observations) - 1
    for step in range(last + 1):
        if step in missed:
            continue
        near = None if played.neighbors is None else played.neighbors[step]
        mask = None if played.masks is None else played.masks[step]
        _, data = seen_of(played.observations[step], played.rewards[step], played.ended[step], near, mask)
        if step < last:
            played.actions[step] = learner.act(step, data)
        else:
            learner.see(step, data)
    played.over = learner.end_episode()
    return played


class OneNumber:
    """A stream all of whose float32 are `u`, of 24 bits, in the upper bits of either half of a raw number."""

    def __init__(self, u: float) -> None:
        half = int(u * 2**24) << 8
        self.raw = half << 32 | half
        self.bit_generator = self

    def random_raw(self, count: int) -> np.ndarray:
        return np.full(count, self.raw, np.uint64)


# Oracle: which samples a share is about


def positions_of(bits: np.ndarray) -> list[int]:
    """The positions in the flattened (steps, copies) grid whose bits are set, the highest bit of a byte first."""
    flags = "".join(f"{byte:08b}" for byte in bits.tolist())
    return [position for position, flag in enumerate(flags) if flag == "1"]


# Oracles: sums over time


def scalar_advantages(
    rewards: Grid, values: Grid, next_values: Grid, continues: Grid, gamma: float, lam: float
) -> Grid:
    """Eq. 16 as it is written: at every t the sum over l of (gamma lambda)^l delta_{t+l}, to the trajectory's end."""
    steps, copies = len(rewards), len(rewards[0])
    out = [[0.0] * copies for _ in range(steps)]
    for e in range(copies):
        for t in range(steps):
            weight, total = 1.0, 0.0
            for u in range(t, steps):
                total += weight * (rewards[u][e] + gamma * next_values[u][e] - values[u][e])
                if not continues[u][e]:
                    break
                weight *= gamma * lam
            out[t][e] = total
    return out


def scalar_returns(rewards: Grid, continues: Grid, gamma: float) -> Grid:
    """The target of Eq. 17: for every t the sum over l of gamma^l r_{t+l}, while the trajectory lasts."""
    steps, copies = len(rewards), len(rewards[0])
    out = [[0.0] * copies for _ in range(steps)]
    for e in range(copies):
        for t in range(steps):
            weight, total = 1.0, 0.0
            for u in range(t, steps):
                total += weight * rewards[u][e]
                if not continues[u][e]:
                    break
                weight *= gamma
            out[t][e] = total
    return out


# Oracles: networks


def unpacked(flat: Sequence[float], sizes: Sequence[int]) -> list[tuple[list[list[float]], list[float]]]:
    """(weights by input and output, biases) of each layer, from parameters laid out layer by layer."""
    layers, at = [], 0
    for inputs, outputs in pairwise(sizes):
        weights = [[float(flat[at + i * outputs + o]) for o in range(outputs)] for i in range(inputs)]
        at += inputs * outputs
        layers.append((weights, [float(x) for x in flat[at : at + outputs]]))
        at += outputs
    assert at == len(flat)
    return layers


def scalar_network(flat: Sequence[float], sizes: Sequence[int], inputs: Sequence[float]) -> list[float]:
    """A perceptron with ReLU between its layers, on one input."""
    x = [float(value) for value in inputs]
    layers = unpacked(flat, sizes)
    for number, (weights, biases) in enumerate(layers):
        x = [sum(x[i] * weights[i][o] for i in range(len(x))) + bias for o, bias in enumerate(biases)]
        if number < len(layers) - 1:
            x = [max(value, 0.0) for value in x]
    return x


def softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    weights = [math.exp(value - top) for value in logits]
    return [weight / sum(weights) for weight in weights]


def masked_softmax(logits: Sequence[float], possible: Sequence[float]) -> list[float]:
    """The softmax of the logits of possible actions alone; 0 for the others."""
    weights = [math.exp(value) if can else 0.0 for value, can in zip(logits, possible, strict=True)]
    return [weight / sum(weights) for weight in weights]


def restricted(probabilities: Sequence[float], possible: Sequence[float]) -> list[float]:
    """A distribution over possible actions alone; where nothing is left of it, all of them alike."""
    kept = [p if can else 0.0 for p, can in zip(probabilities, possible, strict=True)]
    return [p / sum(kept) for p in kept] if sum(kept) else [can / sum(possible) for can in possible]


def central_differences(function: Any, at: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """The gradient of a scalar function of an array, one coordinate at a time."""
    gradient = np.zeros_like(at)
    for position in np.ndindex(at.shape):
        moved = at.copy()
        moved[position] = at[position] + h
        above = function(moved)
        moved[position] = at[position] - h
        gradient[position] = (above - function(moved)) / (2 * h)
    return gradient


@dataclass
class ScalarAdam:
    """Adam for one flat list of parameters, as Kingma and Ba write it."""

    rate: float
    epsilon: float
    count: int = 0
    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)

    def step(self, parameters: Sequence[float], gradient: Sequence[float]) -> list[float]:
        self.first = self.first or [0.0] * len(parameters)
        self.second = self.second or [0.0] * len(parameters)
        self.count += 1
        out = []
        for n, (theta, g) in enumerate(zip(parameters, gradient, strict=True)):
            self.first[n] = 0.9 * self.first[n] + 0.1 * g
            self.second[n] = 0.999 * self.second[n] + 0.001 * g * g
            m = self.first[n] / (1 - 0.9**self.count)
            v = self.second[n] / (1 - 0.999**self.count)
            out.append(theta - self.rate * m / (math.sqrt(v) + self.epsilon))
        return out


# Oracle: what a neighbor's actions are worth (SPEC section 8)


def scalar_slope(
    episodes: Sequence[tuple[float, float, int]], memory: float, first_slope: float
) -> tuple[float, float, float]:
    """m, v and 1 / n_eff as weighted sums over all episodes at once, each (mean of x A, mean of x^2, rows).

    Those before the first in which x is not 0 count for nothing.
    """
    begun = next((number for number, (_, xx, _) in enumerate(episodes) if xx), len(episodes) - 1)
    episodes = episodes[begun:]
    fresh, (_, begun_at, begun_rows) = 1 - memory, episodes[0]
    old = memory ** len(episodes)
    weights = [fresh * memory**age for age in range(len(episodes) - 1, -1, -1)]
    pairs = list(zip(weights, episodes, strict=True))
    m = old * first_slope * begun_at + sum(weight * xa for weight, (xa, _, _) in pairs)
    v = old * begun_at + sum(weight * xx for weight, (_, xx, _) in pairs)
    spread = old**2 * fresh / (1 + memory) / begun_rows + sum(weight**2 / rows for weight, (_, _, rows) in pairs)
    return m, v, spread


# Oracle: the loss of agent i (SPEC section 2, Eqs. 12 to 15)


@dataclass
class Heard:
    """What neighbor j shared, per sample; None where j was out of range."""

    policy: list[list[float] | None]  # pi_jj(.|s)
    actions: list[int | None]  # a_j
    anticipation: list[list[float] | None]  # pi_ji(.|s)
    acted: list[float | None] | None = None  # pi_jj,old(a_j|s), where ratios refer to the policies that acted


@dataclass
class Terms:
    """The loss and all that it is made of, per sample."""

    loss: float
    gain: list[float]
    penalty: list[float]
    own_ratio: list[float]
    neighbor_ratio: list[float]
    ratio_ij: dict[str, list[float | None]]  # pi_ij(a_j|s) / pi_jj(a_j|s)
    ratio_ji: dict[str, list[float | None]]  # pi_ii(a_i|s) / pi_ji(a_i|s)


def capped(ratio: float, cap: float | None) -> float:
    """A ratio whose log is held within the cap, if there is one."""
    return ratio if not cap else math.exp(min(max(math.log(ratio), -cap), cap))


def scalar_loss(
    own: list[list[float]],
    anticipations: Mapping[str, list[list[float]]],
    heard: Mapping[str, Heard],
    *,
    actions: Sequence[int],
    own_old: Sequence[float],
    advantages: Sequence[float],
    epsilon: float = 0.2,
    rho: float = 1.0,
    rho_own: float | None = None,
    told: Mapping[str, float] | None = None,
    cap: float | None = None,
    entropy_bonus: float = 0.0,
) -> Terms:
    """SPEC section 2, line by line; `own_old` is pi_ii_behaviour(a_i|s), the sums run over those `heard`.

    `rho_own` is rho' where it is not rho. With `told`, what each neighbor told as kappa rho', it is SPEC section 8.
    """
    samples = len(actions)
    kappa = sum(abs(a) for a in advantages) / samples
    ratio_ij: dict[str, list[float | None]] = {j: [None] * samples for j in heard}
    ratio_ji: dict[str, list[float | None]] = {j: [None] * samples for j in heard}
    terms = Terms(0.0, [], [], [], [], ratio_ij, ratio_ji)
    entropy = 0.0
    for b in range(samples):
        advantage = advantages[b]
        xi_own = own[b][actions[b]] / own_old[b]
        xi_others, penalty, apart = 1.0, 0.0, 0.0
        for j, said in heard.items():
            policy, action, anticipation = said.policy[b], said.actions[b], said.anticipation[b]
            if policy is None or action is None or anticipation is None:
                continue
            mine = anticipations[j][b]
            ratio = mine[action] / policy[action]
            acted = said.acted[b] if said.acted is not None else policy[action]
            assert acted is not None
            xi_others *= mine[action] / acted
            apart += capped(mine[action] / acted, cap) * advantage
            if (ratio - 1) * advantage > 0:
                penalty += kappa * rho * sum((p - q) ** 2 for p, q in zip(mine, policy, strict=True))
            wish = own[b][actions[b]] / anticipation[actions[b]]
            parted = sum((p - q) ** 2 for p, q in zip(own[b], anticipation, strict=True))
            if told is not None:
                penalty += told[j] * parted
            elif (wish - 1) * advantage > 0:
                penalty += kappa * (rho if rho_own is None else rho_own) * parted
            ratio_ij[j][b], ratio_ji[j][b] = ratio, wish
        xi_others = 1.0 if told is not None else capped(xi_others, cap)
        clipped = min(max(xi_own, 1 - epsilon), 1 + epsilon)
        gain = min(xi_own * xi_others * advantage, clipped * xi_others * advantage)
        terms.gain.append(gain + apart if told is not None else gain)
        terms.penalty.append(penalty)
        terms.own_ratio.append(xi_own)
        terms.neighbor_ratio.append(xi_others)
        entropy -= sum(p * math.log(p) for p in own[b] if p > 0)
    terms.loss = (-sum(terms.gain) + sum(terms.penalty) - entropy_bonus * entropy) / samples
    return terms
