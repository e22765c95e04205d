"""The settings by which runs are told apart."""

from __future__ import annotations

from pathlib import Path

from scenarios.document.loading import load_scenario
from scenarios.reports.variants import variants

DROP = {"kind": "drop", "probability": 0.5}


def of(*changes: dict[str, object]) -> list[str]:
    return [", ".join(each) for each in variants([load_scenario("exchange-quick", each) for each in changes])]


def test_documents_that_differ_in_seed_alone_have_no_settings_that_differ() -> None:
    assert of({"seed": 1}, {"seed": 2}) == ["", ""]


def test_settings_are_called_by_as_few_parts_as_tell_them_apart_and_faults_by_what_was_set() -> None:
    calibrated, own = "algorithm.anticipation_sharing", "learning.hidden"
    assert of({}, {f"{calibrated}.rho": 8, own: [4, 4]}, {"faults": [DROP]}, {"episodes": 3}) == [
        "episodes = 600, rho = 3.0, hidden = [128, 64], faults = []",
        "episodes = 600, rho = 8.0, hidden = [4, 4], faults = []",
        "episodes = 600, rho = 3.0, hidden = [128, 64], faults = [{kind = drop, probability = 0.5}]",
        "episodes = 3, rho = 3.0, hidden = [128, 64], faults = []",
    ]


def test_a_long_value_is_told_by_its_beginning_and_a_digest() -> None:
    traces = [[0.001 * (number + first) for number in range(900)] for first in range(2)]
    waits = [{"kind": "delay", "delay_s": {"distribution": "trace", "values_s": trace}} for trace in traces]
    one, other = of(*({"faults": [each]} for each in waits))
    assert one != other
    assert max(len(one), len(other)) < 100
    assert one.startswith("faults = [{kind = delay, ")


def test_only_runs_of_one_scenario_and_algorithm_are_compared_and_what_is_missing_is_not_named() -> None:
    found = of({}, {"evaluation.every": 7}, {"algorithm.name": "independent", "learning.rounds": 1}, {"name": "other"})
    assert found == ["", "every = 7, episodes = 20, greedy = false", "", ""]


def test_where_files_lie_tells_nobody_apart() -> None:
    scenario = load_scenario("exchange-quick")
    elsewhere = scenario.environment.model_copy(update={"file": Path("/elsewhere.py")})
    assert variants([scenario, scenario.model_copy(update={"environment": elsewhere})]) == [(), ()]
