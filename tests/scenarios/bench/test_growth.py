"""What an agent costs in a simulation does not depend on how many there are: counted in calls, not in seconds."""

from __future__ import annotations

import math
from collections import Counter
from cProfile import Profile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.wire.records import EpisodeRecord, Record
from scenarios.bench.growth import grown
from scenarios.bench.pack import FEWEST, Pack
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.running.control.run import run
from scenarios.running.simulated import simulated_life
from scenarios.running.simulated.simulate import simulated

JITTER = {"kind": "delay", "delay_s": {"distribution": "uniform", "low_s": 0.0, "high_s": 0.1}}


class Counting(Observer):
    """Counts calls of Python and C functions between the ends of the first two episodes."""

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self._profile, self._on = Profile(), False
        super().__init__(plan, folder, "simulate", lambda _: None)

    def take(self, records: list[Record]) -> None:
        """Not counted: it writes to the store when the clock says so."""
        self._profile.disable()
        super().take(records)
        ended = [record.episode for record in records if isinstance(record, EpisodeRecord)]
        self._on = ended[-1] == 0 if ended else self._on
        if self._on:
            self._profile.enable()

    def calls(self) -> Counter[str]:
        """By function."""
        counted: Counter[str] = Counter()
        for entry in self._profile.getstats():
            counted[str(entry.code)] += entry.callcount
        return counted


def calls_among(agents: int, root: Path, faults: list[Any]) -> Counter[str]:
    whole = grown(agents, 3).model_dump()
    scenario = Scenario.model_validate(whole | {"faults": faults, "environment": whole["environment"] | {"steps": 3}})
    plan = make_plan(scenario)
    folder = make_run_folder(root / str(agents), scenario.name, scenario.seed)
    counting = Counting(plan, folder)
    try:
        run(plan, folder, counting, simulated, lambda: False)
    finally:
        counting.finish()
    return counting.calls()


@pytest.mark.long
@pytest.mark.parametrize("faults", [[], [JITTER]], ids=["no faults", "a delay of its own for each message"])
def test_an_agent_costs_as_many_calls_among_thirty_as_among_ten(
    tmp_path: Path, faults: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_life, "_SHOW_EVERY_S", math.inf)  # signs of life go by the clock on the wall
    few, many = (calls_among(agents, tmp_path, faults) for agents in (10, 30))
    assert few.total() > 10 * 1000
    more = sorted(((many[name] / 30 - few[name] / 10, name) for name in many | few), reverse=True)[:10]
    assert many.total() / 30 <= 1.02 * few.total() / 10, f"an agent calls more often among thirty: {more}"


# The environment that is played


def test_a_pack_is_an_agent_and_two_to_either_side_of_a_circle() -> None:
    task = Pack(7)
    seen, _ = task.reset(seed=3)
    own = [seen[agent][2] for agent in task.agents]
    assert [seen["agent_0"].tolist(), seen["agent_5"].tolist()] == [
        [own[number] for number in (5, 6, 0, 1, 2)],
        [own[number] for number in (3, 4, 5, 6, 0)],
    ]


@pytest.mark.parametrize(("engaging", "rewards"), [(5, [-1] * 5), (0, [-3] * 5), (1, [-4, 0, 0, 0, 0])])
def test_a_pack_is_paid_as_in_predation(engaging: int, rewards: list[float]) -> None:
    task = Pack(FEWEST)
    seen, _ = task.reset(seed=3)
    toward = {agent: int(seen[agent][2] < 0) for agent in task.agents}
    chosen = {agent: way if number < engaging else 1 - way for number, (agent, way) in enumerate(toward.items())}
    _, paid, *_ = task.step(chosen)
    assert list(paid.values()) == rewards


def test_what_an_agent_sees_has_one_size_however_many_there_are() -> None:
    sizes = {np.shape(Pack(agents).reset(seed=0)[0]["agent_4"]) for agents in (FEWEST, 50)}
    assert sizes == {(5,)}
