"""Whole runs with a toy that ends a run as soon as anybody does what was masked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acting_spy import spy_on_acting
from runs import DROPS, TINY, foretell, simulate_here, summary

from agent_node.registry import BUILT_IN
from agent_node.trained_policy import load_policies
from broker.errors import UserError
from env_service.environments.exchange import ExchangeTask
from env_service.environments.task import Flags, Integer, Outcome
from scenarios.commands.check import describe
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring

HERE = Path(__file__).parents[1]
DIGESTS = ("curve_digest", "weights_digest", "ledger_digest")


def played(by: str, *settings: str, steps: int = 12) -> tuple[str, ...]:
    environment = (
        f'environment={{kind="pettingzoo",env="masked_toy",observation="own",steps={steps},options={{by="{by}"}}}}'
    )
    listed = (environment, *settings)
    return ("exchange-quick", "--episodes", "4", *TINY, *(part for each in listed for part in ("--set", each)))


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_no_agent_of_any_algorithm_does_what_is_masked(tmp_path: Path, algorithm: str) -> None:
    settings = (f"algorithm.name={algorithm}", "parallel_episodes=4")
    found = simulate_here(tmp_path / "out", *played("observation", *settings))
    assert found["complete"]
    assert found["rejected"] == 0
    assert (found["shares_heard"] > 0) == (algorithm != "independent")


def test_a_task_of_our_own_that_masks_is_played_by_its_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may stay where it is, and agent 0 cannot go up; the episodes are too short to end by themselves."""
    done: list[Integer] = []
    step = ExchangeTask.step

    def masks(self: ExchangeTask) -> Flags:
        possible: Flags = np.ones((len(self.observations()), 3, 6), np.uint8)
        possible[:, :, 5] = possible[:, 0, 0] = 0
        return possible

    def stepped(self: ExchangeTask, actions: Integer) -> Outcome:
        done.append(actions)
        return step(self, actions)

    monkeypatch.setattr(ExchangeTask, "action_masks", masks)
    monkeypatch.setattr(ExchangeTask, "step", stepped)
    settings = ("environment.steps=6", "parallel_episodes=8", "topology.kind=proximity", "topology.distance=2.0")
    arguments = ("exchange-quick", "--episodes", "4", *TINY, *(part for each in settings for part in ("--set", each)))
    found = simulate_here(tmp_path / "out", *arguments)
    assert found["shares_heard"] > 0
    assert found["rejected"] == 0
    actions = np.concatenate(done)
    assert (actions < 5).all()
    assert (actions[:, 0] > 0).all()
    assert set(actions[:, 1].tolist()) == {0, 1, 2, 3, 4}


def test_the_way_in_which_masks_are_given_changes_nothing(tmp_path: Path) -> None:
    runs = [simulate_here(tmp_path / by, *played(by)) for by in ("observation", "info", "both", "turns")]
    assert len({run["weights_digest"] for run in runs}) == 1


def test_games_of_turns_are_played_to_their_end(tmp_path: Path) -> None:
    found = simulate_here(tmp_path / "out", *played("waiting", 'environment.action_masks="turns"'))
    assert found["complete"]
    assert found["rejected"] == 0
    assert found["team_return_last"] == 1  # whoever takes the last one gets it


