"""Algorithms of other packages: found by entry point, checked when the scenario is loaded, run on both substrates."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packages import install
from runs import TINY, foretell_afresh, simulate_here, summary

from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.round import Draws, Round
from agent_node.registry import load_algorithm
from broker.arithmetic.chosen import kernels
from broker.errors import ScenarioError
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan

PAGE = (Path(__file__).parents[3] / "docs" / "algorithms.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)[number]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


@pytest.mark.processes
def test_the_example_of_the_docs_learns_simulated_and_as_processes(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = tomllib.loads(block("toml"))["project"]["entry-points"]["foretell.algorithms"]
    install(packages, block("python"), entries)
    assert len(block("python").splitlines()) <= 35
    monkeypatch.syspath_prepend(packages)
    example = tomllib.loads(block("toml", 1))["algorithm"]
    run = ("exchange-quick", "--episodes", "4", *TINY, "--set", f"algorithm.name={example['name']}")

    def weighing(weight: float) -> tuple[str, ...]:
        return *run, "--set", f"algorithm.settings.weight={weight}"

    weight = example["settings"]["weight"]
    simulated = simulate_here(tmp_path / "simulated", *weighing(weight))
    path = os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH"))))
    done = foretell_afresh("run", *weighing(weight), "--out", str(tmp_path / "run"), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    processes = summary(tmp_path / "run")
    assert (simulated["shares_heard"], simulated["rejected"]) == (6 * 3 * 4, 0)
    for digest in ("curve_digest", "weights_digest"):
        assert simulated[digest] == processes[digest]
    for other in (0.75, 0.0):
        again = simulate_here(tmp_path / f"{other}", *weighing(other))
        assert again["weights_digest"] != simulated["weights_digest"]
    alone = simulate_here(tmp_path / "alone", *run[:-1], "algorithm.name=independent")
    assert again["weights_digest"] == alone["weights_digest"]


def with_losses_of_their_own(folder: Path) -> None:
    """Install both examples with a loss of their own: one says its gradient, the other leaves it to torch."""
    install(folder, block("python", 1), {"likeness": "likeness:Likeness"}, "likeness")
    install(folder, block("python", 2), {"left-to-torch": "left_to_torch:LeftToTorch"}, "left_to_torch")


@pytest.mark.processes
@pytest.mark.parametrize("name", ["likeness", "left-to-torch"])
def test_the_examples_with_a_loss_of_their_own_learn_simulated_and_as_processes(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with_losses_of_their_own(packages)
    monkeypatch.syspath_prepend(packages)
    run = ("exchange-quick", "--episodes", "3", *TINY, "--set")
    simulated = simulate_here(tmp_path / "simulated", *run, f"algorithm.name={name}")
    path = os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH"))))
    arguments = ("run", *run, f"algorithm.name={name}", "--out", str(tmp_path / "run"))
    done = foretell_afresh(*arguments, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    processes = summary(tmp_path / "run")
    assert (simulated["shares_heard"], simulated["rejected"]) == (6 * 3 * 3, 0)
    for digest in ("curve_digest", "weights_digest"):
        assert simulated[digest] == processes[digest]
    alone = simulate_here(tmp_path / "alone", *run, "algorithm.name=independent")
    assert alone["weights_digest"] != simulated["weights_digest"]


def test_what_an_example_keeps_outlives_a_crash(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(packages, block("python", 3), {"equals": "equals:Equals"}, "equals")
    monkeypatch.syspath_prepend(packages)
    run = ("exchange-quick", "--episodes", "4", *TINY, "--set", "algorithm.name=equals")
    crash = 'faults=[{kind="crash",participants=["agent-1"],at_episodes=[3]}]'
    undisturbed = simulate_here(tmp_path / "undisturbed", *run)
    crashed = simulate_here(tmp_path / "crashed", *run, "--set", crash, "--set", "recovery.checkpoint_every=1")
    assert undisturbed["weights_digest"] == crashed["weights_digest"]
    alone = simulate_here(tmp_path / "alone", *run[:-1], "algorithm.name=value-sharing")
    assert alone["weights_digest"] != undisturbed["weights_digest"]


@pytest.mark.processes
def test_what_an_example_draws_is_the_same_after_a_crash_and_as_processes(
    tmp_path: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(packages, block("python", 4), {"murmur": "murmur:Murmur"}, "murmur")
    monkeypatch.syspath_prepend(packages)
    run = ("exchange-quick", "--episodes", "4", *TINY, "--set", "algorithm.name=murmur")
    crash = 'faults=[{kind="crash",participants=["agent-1"],at_episodes=[3]}]'
    simulated = simulate_here(tmp_path / "simulated", *run)
    crashed = simulate_here(tmp_path / "crashed", *run, "--set", crash, "--set", "recovery.checkpoint_every=1")
    path = os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH"))))
    done = foretell_afresh("run", *run, "--out", str(tmp_path / "run"), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    processes = summary(tmp_path / "run")
    assert simulated["weights_digest"] == crashed["weights_digest"] == processes["weights_digest"]
    silent = block("python", 4).replace("+ noise", "+ 0 * noise")
    install(packages, silent.replace('"murmur"', '"silent"'), {"silent": "silent:Murmur"}, "silent")
    assert (
        simulate_here(tmp_path / "silent", *run[:-1], "algorithm.name=silent")["weights_digest"]
        != (simulated["weights_digest"])
    )


def test_both_examples_with_a_loss_of_their_own_are_the_same_loss(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second round, which refers to the policy that acted; a neighbor was out of range now and then."""
    with_losses_of_their_own(packages)
    monkeypatch.syspath_prepend(packages)
    draw = np.random.default_rng(4)
    logs, old = kernels.log_softmax(draw.normal(size=(2, 1, 30, 4)).astype(np.float32))
    rows = np.flatnonzero(draw.random(30) < 0.6)
    now = Round(
        advantages=draw.normal(size=30).astype(np.float32),
        actions=draw.integers(0, 4, 30),
        log_probabilities=logs,
        log_old=old,
        partners=("agent-1", "agent-2", "agent-3"),
        rows_in_range={"agent-1": None, "agent-2": rows, "agent-3": None},
        critic=np.zeros(0, np.float32),
        policies=np.zeros(0, np.float32),
        weights={},
        draws=Draws(1, "agent-0", 0, 0),
    )
    shares = {
        partner: {"policy": draw.dirichlet(np.ones(4), count).astype(np.float32)}
        for partner, count in (("agent-2", len(rows)), ("agent-1", 30))
    }
    for heard in (shares, {}):
        said, found = (
            load_algorithm(name)(LearningConfig(), AlgorithmConfig()).loss(now, heard)
            for name in ("likeness", "left-to-torch")
        )
        assert (said.total, said.parts) == (pytest.approx(found.total, rel=1e-5), pytest.approx(found.parts, rel=1e-5))
        np.testing.assert_allclose(said.gradient, found.gradient, rtol=1e-5, atol=1e-7)
        assert (said.parts["penalty"] > 0.1) == bool(heard)


