"""Exchange: every rule by hand, and a slow scalar game that must agree with the vectorized one."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from task_cases import cells, step

from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import ExchangeTaskConfig
from env_service.environments.exchange import ExchangeTask
from env_service.environments.parallel import TaskParallelEnv

UP, DOWN, LEFT, RIGHT, OPEN, STAY = range(6)


def placed(agents, boxes, *, grid=3, **settings):
    """One copy with agents and boxes in the given (row, column) cells; nobody needs to start apart."""
    task = ExchangeTask(ExchangeTaskConfig(agents=len(agents), grid=grid, **settings), 1)
    task.place(cells(agents, grid), cells(boxes, grid))
    return task


def closed(task):
    boxes = len(task.action_counts)
    return task.observations()[0, -boxes:].tolist()


@pytest.mark.parametrize(
    ("action", "cell"), [(UP, (0, 1)), (DOWN, (2, 1)), (LEFT, (1, 0)), (RIGHT, (1, 2)), (OPEN, (1, 1)), (STAY, (1, 1))]
)
def test_each_move_goes_one_cell_and_the_others_stay(action, cell):
    task = placed([(1, 1), (0, 0)], [(2, 2), (2, 0)])
    step(task, action, STAY)
    assert task.positions()[0].tolist() == [list(cell), [0, 0]]


@pytest.mark.parametrize(
    ("action", "corner"),
    [(UP, (0, 0)), (LEFT, (0, 0)), (DOWN, (2, 2)), (RIGHT, (2, 2)), (RIGHT, (0, 2)), (LEFT, (2, 0))],
)
def test_a_move_off_the_grid_stays(action, corner):
    task = placed([corner, (1, 1)], [(0, 1), (1, 0)])
    step(task, action, STAY)
    assert task.positions()[0, 0].tolist() == list(corner)


def test_agents_may_share_a_cell():
    task = placed([(0, 0), (0, 2)], [(2, 0), (2, 1)])
    step(task, RIGHT, LEFT)
    assert task.positions()[0].tolist() == [[0, 1], [0, 1]]


def test_every_step_costs_every_agent_its_time():
    task = placed([(0, 0), (0, 1)], [(2, 0), (2, 1)])
    assert step(task, OPEN, STAY)[0] == pytest.approx([-0.01, -0.01])


def test_the_opener_pays_five_and_the_owner_gains_ten():
    task = placed([(1, 1), (0, 0), (0, 1)], [(2, 0), (2, 1), (1, 1)])
    rewards, ended = step(task, OPEN, STAY, STAY)
    assert rewards == pytest.approx([-5.01, -0.01, 9.99])
    assert ended == [Ended.RUNNING] * 3
    assert closed(task) == [1, 1, 0]


def test_nobody_opens_the_own_box():
    task = placed([(1, 1), (0, 0)], [(1, 1), (2, 2)])
    assert step(task, OPEN, STAY)[0] == pytest.approx([-0.01, -0.01])
    assert closed(task) == [1, 1]


def test_a_box_opens_only_under_an_agent():
    task = placed([(1, 0), (0, 0)], [(2, 2), (1, 1)])
    step(task, OPEN, STAY)
    assert closed(task) == [1, 1]


def test_standing_on_a_box_without_opening_leaves_it_closed():
    task = placed([(1, 1), (0, 0)], [(2, 2), (1, 1)])
    step(task, STAY, STAY)
    assert closed(task) == [1, 1]


def test_an_open_box_pays_nobody_again():
    task = placed([(1, 1), (0, 0)], [(2, 2), (1, 1)])
    step(task, OPEN, STAY)
    assert step(task, OPEN, STAY)[0] == pytest.approx([-0.01, -0.01])


def test_of_several_openers_the_lowest_index_pays():
    task = placed([(0, 0), (1, 1), (1, 1)], [(1, 1), (2, 1), (2, 2)])
    assert step(task, STAY, OPEN, OPEN)[0] == pytest.approx([9.99, -5.01, -0.01])


def test_an_owner_on_its_box_does_not_stand_in_for_the_opener():
    task = placed([(1, 1), (1, 1)], [(1, 1), (2, 2)])
    assert step(task, OPEN, OPEN)[0] == pytest.approx([9.99, -5.01])


def test_one_who_opens_and_is_fed_in_one_step_gets_both():
    task = placed([(0, 0), (1, 1)], [(1, 1), (0, 0)])
    assert step(task, OPEN, OPEN)[0] == pytest.approx([4.99, 4.99])


def test_payoffs_are_settings():
    task = placed([(1, 1), (0, 0)], [(2, 2), (1, 1)], open_cost=2, food_reward=3, time_cost=0.5)
    assert step(task, OPEN, STAY)[0] == pytest.approx([-2.5, 2.5])


def test_the_episode_terminates_when_all_boxes_are_open():
    task = placed([(0, 0), (1, 1)], [(1, 1), (0, 0)])
    assert step(task, OPEN, STAY)[1] == [Ended.RUNNING] * 2
    assert step(task, STAY, OPEN)[1] == [Ended.TERMINATED] * 2


def test_the_time_limit_truncates():
    task = placed([(0, 0), (1, 1)], [(2, 1), (2, 0)], steps=2)
    assert step(task, STAY, STAY)[1] == [Ended.RUNNING] * 2
    assert step(task, STAY, STAY)[1] == [Ended.TRUNCATED] * 2


def test_opening_the_last_box_in_the_last_step_terminates():
    task = placed([(0, 0), (1, 1)], [(1, 1), (0, 0)], steps=1)
    assert step(task, OPEN, OPEN)[1] == [Ended.TERMINATED] * 2


def test_a_copy_that_is_over_is_frozen_while_the_others_go_on():
    task = ExchangeTask(ExchangeTaskConfig(agents=2, grid=3), 2)
    task.place(agents=np.array([[0, 8], [0, 8]]), boxes=np.array([[8, 0], [1, 2]]))
    assert task.step(np.full((2, 2), OPEN)).ended.tolist() == [[1, 1], [0, 0]]
    seen = task.observations()
    outcome = task.step(np.array([[RIGHT, LEFT], [RIGHT, LEFT]]))
    assert outcome.rewards == pytest.approx(np.array([[0, 0], [-0.01, -0.01]]))
    assert outcome.ended.tolist() == [[1, 1], [0, 0]]
    assert task.observations()[0].tolist() == seen[0].tolist()
    assert task.positions()[1].tolist() == [[0, 1], [2, 1]]


def test_the_observation_lists_agents_boxes_and_closed_flags():
    task = placed([(0, 1), (2, 2)], [(1, 1), (2, 0)])
    assert task.observations()[0].tolist() == [-1, 0, 1, 1, 0, 0, 1, -1, 1, 1]


@pytest.mark.parametrize("seed", range(10))
def test_agents_and_boxes_start_in_distinct_cells_with_all_boxes_closed(seed):
    task = ExchangeTask(ExchangeTaskConfig(agents=4, grid=3), 16)
    task.reset(generator(seed))
    places = task.observations()[:, :16].reshape(16, 8, 2)
    assert all(len(np.unique(copy, axis=0)) == 8 for copy in places)
    assert task.observations()[:, 16:].min() == 1


def test_starts_cover_the_whole_grid_evenly():
    task = ExchangeTask(ExchangeTaskConfig(agents=2, grid=3), 9000)
    task.reset(generator(3))
    counts = np.bincount((task.positions() @ [3, 1]).astype(int).ravel(), minlength=9)
    assert counts.min() > 1800
    assert counts.max() < 2200


def test_defaults_are_those_of_the_specification():
    config = ExchangeTaskConfig()
    assert (config.agents, config.grid, config.steps) == (3, 5, 50)
    assert (config.open_cost, config.food_reward, config.time_cost) == (5, 10, 0.01)
    assert ExchangeTask(config, 1).action_counts == (6, 6, 6)
    assert ExchangeTask(config, 1).noop_action == STAY


@pytest.mark.parametrize("settings", [{"agents": 1}, {"agents": 3, "grid": 2}, {"agents": 13}, {"steps": 0}])
def test_a_game_that_cannot_be_laid_out_is_refused(settings):
    with pytest.raises(ValidationError):
        ExchangeTaskConfig(**settings)


def test_a_full_grid_can_be_laid_out():
    assert ExchangeTaskConfig(agents=2, grid=2).agents == 2


def test_rendering_shows_agents_and_boxes():
    task = placed([(0, 1), (1, 1)], [(1, 1), (0, 1)], grid=2)
    step(task, OPEN, STAY)
    step(task, LEFT, STAY)
    assert TaskParallelEnv(task, "exchange_v0").render() == task.render() == "0    (1)\n.    1[0]"


class ScalarExchange:
    """The game as one would tell it to a child: one copy, plain Python."""

    def __init__(self, config, state):
        n = config.agents
        cells = [tuple(round((x + 1) * (config.grid - 1) / 2) for x in pair) for pair in state[: 4 * n].reshape(-1, 2)]
        self.config, self.agents, self.boxes = config, cells[:n], cells[n:]
        self.closed, self.time, self.ended = [True] * n, 0, 0

    def step(self, actions):
        if self.ended:
            return [0.0] * len(self.agents)
        rewards = [-self.config.time_cost] * len(self.agents)
        for agent, action in enumerate(actions):
            for owner, box in enumerate(self.boxes):
                if action == OPEN and box == self.agents[agent] and owner != agent and self.closed[owner]:
                    self.closed[owner] = False
                    rewards[agent] -= self.config.open_cost
                    rewards[owner] += self.config.food_reward
        for agent, action in enumerate(actions):
            row, column = self.agents[agent]
            row += {UP: -1, DOWN: 1}.get(action, 0)
            column += {LEFT: -1, RIGHT: 1}.get(action, 0)
            if 0 <= row < self.config.grid and 0 <= column < self.config.grid:
                self.agents[agent] = (row, column)
        self.time += 1
        if not any(self.closed):
            self.ended = 1
        elif self.time == self.config.steps:
            self.ended = 2
        return rewards

    def observation(self):
        half = (self.config.grid - 1) / 2
        return [x / half - 1 for cell in self.agents + self.boxes for x in cell] + [float(c) for c in self.closed]


@pytest.mark.parametrize("seed", range(12))
def test_the_vectorized_game_agrees_with_the_scalar_one(seed):
    config = [ExchangeTaskConfig(agents=2, grid=2, steps=60), ExchangeTaskConfig(agents=4, grid=3, steps=60)][seed % 2]
    task, random = ExchangeTask(config, 8), generator(seed, "actions")
    task.reset(generator(seed))
    games = [ScalarExchange(config, state) for state in task.observations()]
    for _ in range(config.steps + 3):
        actions = random.integers(6, size=(8, config.agents))
        outcome = task.step(actions)
        expected = [game.step(row) for game, row in zip(games, actions.tolist(), strict=True)]
        assert outcome.rewards == pytest.approx(np.array(expected), abs=1e-5)
        assert outcome.ended.tolist() == [[game.ended] * config.agents for game in games]
        assert task.observations() == pytest.approx(np.array([game.observation() for game in games]), abs=1e-6)
        assert task.positions().tolist() == [[list(cell) for cell in game.agents] for game in games]
    assert all(game.ended for game in games)
    assert config.agents > 2 or Ended.TERMINATED in [game.ended for game in games]


def test_a_thousand_agents_can_play():
    agents, grid = 1000, 45
    task = ExchangeTask(ExchangeTaskConfig(agents=agents, grid=grid), 1)
    boxes = np.arange(agents)[None]
    task.place(np.roll(boxes, 1, axis=1), boxes)  # each stands on the box of the one before
    rewards = step(task, *[OPEN] * agents)[0]
    assert rewards == pytest.approx([10 - 5 - 0.01] * agents)
    assert closed(task) == [0] * agents


def test_what_was_seen_at_a_step_stays_as_it_was_seen() -> None:
    task = ExchangeTask(ExchangeTaskConfig(kind="exchange", agents=2, grid=2, steps=5), 1)
    task.reset(np.random.default_rng(0))
    seen = [task.observations()]
    for action in (0, 1, 2, 3):
        task.step(np.array([[action, STAY]]))
        seen.append(task.observations())
    kept = [each.copy() for each in seen]
    task.reset(np.random.default_rng(1))
    assert all(np.array_equal(one, other) for one, other in zip(seen, kept, strict=True))
    assert len({each.tobytes() for each in seen}) > 1


def test_a_time_that_costs_nothing_pays_exactly_nothing() -> None:
    config = ExchangeTaskConfig(kind="exchange", agents=2, grid=2, steps=5, time_cost=0.0)
    task = ExchangeTask(config, 1)
    task.reset(np.random.default_rng(0))
    assert task.step(np.array([[STAY, STAY]])).rewards.tobytes() == bytes(8)  # and no negative zero