def test_a_loaded_policy_takes_masks_and_gives_what_the_agent_draws_from_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = played("observation", "algorithm.name=anticipation-sharing")
    simulate_here(tmp_path / "run", *arguments)
    policies = load_policies(tmp_path / "run" / "policy")
    compared = 0

    def look(agent: str, data: memoryview, expected: np.ndarray) -> None:
        nonlocal compared
        possible = np.frombuffer(data[-18:], np.uint8).reshape(2, 9)[:, : expected.shape[1]]
        found = policies[agent](np.frombuffer(data, np.float32, 6).reshape(2, 3), possible)
        assert found.tobytes() == expected.tobytes()
        assert not found[possible == 0].any()
        compared += 1

    spy_on_acting(monkeypatch, 4, look)
    simulate_here(tmp_path / "longer", *arguments, "--episodes", "5")
    assert compared == 3 * 9


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ([[1, 1]] * 2, "shape (2, 2)"),
        ([[1, 1, 1]], "shape (1, 3)"),
        ([1, 1, 1], "shape (3,)"),
        ([[1, 1, 1], [0, 0, 0]], "none in row 1"),
        ([[1, 0, 0], [1, 2, 0]], "2 in place 1 of row 1"),
        ([[0, 0, 0], [1, 0, float("nan")]], "nan in place 2 of row 1"),
        ([["1", "0", "0"]] * 2, "'1' in place 0 of row 0"),
    ],
)
def test_a_loaded_policy_refuses_what_is_no_mask_and_says_where_it_is_none(
    tmp_path: Path, mask: Any, found: str
) -> None:
    simulate_here(tmp_path / "run", *played("observation", "learning.rounds=1"), "--episodes", "1")
    policy = load_policies(tmp_path / "run" / "policy")["agent-0"]
    with pytest.raises(UserError) as caught:
        policy(np.zeros((2, 3)), mask)
    expected = "expects a mask of shape (2, 3), a 1 or 0 for each action and a 1 in every row, found"
    assert str(caught.value) == f"the policy of agent-0 {expected} {found}"


FLIPS = 'faults=[{kind="bit-flip",probability=0.2,bits=3,messages=["timestep","share"]}]'
"""Over three bits in a fifth of the timesteps and shares, masks in both: some lie, some are refused."""


@pytest.mark.parametrize("algorithm", ["anticipation-sharing", "policy-sharing"])
@pytest.mark.parametrize("faults", [DROPS, FLIPS], ids=["lost", "damaged"])
def test_agents_go_on_when_messages_with_masks_are_lost_or_damaged(tmp_path: Path, algorithm: str, faults: str) -> None:
    settings = (f"algorithm.name={algorithm}", faults, "exchange.patience_s=0.5", "service.action_patience_s=0.1")
    seed = "seed=3"  # with which no reward becomes so large that its square is infinite, which ends a run
    found = simulate_here(tmp_path / "out", *played("observation", *settings, seed))
    assert found["complete"]
    assert found["shares_missing"] > 0
    assert (found["rejected"] > 0) == (faults == FLIPS)


@pytest.mark.processes
@pytest.mark.parametrize(("algorithm", "by"), [("anticipation-sharing", "turns"), ("policy-sharing", "observation")])
def test_processes_decide_under_masks_what_the_simulation_decides_though_messages_are_lost(
    tmp_path: Path, algorithm: str, by: str
) -> None:
    settings = (f"algorithm.name={algorithm}", DROPS, "exchange.patience_s=0.5", "service.action_patience_s=0.1")
    arguments = played(by, *settings)
    simulated = simulate_here(tmp_path / "simulate", *arguments)
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    done = foretell("run", *arguments, "--out", str(tmp_path / "run"), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    found = summary(tmp_path / "run")
    assert simulated["shares_missing"] > 0
    assert {name: found[name] for name in DIGESTS} == {name: simulated[name] for name in DIGESTS}


def plan_of(**settings: Any) -> Any:
    environment = {"kind": "pettingzoo", "env": "masked_toy", "observation": "own", "steps": 12, **settings}
    return make_plan(load_scenario("exchange-quick", {"environment": environment}))


def test_everybody_is_told_once_whether_actions_are_masked() -> None:
    wiring = Wiring("test", {})
    assert "# actions are masked" in describe(plan_of())
    assert "# actions are masked" not in describe(plan_of(action_masks="off"))
    for plan, masks in (
        (plan_of(), True),
        (plan_of(action_masks="off"), False),
        (make_plan(load_scenario("exchange-quick")), False),
    ):
        assert (plan.masks, plan.environment(wiring).masks) == (masks, masks)
        assert {plan.agent(agent, wiring).masks for agent in plan.agents} == {masks}
