from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations, product
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from agent_node import partners
from agent_node.config import ExchangeConfig
from agent_node.partners import ExchangePlan
from broker.seeding import choice

Neighbors = dict[str, tuple[str, ...]]
Scope = Literal["system", "agent", "edge"]

SCOPES: tuple[Scope, ...] = ("system", "agent", "edge")
SEED = 20231

seeds = st.integers(0, 2**63)
rounds = st.tuples(st.integers(0, 10_000), st.integers(0, 10))


def graph(agents: int, edges: list[tuple[int, int]]) -> Neighbors:
    joined = {frozenset(edge) for edge in edges}
    return {
        f"agent-{i}": tuple(f"agent-{j}" for j in range(agents) if frozenset((i, j)) in joined) for i in range(agents)
    }


def complete(agents: int) -> Neighbors:
    return graph(agents, list(combinations(range(agents), 2)))


def line(agents: int) -> Neighbors:
    return graph(agents, [(i, i + 1) for i in range(agents - 1)])


@st.composite
def graphs(draw: st.DrawFn) -> Neighbors:
    """Any undirected graph, isolated agents included; beyond ten agents, names and numbers sort differently."""
    agents = draw(st.integers(1, 13))
    return graph(agents, [pair for pair in combinations(range(agents), 2) if draw(st.booleans())])


configs = st.builds(
    ExchangeConfig,
    mode=st.sampled_from(["all", "random-partner"]),
    skip_probability=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    skip_scope=st.sampled_from(SCOPES),
)


def skipping(scope: Scope, probability: float, mode: Literal["all", "random-partner"] = "all") -> ExchangeConfig:
    return ExchangeConfig(mode=mode, skip_probability=probability, skip_scope=scope)


def picks(neighbors: Neighbors, agent: str, whens: Iterable[tuple[int, int]], seed: int = SEED) -> list[str]:
    """Whom `agent` picked in some rounds, from the draws that its plan made."""
    plan = ExchangePlan(seed, neighbors, ExchangeConfig(mode="random-partner"))
    drawn: list[str] = []

    def noted(count: int, seed: int, *parts: str | int) -> int:
        place = choice(count, seed, *parts)
        if parts[1] == agent:
            drawn.append(neighbors[agent][place])
        return place

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partners, "choice", noted)
        for when in whens:
            plan.partners(agent, *when)
    return drawn


def assert_rate(hits: int, trials: int, probability: float) -> None:
    interval = binomtest(hits, trials).proportion_ci(confidence_level=1 - 1e-6, method="exact")
    assert interval.low <= probability <= interval.high, f"{hits} of {trials}, expected {probability}"


@settings(deadline=None, max_examples=300)
@given(graphs(), configs, seeds, rounds)
def test_two_agents_agree_whether_they_exchange(
    neighbors: Neighbors, config: ExchangeConfig, seed: int, when: tuple[int, int]
) -> None:
    plans = {agent: ExchangePlan(seed, neighbors, config) for agent in neighbors}
    partners = {agent: plan.partners(agent, *when) for agent, plan in plans.items()}
    for one, other in product(neighbors, repeat=2):
        assert (other in partners[one]) == (one in partners[other])


@settings(deadline=None)
@given(graphs(), configs, seeds, rounds)
def test_partners_are_neighbors_in_the_order_of_neighbors(
    neighbors: Neighbors, config: ExchangeConfig, seed: int, when: tuple[int, int]
) -> None:
    plan = ExchangePlan(seed, neighbors, config)
    for agent, others in neighbors.items():
        partners = plan.partners(agent, *when)
        assert partners == tuple(other for other in others if other in partners)


@settings(deadline=None)
@given(graphs(), configs, seeds, st.lists(rounds, min_size=2, max_size=5))
def test_a_round_has_the_same_partners_whenever_it_is_asked_for(
    neighbors: Neighbors, config: ExchangeConfig, seed: int, asked: list[tuple[int, int]]
) -> None:
    plan = ExchangePlan(seed, neighbors, config)
    forward = [plan.partners("agent-0", *when) for when in asked]
    backward = [plan.partners("agent-0", *when) for when in reversed(asked)]
    assert forward == backward[::-1]


@given(graphs(), st.sampled_from(SCOPES), seeds, rounds)
def test_without_skipping_everybody_exchanges_with_all_neighbors(
    neighbors: Neighbors, scope: Scope, seed: int, when: tuple[int, int]
) -> None:
    plan = ExchangePlan(seed, neighbors, skipping(scope, 0))
    for agent, others in neighbors.items():
        assert plan.partners(agent, *when) == others


