"""How long agents compute is measured where they live, and a simulation lets them take that time."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pytest

from broker.errors import ScenarioError, UserError
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.running import speed
from scenarios.running.fleet import parse_fleet
from scenarios.running.hosts.fleet_site import right_here
from scenarios.running.hosts.health.profile import fleet_profile
from scenarios.running.simulated.profile import with_profile
from scenarios.running.speed import measure_speed
from scenarios.trials.quiet_run import try_out

TINY = {"parallel_episodes": 2, "learning.hidden": [8], "environment.steps": 4, "episodes": 2}
FLEET = """
[launcher]
dial = "127.0.0.1"
[box]
dial = "127.0.0.1"
participants = ["environment"]
[pi]
dial = "127.0.0.1"
folder = "{folder}"
participants = ["agent-*"]
"""
PROFILE = """
[[faults]]
name = "pi-share"
kind = "slow-node"
agents = ["agent-1"]
messages = ["share"]
compute_s = { distribution = "constant", value_s = 0.25 }
"""


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, {6}),
        ({"algorithm.name": "independent"}, {0}),
        ({"exchange.mode": "random-partner"}, {3, 4, 5, 6}),
        ({"topology": {"kind": "proximity", "distance": 2.0}}, {6}),
    ],
)
def test_an_agent_is_measured_alone_whatever_it_waits_for(settings, shares, monkeypatch):
    """On a clock that ticks whenever it is looked at: a second for each timestep, and for all else that is heard."""
    clock = count()
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    plan = make_plan(load_scenario("exchange-quick", TINY | settings))
    found = measure_speed(plan.agent("agent-0", Wiring("speed", {})).model_dump_json())
    assert found.action_s == 1
    assert round(plan.scenario.rounds * found.share_s) - 1 in shares, "the last timestep is heard, too"


@pytest.mark.processes
def test_the_agents_of_a_fleet_are_measured_and_the_environment_is_not(tmp_path):
    folder, scenario = RunFolder(tmp_path / "run"), load_scenario("exchange-quick", TINY)
    folder.logs.mkdir(parents=True)
    fleet = parse_fleet(FLEET.format(folder=tmp_path / "there"))
    profile = tmp_path / "profile.toml"
    profile.write_text(fleet_profile(fleet, make_plan(scenario), folder, right_here, held=None))
    faults = {fault.name: fault for fault in with_profile(scenario, profile).message_faults}
    assert set(faults) == {"pi-action", "pi-share"}
    assert all(fault.agents == ("agent-0", "agent-1", "agent-2") for fault in faults.values())
    assert all(fault.compute_s.value_s > 0 for fault in faults.values())


def test_a_simulation_with_a_profile_decides_the_same_and_takes_the_time(tmp_path):
    scenario, profile = load_scenario("exchange-quick", TINY), tmp_path / "profile.toml"
    profile.write_text(PROFILE)
    at_once, in_time = try_out(scenario, tmp_path / "a"), try_out(with_profile(scenario, profile), tmp_path / "b")
    assert (in_time.curve_digest, in_time.weights_digest) == (at_once.curve_digest, at_once.weights_digest)
    assert (at_once.faults_applied, in_time.faults_applied) == (0, 2 * scenario.rounds * scenario.episodes)

    impatient = with_profile(load_scenario("exchange-quick", TINY | {"exchange.patience_s": 0.1}), profile)
    assert try_out(impatient, tmp_path / "c").shares_missing > 0


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("seed = 1", UserError, r"profile\.toml: expected \[\[faults\]\] and nothing else"),
        ("[[faults", UserError, r"profile\.toml: expected TOML"),
        (PROFILE.replace("0.25", "-1"), ScenarioError, r"^faults\[0\].*profile\.toml"),
        (PROFILE.replace("0.25", "true"), ScenarioError, r"^faults\[0\].*profile\.toml"),
        (PROFILE.replace("0.25", "nan"), ScenarioError, r"^faults\[0\].*profile\.toml"),
        (PROFILE.replace("pi-share", "a\\u0000b"), ScenarioError, r"^faults\[\d\].*profile\.toml"),
    ],
)
def test_a_profile_that_is_none_is_refused_in_a_sentence(tmp_path, text, error, said):
    profile = tmp_path / "profile.toml"
    profile.write_text(text)
    with pytest.raises(error, match=said):
        with_profile(load_scenario("exchange-quick", TINY), profile)
