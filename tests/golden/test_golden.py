"""Golden scenarios give the bits that digests.toml holds, on every machine and substrate."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import golden_scenarios as golden
import pytest
from limits import LIMIT_S
from runs import foretell, summary

from broker.arithmetic.chosen import kernels
from broker.arithmetic.version import ARITHMETIC
from broker.faults.config import FaultConfig
from broker.faults.delays import DelayDistribution
from scenarios.document.scenario import Scenario

ROOT = Path(__file__).parent.parent.parent
FORCED = ("exchange-anticipation-sharing", "near-value-parameter-sharing", "delay-lognormal")


@pytest.mark.parametrize("name", golden.names())
def test_a_golden_scenario_gives_its_digests(name: str) -> None:
    problem = golden.parted(name, golden.played(name), kernels.name)
    assert not problem, problem


@pytest.mark.processes
@pytest.mark.parametrize("name", ["navigation-value-parameter-sharing", "drop"])
def test_processes_give_the_digests_of_the_simulation(tmp_path: Path, name: str) -> None:
    document, out = tmp_path / "golden.toml", tmp_path / "run"
    document.write_text(golden.scenario_of(name).to_toml(), encoding="utf-8")
    done = foretell("run", str(document), "--out", str(out))
    assert done.returncode == 0, done.stderr
    found, expected = summary(out), golden.kept().outcomes[name]
    for kind in ("curve", "weights", "ledger"):
        assert found[f"{kind}_digest"] == getattr(expected, kind), kind


@pytest.mark.processes
def test_the_readable_reference_gives_the_digests_too_and_nobody_imports_torch() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "golden.py"), *FORCED],
        env=os.environ | {"FORETELL_KERNELS": "reference"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kernels reference, torch not imported" in done.stdout


def test_the_digests_are_of_this_arithmetic_and_of_no_scenario_that_is_gone() -> None:
    assert golden.kept().arithmetic == ARITHMETIC
    assert list(golden.kept().outcomes) == golden.names()
    assert all(len(renewal.reason.split()) > 2 for renewal in golden.kept().renewals)
    assert golden.kept().renewals[-1].arithmetic == ARITHMETIC


def test_golden_scenarios_reach_every_algorithm_fault_and_distribution() -> None:
    scenarios = [golden.scenario_of(name) for name in golden.names()]
    assert_reached({scenario.algorithm.name for scenario in scenarios}, set(algorithms()))
    faults = [fault for scenario in scenarios for fault in scenario.message_faults]
    assert_reached({fault.kind for fault in faults}, kinds(FaultConfig, "kind"))
    delays = {fault.delay_s.distribution for fault in faults if fault.kind == "delay"}
    assert_reached(delays, kinds(DelayDistribution, "distribution"))
    assert_reached({scenario.exchange.skip_scope for scenario in skipping(scenarios)}, {"system", "agent", "edge"})
    assert_reached({scenario.learning.ratio_reference for scenario in scenarios}, {"round", "behaviour"})
    weights = {each.algorithm.anticipation_sharing.weights for each in scenarios}
    assert_reached(weights, {"fixed", "calibrated"})


def test_a_document_that_changes_changes_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = golden.document_digest("drop")
    changed = {"bases": golden._documents()["bases"], "cases": {"drop": {"base": "exchange", "seed": 9}}}
    monkeypatch.setattr(golden, "_documents", lambda: changed)
    assert golden.document_digest("drop") != before


def test_what_parted_is_named_by_the_first_episode_and_agent() -> None:
    name = "exchange-anticipation-sharing"
    kept = golden.kept().outcomes[name]
    assert golden.parted(name, kept, "any") == ""
    learned = list(kept.learned)
    learned[1] = "0" * 8 + learned[1][8:]
    returns = list(kept.returns)
    returns[2] = returns[2].rpartition(" ")[0] + " 0x1.0p+9"
    found = replace(kept, curve="0" * 64, weights="0" * 64, learned=tuple(learned), returns=tuple(returns))
    assert "first in episode 1: what was learned of agent-0\n" in golden.parted(name, found, "any")
    found = replace(found, learned=kept.learned)
    assert "first in episode 2: the return of agent-2\n" in golden.parted(name, found, "any")
    found = replace(kept, weights="0" * 64)
    assert "first in the last parameters" in golden.parted(name, found, "any")
    assert "ARITHMETIC" in golden.parted(name, found, "any")


def algorithms() -> dict[str, str]:
    from agent_node.registry import BUILT_IN

    return BUILT_IN


def kinds(union: object, tag: str) -> set[str]:
    """The names of the members of a tagged union."""
    from typing import get_args

    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields[tag].annotation)[0] for member in members}


def skipping(scenarios: list[Scenario]) -> list[Scenario]:
    return [scenario for scenario in scenarios if scenario.exchange.skip_probability > 0]


def assert_reached(found: set[str], wanted: set[str]) -> None:
    assert wanted <= found, f"no golden scenario has {', '.join(sorted(wanted - found))}"