@given(graphs(), st.sampled_from(["all", "random-partner"]), st.sampled_from(SCOPES), seeds, rounds)
def test_with_skip_probability_one_nobody_exchanges(
    neighbors: Neighbors, mode: Literal["all", "random-partner"], scope: Scope, seed: int, when: tuple[int, int]
) -> None:
    plan = ExchangePlan(seed, neighbors, skipping(scope, 1, mode))
    for agent in neighbors:
        assert plan.partners(agent, *when) == ()


@settings(deadline=None)
@given(graphs(), seeds, rounds)
def test_random_partners_are_the_pick_and_all_who_picked(
    neighbors: Neighbors, seed: int, when: tuple[int, int]
) -> None:
    plan = ExchangePlan(seed, neighbors, ExchangeConfig(mode="random-partner"))
    pairs = {frozenset((agent, other)) for agent in neighbors for other in picks(neighbors, agent, [when], seed)}
    for agent in neighbors:
        expected = {other for other in neighbors if frozenset((agent, other)) in pairs and other != agent}
        assert set(plan.partners(agent, *when)) == expected


@settings(deadline=None)
@given(graphs(), seeds, rounds)
def test_without_skipping_everybody_with_neighbors_has_a_random_partner(
    neighbors: Neighbors, seed: int, when: tuple[int, int]
) -> None:
    plan = ExchangePlan(seed, neighbors, ExchangeConfig(mode="random-partner"))
    for agent, others in neighbors.items():
        assert bool(plan.partners(agent, *when)) == bool(others)


@settings(deadline=None)
@given(graphs(), st.sampled_from(SCOPES), seeds, rounds)
def test_skipping_only_takes_partners_away(
    neighbors: Neighbors, scope: Scope, seed: int, when: tuple[int, int]
) -> None:
    free = ExchangePlan(seed, neighbors, ExchangeConfig(mode="random-partner"))
    thinned = ExchangePlan(seed, neighbors, skipping(scope, 0.5, "random-partner"))
    edges = ExchangePlan(seed, neighbors, skipping(scope, 0.5))
    for agent in neighbors:
        left = set(thinned.partners(agent, *when))
        assert left == set(free.partners(agent, *when)) & set(edges.partners(agent, *when))


def test_picks_are_uniform_over_the_neighbors() -> None:
    for agent in ("agent-0", "agent-3", "agent-6"):
        counts = Counter(picks(complete(7), agent, product(range(2000), range(3))))
        assert counts.total() == 6000
        assert len(counts) == 6
        assert chisquare(list(counts.values())).pvalue > 1e-6


def test_picks_of_different_agents_are_independent() -> None:
    """A pair exchanges unless neither picked the other."""
    plan = ExchangePlan(SEED, complete(4), ExchangeConfig(mode="random-partner"))
    trials = 6000
    for other in ("agent-0", "agent-1", "agent-3"):
        met = sum(other in plan.partners("agent-2", episode, 0) for episode in range(trials))
        assert_rate(met, trials, 1 - (2 / 3) ** 2)


def test_picks_change_from_round_to_round() -> None:
    first, second = (picks(complete(4), "agent-0", [(episode, k) for episode in range(6000)]) for k in range(2))
    same = sum(one == other for one, other in zip(first, second, strict=True))
    assert_rate(same, 6000, 1 / 3)


def test_scope_system_skips_a_round_for_all_or_for_none_at_the_requested_rate() -> None:
    neighbors = complete(4)
    plan = ExchangePlan(SEED, neighbors, skipping("system", 0.3))
    skipped = 0
    for episode in range(3000):
        verdicts = {plan.partners(agent, episode, 1) == () for agent in neighbors}
        assert len(verdicts) == 1
        assert all(plan.partners(agent, episode, 1) in {(), others} for agent, others in neighbors.items())
        skipped += verdicts.pop()
    assert_rate(skipped, 3000, 0.3)


def test_scope_agent_skips_all_edges_of_those_whose_coin_says_so() -> None:
    """Who skips is seen from outside: in a complete graph exactly the others exchange, all with all."""
    neighbors = complete(4)
    plan = ExchangePlan(SEED, neighbors, skipping("agent", 0.3))
    sizes: Counter[int] = Counter()
    for episode in range(3000):
        partners = {agent: plan.partners(agent, episode, 1) for agent in neighbors}
        active = [agent for agent in neighbors if partners[agent]]
        assert all(partners[agent] == tuple(other for other in active if other != agent) for agent in active)
        sizes[len(active)] += 1
    trials = 3000
    assert_rate(sizes[4], trials, 0.7**4)
    assert_rate(sizes[3], trials, 4 * 0.3 * 0.7**3)
    assert_rate(sizes[0], trials, 0.3**4 + 4 * 0.7 * 0.3**3)
    assert sizes[1] == 0


