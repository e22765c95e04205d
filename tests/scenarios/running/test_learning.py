"""With a small budget: agents that anticipate learn to cooperate where independent ones learn not to."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import simulate_here

pytestmark = pytest.mark.long

BUDGET = ("exchange-quick", "--episodes", "150", "--set", "parallel_episodes=16", "--set", "learning.hidden=[32]")


def test_anticipation_sharing_learns_to_open_boxes_for_others_and_independent_learners_stop(tmp_path: Path) -> None:
    shared = simulate_here(tmp_path / "shared", *BUDGET)
    alone = simulate_here(tmp_path / "alone", *BUDGET, "--set", "algorithm.name=independent")
    assert shared["team_return_last"] > shared["team_return_first"]
    assert alone["team_return_last"] < alone["team_return_first"]
    assert shared["team_return_last"] > alone["team_return_last"] + 2
