"""Random graphs of numbered agents, with the same edges on every machine. Pure: no I/O, no clock.

A graph is its undirected edges, pairs of numbers with the lower first, in order. It follows from the raw numbers of a
stream alone: who is whose neighbor must not change with a library's version, as what `networkx` and Python's `random`
draw may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

from numpy.random import Generator

from broker.arithmetic.draws import orders, uniforms

Pair = tuple[int, int]


def each_pair_by_chance(stream: Generator, agents: int, probability: float) -> list[Pair]:
    """Each pair with the same probability (Erdos and Renyi 1959)."""
    pairs = list(combinations(range(agents), 2))
    struck = uniforms(stream, (len(pairs),)) < probability
    return [pair for pair, is_edge in zip(pairs, struck.tolist(), strict=True) if is_edge]


def regular(stream: Generator, agents: int, degree: int) -> list[Pair]:
    """Everybody with `degree` neighbors (Steger and Wormald 1999), `agents` * `degree` being even.

    Ends of edges are joined at random; those that would join an agent with itself or with a neighbor are joined again
    with each other, and where that cannot be all is begun anew.
    """
    while True:
        edges: set[Pair] = set()
        ends = [agent for agent in range(agents) for _ in range(degree)]
        while ends and _can_be_joined(ends, edges):
            ends = _join(stream, ends, edges)
        if not ends:
            return sorted(edges)


def small_world(stream: Generator, agents: int, neighbors: int, probability: float) -> list[Pair]:
    """A ring on which everybody has `neighbors`, whose edges move to random agents (Watts and Strogatz 1998).

    Around the ring, first all edges to the next agent, then all to the one behind it: with `probability` an edge keeps
    its first end and moves the other to an agent that is no neighbor yet, if there is any.
    """
    ring = [[(agent, (agent + step) % agents) for agent in range(agents)] for step in range(1, neighbors // 2 + 1)]
    joined: list[set[int]] = [set() for _ in range(agents)]
    for one, other in (pair for lap in ring for pair in lap):
        joined[one].add(other)
        joined[other].add(one)
    draws = uniforms(stream, (len(ring), agents, 2)).tolist()
    for lap, drawn in zip(ring, draws, strict=True):
        for (one, other), (coin, place) in zip(lap, drawn, strict=True):
            if coin >= probability:
                continue
            strangers = [each for each in range(agents) if each != one and each not in joined[one]]
            if strangers:
                moved = strangers[int(place * len(strangers))]
                joined[one].remove(other)
                joined[other].remove(one)
                joined[one].add(moved)
                joined[moved].add(one)
    return sorted((one, other) for one, others in enumerate(joined) for other in others if one < other)


def is_connected(pairs: Iterable[Pair], agents: int) -> bool:
    """Whether every agent is reached from every other."""
    part = list(range(agents))  # of each agent, a lower one of the same part, or itself
    for pair in pairs:
        low, high = sorted(_first_of(part, agent) for agent in pair)
        part[high] = low
    return all(_first_of(part, agent) == 0 for agent in range(agents))


def _first_of(part: list[int], agent: int) -> int:
    while part[agent] != agent:
        part[agent] = agent = part[part[agent]]
    return agent


def _join(stream: Generator, ends: list[int], edges: set[Pair]) -> list[int]:
    """Join ends two by two in a random order, as far as that makes new `edges`; returns those that are left."""
    order = orders(stream, 1, len(ends))[0].tolist()
    left: list[int] = []
    for first, second in zip(order[::2], order[1::2], strict=True):
        low, high = sorted((ends[first], ends[second]))
        if low == high or (low, high) in edges:
            left += (low, high)
        else:
            edges.add((low, high))
    return sorted(left)


def _can_be_joined(ends: list[int], edges: set[Pair]) -> bool:
    """Whether some two of the ends would make a new edge."""
    return any(pair not in edges for pair in combinations(sorted(Counter(ends)), 2))