def test_scope_edge_tosses_one_coin_per_edge_and_the_coins_are_independent() -> None:
    neighbors = complete(4)
    plan = ExchangePlan(SEED, neighbors, skipping("edge", 0.3))
    edges = list(combinations(neighbors, 2))
    skipped = [{edge for edge in edges if edge[1] not in plan.partners(edge[0], episode, 1)} for episode in range(3000)]
    for edge in edges:
        assert_rate(sum(edge in out for out in skipped), 3000, 0.3)
    for one, other in combinations(edges, 2):
        assert_rate(sum(one in out and other in out for out in skipped), 3000, 0.09)


@pytest.mark.parametrize("scope", SCOPES)
def test_coins_of_successive_rounds_and_episodes_are_independent(scope: Scope) -> None:
    plan = ExchangePlan(SEED, line(2), skipping(scope, 0.5))
    survives = 0.25 if scope == "agent" else 0.5
    for first, second in [((0, 0), (0, 1)), ((0, 2), (1, 0))]:
        both = sum(
            bool(plan.partners("agent-0", 2 * block + first[0], first[1]))
            and bool(plan.partners("agent-0", 2 * block + second[0], second[1]))
            for block in range(3000)
        )
        assert_rate(both, 3000, survives**2)


def test_two_seeds_toss_different_coins() -> None:
    plans = [ExchangePlan(seed, line(2), skipping("system", 0.5)) for seed in (1, 2)]
    agree = sum(len({plan.partners("agent-0", episode, 0) for plan in plans}) == 1 for episode in range(3000))
    assert_rate(agree, 3000, 0.5)


def test_two_seeds_draw_different_picks() -> None:
    one, other = (picks(complete(4), "agent-0", [(episode, 0) for episode in range(3000)], seed) for seed in (1, 2))
    agree = sum(mine == yours for mine, yours in zip(one, other, strict=True))
    assert_rate(agree, 3000, 1 / 3)


@settings(deadline=None)
@given(st.integers(2, 12), st.sampled_from(SCOPES), st.floats(0.01, 0.99), seeds, rounds)
def test_an_agent_added_at_the_end_of_a_line_changes_no_other_coin(
    agents: int, scope: Scope, probability: float, seed: int, when: tuple[int, int]
) -> None:
    config = skipping(scope, probability)
    before, after = (ExchangePlan(seed, line(size), config) for size in (agents, agents + 1))
    for agent in line(agents):
        kept = tuple(other for other in after.partners(agent, *when) if other != f"agent-{agents}")
        assert before.partners(agent, *when) == kept


@settings(deadline=None)
@given(st.integers(4, 12), seeds, rounds)
def test_an_agent_added_at_the_end_of_a_line_changes_only_the_picks_of_its_neighbor(
    agents: int, seed: int, when: tuple[int, int]
) -> None:
    config = ExchangeConfig(mode="random-partner")
    before, after = (ExchangePlan(seed, line(size), config) for size in (agents, agents + 1))
    for number in range(agents - 2):
        agent = f"agent-{number}"
        assert before.partners(agent, *when) == after.partners(agent, *when)


@settings(deadline=None)
@given(st.integers(1, 12), seeds, rounds)
def test_without_skipping_or_picking_nothing_is_drawn(agents: int, seed: int, when: tuple[int, int]) -> None:
    neighbors = complete(agents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partners, "uniform", None)
        patch.setattr(partners, "choice", None)
        plan = ExchangePlan(seed, neighbors, ExchangeConfig())
        assert all(plan.partners(agent, *when) is neighbors[agent] for agent in neighbors)


def test_an_agent_draws_picks_of_itself_and_its_neighbors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []

    def counted(count: int, seed: int, *parts: str | int) -> int:
        drawn.append(parts)
        return choice(count, seed, *parts)

    monkeypatch.setattr(partners, "choice", counted)
    plan = ExchangePlan(SEED, line(1000), ExchangeConfig(mode="random-partner"))
    plan.partners("agent-500", 4, 2)
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= {("partner", f"agent-{number}", 4, 2) for number in (499, 500, 501)}


def test_draws_are_those_of_the_table() -> None:
    """The names are part of what makes an old run playable again: they must not change unnoticed."""
    names: list[tuple[object, ...]] = []

    def noted(_seed: int, *parts: str | int) -> float:
        names.append(parts)
        return 0.9

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partners, "uniform", noted)
        for scope in SCOPES:
            ExchangePlan(SEED, line(2), skipping(scope, 0.5)).partners("agent-1", 4, 2)
    assert names == [
        ("skip", 4, 2),
        ("skip", 4, 2, "agent-1"),
        ("skip", 4, 2, "agent-0"),
        ("skip", 4, 2, "agent-0", "agent-1"),
    ]
