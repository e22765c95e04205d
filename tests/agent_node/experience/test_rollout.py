from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from agent_cases import RUNNING, TERMINATED, TRUNCATED, scalar_advantages, scalar_returns
from hypothesis import given, settings
from hypothesis import strategies as st
from message_cases import seen_of

from agent_node.experience.rollout import Batch, Rollout

GAMMA, LAMBDA = 0.9, 0.8


@dataclass
class Episode:
    """What the environment told, and which timesteps of it the agent missed."""

    observations: np.ndarray  # (T + 1, E, S)
    rewards: np.ndarray  # (T + 1, E), row t came with timestep t
    ended: np.ndarray  # (T + 1, E)
    neighbors: np.ndarray  # (T + 1, E, n); n = 0 where the graph is fixed
    missed: frozenset[int] = frozenset()

    @property
    def steps(self) -> int:
        return len(self.ended) - 1

    @property
    def copies(self) -> int:
        return int(self.ended.shape[1])

    def near(self, step: int) -> np.ndarray | None:
        return self.neighbors[step] if self.neighbors.shape[2] else None

    def data(self, step: int) -> memoryview:
        return seen_of(self.observations[step], self.rewards[step], self.ended[step], self.near(step))[1]

    def reward_of(self, step: int, copy: int) -> float:
        return float(self.rewards[step + 1, copy])


def episode(ends: list[tuple[int, int]], steps: int, missed: tuple[int, ...] = (), neighbors: int = 0) -> Episode:
    """For each copy (at which timestep it ended, how); every number tells where it comes from."""
    copies = len(ends)
    ended = np.zeros((steps + 1, copies), np.uint8)
    for copy, (step, how) in enumerate(ends):
        ended[step:, copy] = how
    place = np.arange(steps + 1, dtype=np.float32)[:, None] * 10 + np.arange(copies, dtype=np.float32)
    draw = np.random.default_rng(3)
    return Episode(
        observations=np.stack([place, -place], axis=-1),
        rewards=place / 100 + np.where(np.roll(ended, 1, axis=0) == RUNNING, 0, 50).astype(np.float32),
        ended=ended,
        neighbors=draw.integers(0, 2, (steps + 1, copies, neighbors)).astype(np.uint8),
        missed=frozenset(missed),
    )


def act(step: int, copies: int) -> np.ndarray:
    return (np.arange(copies) + step) % 3


def answer(rollout: Rollout, step: int, copies: int) -> None:
    rollout.actions[step] = act(step, copies)
    rollout.acted(step)


def feed(rollout: Rollout, told: Episode) -> None:
    rollout.begin()
    for step in range(told.steps + 1):
        if step in told.missed:
            continue
        rollout.see(step, told.data(step))
        if step < told.steps:
            answer(rollout, step, told.copies)


def closed(told: Episode, *, bootstrap: bool = False, limit: int | None = None) -> Batch:
    rollout = Rollout(
        limit or told.steps, told.copies, told.observations.shape[2], told.neighbors.shape[2] or None, None
    )
    feed(rollout, told)
    return rollout.close(GAMMA, bootstrap)


def valid_cells(told: Episode) -> list[tuple[int, int]]:
    """The steps at which a copy was running and the agent saw, acted and learned its reward."""
    return [
        (step, copy)
        for step in range(told.steps)
        for copy in range(told.copies)
        if told.ended[step, copy] == RUNNING and step not in told.missed and step + 1 not in told.missed
    ]


def cells(batch: Batch) -> list[tuple[int, int]]:
    return [divmod(int(place), int(batch.rewards.shape[1])) for place in batch.index]


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    steps, copies = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    ends = [draw(st.tuples(st.integers(1, steps), st.sampled_from([TERMINATED, TRUNCATED]))) for _ in range(copies)]
    latest = max(step for step, _ in ends)
    told = episode(ends, latest, neighbors=draw(st.integers(0, 2)))
    told.missed = draw(st.frozensets(st.integers(0, latest - 1), max_size=3))
    return told