def test_the_launcher_reads_an_algorithm_that_leaves_its_gradient_to_torch_without_torch(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_losses_of_their_own(packages)
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would fail
    plan = make_plan(load_scenario("exchange-quick", {"algorithm.name": "left-to-torch"}))
    assert plan.scenario.algorithm.name == "left-to-torch"


def refused(**settings: object) -> ScenarioError:
    dotted = {f"algorithm.{name.replace('__', '.')}": value for name, value in settings.items()}
    with pytest.raises(ScenarioError) as caught:
        make_plan(load_scenario("exchange-quick", dotted))
    assert "\n" not in str(caught.value)
    return caught.value


def test_settings_of_an_added_algorithm_are_checked_by_its_own_model(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(packages, block("python"), {"altruism": "altruism:Altruism"})
    monkeypatch.syspath_prepend(packages)
    error = refused(name="altruism", settings__weight=2.0)
    assert str(error) == "algorithm.settings.weight: expected less than or equal to 1, found 2.0"
    error = refused(name="altruism", settings__boldness=1)
    assert str(error).startswith("algorithm.settings.boldness: there is no such setting")
    make_plan(load_scenario("exchange-quick", {"algorithm.name": "altruism"}))


def test_an_unknown_name_is_refused_with_the_added_ones_too(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(packages, block("python"), {"altruism": "altruism:Altruism"})
    monkeypatch.syspath_prepend(packages)
    error = refused(name="egoism")
    assert error.path == "algorithm.name"
    assert re.fullmatch(
        r"expected one of anticipation-sharing, .*value-sharing, altruism, found 'egoism'", error.problem
    )


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("nowhere:Altruism", "'broken' cannot be loaded from nowhere:Altruism: ModuleNotFoundError"),
        ("altruism:Selfish", "'broken' cannot be loaded from altruism:Selfish: AttributeError"),
        ("altruism:AltruismSettings", "expected 'broken' to lead to a subclass of Algorithm, found <class"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_one_sentence(
    packages: Path, monkeypatch: pytest.MonkeyPatch, place: str, says: str
) -> None:
    install(packages, block("python"), {"broken": place})
    monkeypatch.syspath_prepend(packages)
    error = refused(name="broken")
    assert error.path == "algorithm.name"
    assert error.problem.startswith(says)


def test_a_package_cannot_replace_an_algorithm_of_our_own(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(packages, block("python"), {"value-sharing": "altruism:Altruism"})
    monkeypatch.syspath_prepend(packages)
    assert "weight" in str(refused(name="value-sharing", settings__weight=0.5))


NAMES = """

from agent_node.learning.algorithm import Estimator

class Renamed(Altruism):
    {body}
"""
ARRAYS = "fields = lambda self, edge: tuple(Field(name, Kind.REAL, (edge.rows,)) for name in {names})"
ESTIMATORS = "estimators = tuple(Estimator(*each) for each in {estimators})"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        *(
            (
                ARRAYS.format(names=("advantages", taken)),
                f'fields() of altruism names an array "{taken}", but samples, degree, mask are taken: ',
            )
            for taken in ("samples", "degree", "mask")
        ),
        (
            ARRAYS.format(names=("advantages", "advantages")),
            'fields() of altruism names two arrays "advantages": expected a name of its own for each',
        ),
        (
            ARRAYS.format(names=("A2",)),
            "fields() of altruism: array 'A2' of float32 with shape (640,) cannot be sent: names are up to ",
        ),
        (
            ESTIMATORS.format(estimators=(("team", "state", "returns"), ("team", "transition", "rewards"))),
            "two estimators of 'broken' are called 'team': expected a name of its own for each",
        ),
        (
            ESTIMATORS.format(estimators=(("team", "states", "returns"),)),
            "expected one of state, transition as what the estimator 'team' of 'broken' sees, found 'states'",
        ),
        (
            ESTIMATORS.format(estimators=(("team", "state", "reward"),)),
            "expected one of returns, rewards as what the estimator 'team' of 'broken' learns, found 'reward'",
        ),
        (
            "settings_model = dict",
            "expected a subclass of broker.config.Model as `settings_model` of 'broken', found <class 'dict'>",
        ),
        ("name = None", "expected a text as `name` of 'broken', found None"),
        ("tells = 3", "expected a text as `tells` of 'broken', found 3"),
        ("shares_parameters = 'no'", "expected True or False as `shares_parameters` of 'broken', found 'no'"),
        ("critic_waits = np.ones(2)", "expected True or False as `critic_waits` of 'broken', found array("),
        *(
            (
                f"estimators = {estimators}",
                "expected a tuple of Estimator, each with a text as its name, as `estimators` of 'broken', found ",
            )
            for estimators in (
                "None",
                '("team",)',
                'Estimator("team", "state", "returns")',
                "(Estimator(3, 'state', '',),)",
            )
        ),
        ('models = "all"', "expected one of self, neighbors, everyone as models of 'broken', found 'all'"),
    ],
)
def test_names_and_choices_that_an_algorithm_cannot_have_are_refused_when_the_scenario_is_loaded(
    packages: Path, monkeypatch: pytest.MonkeyPatch, body: str, says: str
) -> None:
    install(packages, block("python") + NAMES.format(body=body), {"broken": "broken:Renamed"}, "broken")
    monkeypatch.syspath_prepend(packages)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    error = refused(name="broken")
    assert error.path == "algorithm.name"
    assert error.problem.startswith(says)