def test_every_step_of_a_whole_episode_is_a_sample() -> None:
    batch = closed(episode([(3, TRUNCATED), (3, TRUNCATED)], 3))
    assert cells(batch) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def test_a_copy_that_ended_early_gives_no_samples_from_its_end_on() -> None:
    batch = closed(episode([(3, TRUNCATED), (1, TERMINATED), (2, TRUNCATED)], 3))
    assert cells(batch) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0)]


def test_a_missed_timestep_costs_its_own_sample_and_the_reward_of_the_one_before() -> None:
    batch = closed(episode([(5, TRUNCATED)], 5, missed=(2,)))
    assert cells(batch) == [(0, 0), (3, 0), (4, 0)]


def test_a_timestep_that_was_seen_but_not_answered_is_no_sample() -> None:
    told = episode([(3, TRUNCATED)], 3)
    rollout = Rollout(3, 1, 2, None, None)
    rollout.begin()
    for step in range(4):
        rollout.see(step, told.data(step))
        if step in {0, 2}:
            answer(rollout, step, 1)
    assert cells(rollout.close(GAMMA, bootstrap=False)) == [(0, 0), (2, 0)]


def test_an_answer_of_the_last_episode_is_no_answer_in_this_one() -> None:
    told = episode([(3, TRUNCATED)], 3)
    rollout = Rollout(3, 1, 2, None, None)
    feed(rollout, told)
    rollout.begin()
    for step in range(4):
        rollout.see(step, told.data(step))
    answer(rollout, 1, 1)
    assert cells(rollout.close(GAMMA, bootstrap=False)) == [(1, 0)]


def test_no_sums_run_across_a_hole() -> None:
    told = episode([(5, TRUNCATED)], 5, missed=(2,))
    batch = closed(told)
    r = [told.reward_of(step, 0) for step in range(5)]
    np.testing.assert_allclose(batch.returns, [r[0], r[3] + GAMMA * r[4], r[4]], rtol=1e-6)


def test_a_rollout_without_a_single_step_has_no_samples() -> None:
    told = episode([(0, TRUNCATED)], 1)
    rollout = Rollout(1, 1, 2, None, None)
    rollout.begin()
    rollout.see(0, told.data(0))
    assert rollout.close(GAMMA, bootstrap=True).samples == 0


@settings(deadline=None)
@given(episodes(), st.booleans())
def test_samples_observations_actions_and_ranges_are_those_of_their_cells(told: Episode, bootstrap: bool) -> None:
    batch = closed(told, bootstrap=bootstrap)
    expected = valid_cells(told)
    assert cells(batch) == expected
    assert batch.samples == len(expected)
    assert batch.actions.tolist() == [act(step, told.copies)[copy] for step, copy in expected]
    seen = batch.observations[: batch.samples].tolist()
    assert seen == [told.observations[step, copy].tolist() for step, copy in expected]
    neighbors = told.neighbors.shape[2]
    if not neighbors:
        assert batch.in_range is None
    else:
        assert batch.in_range is not None
        assert batch.in_range.tolist() == [
            [bool(told.neighbors[step, copy, n]) for step, copy in expected] for n in range(neighbors)
        ]


def scalar_view(told: Episode, *, bootstrap: bool) -> tuple[list[list[float]], list[list[float]], set[tuple[int, int]]]:
    """Rewards and continuations per cell, and the cells behind which value goes on although the trajectory is cut."""
    valid = set(valid_cells(told))
    rewards = [
        [told.reward_of(t, e) if (t, e) in valid else 0.0 for e in range(told.copies)] for t in range(told.steps)
    ]
    continues = [
        [float((t, e) in valid and (t + 1, e) in valid) for e in range(told.copies)] for t in range(told.steps)
    ]
    boundary = {
        (t, e)
        for t, e in valid
        if bootstrap and (t + 1, e) not in valid and told.ended[t + 1, e] in {RUNNING, TRUNCATED}
    }
    return rewards, continues, boundary


@settings(deadline=None)
@given(episodes(), st.booleans())
def test_returns_are_full_monte_carlo_and_never_bootstrap(told: Episode, bootstrap: bool) -> None:
    batch = closed(told, bootstrap=bootstrap)
    rewards, continues, _ = scalar_view(told, bootstrap=bootstrap)
    expected = scalar_returns(rewards, continues, GAMMA)
    np.testing.assert_allclose(batch.returns, [expected[t][e] for t, e in cells(batch)], rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(episodes(), st.booleans())
def test_advantages_equal_the_scalar_loop_with_values_behind_cut_off_trajectories(
    told: Episode, bootstrap: bool
) -> None:
    """The value of a state is a function of the state alone, so each observation tells which value must be used."""
    batch = closed(told, bootstrap=bootstrap)

    def value(observation: np.ndarray) -> float:
        return 0.3 * float(observation[0]) - 7.0

    values = np.array([value(seen) for seen in batch.observations], np.float32)
    rewards, continues, boundary = scalar_view(told, bootstrap=bootstrap)
    valid = set(valid_cells(told))
    here = [
        [value(told.observations[t, e]) if (t, e) in valid else 0.0 for e in range(told.copies)]
        for t in range(told.steps)
    ]
    behind = [
        [
            value(told.observations[t + 1, e]) if continues[t][e] or (t, e) in boundary else 0.0
            for e in range(told.copies)
        ]
        for t in range(told.steps)
    ]
    expected = scalar_advantages(rewards, here, behind, continues, GAMMA, LAMBDA)
    found = batch.advantages(values, GAMMA, LAMBDA)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [expected[t][e] for t, e in cells(batch)], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("how", "bootstrap", "used"),
    [(TRUNCATED, True, True), (TRUNCATED, False, False), (TERMINATED, True, False), (TERMINATED, False, False)],
)
def test_value_goes_on_behind_the_time_limit_only_and_only_where_the_option_says_so(
    how: int, bootstrap: bool, used: bool
) -> None:
    # V = 1, 2 inside, 4 behind; r = reward_of: A_1 = r_1 + .9*(4 or 0) - 2, A_0 = r_0 + .9*2 - 1 + .72*A_1
    told = episode([(2, how)], 2)
    batch = closed(told, bootstrap=bootstrap)
    assert len(batch.observations) == (3 if used else 2)
    values = np.array([1, 2, 4] if used else [1, 2], np.float32)
    last = told.reward_of(1, 0) + 0.9 * (4 if used else 0) - 2
    first = told.reward_of(0, 0) + 0.9 * 2 - 1 + 0.72 * last
    np.testing.assert_allclose(batch.advantages(values, 0.9, 0.8), [first, last], rtol=1e-6)


def test_with_bootstrap_value_also_goes_on_into_a_hole() -> None:
    """What the agent saw last before it missed a timestep is a cut-off trajectory, not the task's end."""
    told = episode([(5, TERMINATED)], 5, missed=(3,))
    batch = closed(told, bootstrap=True)
    assert cells(batch) == [(0, 0), (1, 0), (4, 0)]
    assert batch.boundary.tolist() == [1]
    assert batch.observations[-1].tolist() == told.observations[2, 0].tolist()


@settings(deadline=None)
@given(episodes(), episodes())
def test_nothing_of_an_episode_is_left_in_the_next(first: Episode, second: Episode) -> None:
    limit = max(first.steps, second.steps)
    width = second.neighbors.shape[2]
    first.neighbors = np.ones((*first.ended.shape, width), np.uint8)
    if first.copies != second.copies:
        first.observations = np.ones((first.steps + 1, second.copies, 2), np.float32)
        first.rewards = np.ones((first.steps + 1, second.copies), np.float32)
        first.ended = np.ones((first.steps + 1, second.copies), np.uint8)
        first.neighbors = np.ones((first.steps + 1, second.copies, width), np.uint8)
    rollout = Rollout(limit, second.copies, 2, width or None, None)
    feed(rollout, first)
    rollout.close(GAMMA, bootstrap=True)
    feed(rollout, second)
    again, fresh = rollout.close(GAMMA, bootstrap=True), closed(second, bootstrap=True, limit=limit)
    for name in ("index", "boundary", "rewards", "continues", "in_range", "observations", "actions", "returns"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fresh, name))
