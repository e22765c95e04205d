"""What a study asks for and what it makes of the numbers, without running anything."""

from __future__ import annotations

import json
import math
import re
import tracemalloc
import types
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent_node.algorithms.calibrated_weights import SlopeEstimate
from broker.errors import UserError
from env_service.config import ExchangeTaskConfig, NavigationConfig, PredationConfig, SimpleSpreadConfig
from scenarios.commands.experiments.study import PAGES, make_study
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.reports.made import Made
from scenarios.reports.references import games_at_once, references
from scenarios.reports.statistics import Estimate, difference
from scenarios.results.run_result import EdgeTraffic
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.outcome import RunOutcome, outcome
from scenarios.running.batch.provenance import versions
from scenarios.running.batch.runner import document
from scenarios.studies.bill import bill, of_the_same_variant
from scenarios.studies.candidates import draw_candidates, episodes_of, survivors
from scenarios.studies.cells import study_cells
from scenarios.studies.claims import (
    MARGIN,
    Claim,
    Comparison,
    Decided,
    Expectation,
    MapComparison,
    Verdict,
    conclude,
    decide,
)
from scenarios.studies.findings import StudyFindings, along_rows
from scenarios.studies.numbers import numbers
from scenarios.studies.origins import settings
from scenarios.studies.page import page
from scenarios.studies.picture import draw_study
from scenarios.studies.search import FIRST_SEED, contests, count_cells, count_games
from scenarios.studies.share_arrays import SharedArray, share_layout
from scenarios.studies.sizes import QUICK_EPISODES, QUICK_FRACTION, SEARCH_RUNGS, quick_episodes
from scenarios.studies.study import (
    ALL_PULLS,
    ALONE,
    AS,
    AS_CALIBRATED,
    AS_TWO,
    COMPARED,
    CONTENDERS,
    NAC,
    NO_MEMORY,
    NOT_MEASURED,
    PS,
    SEARCHED,
    VPS,
    VS,
    Choice,
)

FULL, QUICK = Choice(quick=False), Choice(quick=True)
NAMES = sorted(PAGES)
RHO = "algorithm.anticipation_sharing.rho"
WEIGHT = "algorithm.value_sharing.weight"
TINY = {"parallel_episodes": 2, "learning.hidden": [8]}


# Cells


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("choice", [FULL, QUICK], ids=["full", "quick"])
def test_every_cell_has_a_name_of_its_own_that_is_a_folder(name, choice):
    ids = [cell.id for cell in study_cells(make_study(name, choice), choice)]
    assert len(set(ids)) == len(ids) > 0
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", each) for each in ids)


@pytest.mark.parametrize("name", NAMES)
def test_claims_speak_of_groups_that_run(name):
    study = make_study(name, FULL)
    groups = {group for _, group in study.groups()}
    assert study.claims
    for claim in study.claims:
        for comparison in claim.comparisons:
            of_map = isinstance(comparison, MapComparison)
            named = sum(comparison.rows, ()) if of_map else (comparison.group, comparison.other)
            assert set(named) <= groups, claim.text


@pytest.mark.parametrize("name", NAMES)
def test_full_cells_of_implemented_algorithms_are_scenarios_that_can_run(name):
    choice = Choice(quick=False, algorithms=(AS,), seeds=1)
    for cell in study_cells(make_study(name, choice), choice):
        assert document(cell).algorithm.name == AS


def test_the_paper_s_conditions_are_what_the_pages_ask_for():
    def of(name, **wanted):
        choice = Choice(quick=False, seeds=1, algorithms=(AS,))
        cells = study_cells(make_study(name, choice), choice)
        return [document(cell) for cell in cells]

    assert sorted(each.name for each in of("fig1")) == [
        "exchange",
        "navigation",
        "predation-12",
        "predation-6",
        "predation-8",
    ]
    assert [each.topology.distance for each in of("fig3")] == [1.0, 1.5, 2.0, 1.0, 1.5, 2.0, 0.9, 3.0, 9.0]
    rhos = [each.algorithm.anticipation_sharing for each in of("fig4") if each.name == "predation-8"]
    assert [(each.rho, each.rho_own) for each in rhos][:3] == [(0.03, None), (0.1, None), (0.3, None)]
    partner, skip = of("fig5")
    assert (partner.environment.agents, partner.exchange.mode) == (20, "random-partner")
    assert (skip.environment.agents, skip.exchange.skip_probability) == (20, 0.5)
    lost = of("loss")[:6]
    assert [each.faults[0].probability if each.faults else 0.0 for each in lost] == [0, 0.1, 0.3, 0.5, 0.7, 0.9]
    late = of("latency")[:6]
    means = [each.faults[0].delay_s.mean_s / each.exchange.patience_s if each.faults else 0.0 for each in late]
    assert means == [0, 0.1, 0.25, 0.5, 1, 2]
    noise = [each.algorithm.anticipation_sharing.anticipation_noise for each in of("inaccurate")[:6]]
    assert noise == [0, 0.1, 0.25, 0.5, 0.75, 1]


def test_figure_1_has_five_tasks_and_a_near_one_when_quick_seven_contenders_and_up_to_five_seeds():
    cells = study_cells(make_study("fig1", FULL), FULL)
    assert len(cells) == 4 * 7 * 5 + 7 * 3  # with 12 agents three seeds
    asked = Choice(quick=False, seeds=5)
    assert len(study_cells(make_study("fig1", asked), asked)) == 5 * 7 * 5
    assert len(study_cells(make_study("fig1", QUICK), QUICK)) == 6 * 7 * 3
    assert {cell.group.contender for cell in cells} == set(COMPARED)
    near = load_scenario("exchange-near-quick")
    assert (near.topology.kind, near.topology.distance) == ("proximity", load_scenario("exchange").topology.distance)
    plain = load_scenario("exchange-quick")
    same = {"topology": plain.topology, "name": plain.name, "description": plain.description}
    assert near.model_copy(update=same) == plain


@pytest.mark.parametrize("key", [key for key in CONTENDERS if key in (*COMPARED, *SEARCHED)])
def test_a_contender_is_an_algorithm_with_settings_that_can_run(key):
    contender = CONTENDERS[key]
    tuned = {("exchange", each): () for each in SEARCHED}
    choice = Choice(quick=True, seeds=1, tasks=("exchange",), algorithms=(key,), tuned=tuned)
    [cell] = study_cells(make_study("fig1", choice), choice)
    assert (cell.group.contender, document(cell).algorithm.name) == (key, contender.algorithm)
    assert f"exchange--{key}--seed1" == cell.id
    sharing = document(cell).algorithm.anticipation_sharing
    if key in (AS, AS_TWO):
        assert (sharing.weights, sharing.rho) == ("fixed", 8.0)
    elif key == AS_CALIBRATED:
        assert (sharing.weights, sharing.rho) == ("calibrated", 3.0)


def test_what_a_contender_sets_cannot_be_overridden_where_it_runs():
    settings = (("algorithm.anticipation_sharing.rho", "2.0"),)
    choice = Choice(quick=True, seeds=1, tasks=("exchange",), settings=settings)
    with pytest.raises(UserError, match=r"--set algorithm.anticipation_sharing.rho: the study sets "):
        study_cells(make_study("fig1", choice), choice)
    alone = Choice(quick=True, seeds=1, tasks=("exchange",), algorithms=(AS,), settings=settings)
    [cell] = study_cells(make_study("fig1", alone), alone)
    assert document(cell).algorithm.anticipation_sharing.rho == 2.0


def test_two_weights_run_where_a_search_found_them_and_only_there():
    tuned = {(kind, each): () for each in SEARCHED for kind in ("exchange", "navigation", "predation")}
    assert AS_TWO not in make_study("fig1", QUICK).contenders
    assert set(make_study("fig1", Choice(quick=True, tuned=tuned)).contenders) == {*COMPARED, *SEARCHED}


def test_anticipation_sharing_is_asked_for_less_than_the_paper_claims_in_every_setting():
    tuned = {(kind, each): () for each in SEARCHED for kind in ("exchange", "navigation", "predation")}
    study = make_study("fig1", Choice(quick=True, tuned=tuned))
    paper = study.claims[0]
    assert "Machine Learning 114:190 (2025), claims less" in paper.source
    asked = [claim for claim in study.claims if " at most " in claim.text]
    assert len(asked) == 6
    for claims, key in zip((asked[:2], asked[2:4], asked[4:]), (AS, AS_CALIBRATED, AS_TWO), strict=True):
        everywhere, on_exchange = claims
        assert {each.group.contender for claim in claims for each in claim.comparisons} == {key}
        assert {(each.other.task, each.other.contender) for each in everywhere.comparisons} == {
            (task.key, other) for task in study.tasks for other in (PS, VPS, NAC, ALONE)
        }
        assert {each.margin for each in everywhere.comparisons} == {0.02}
        [vs] = on_exchange.comparisons
        assert (vs.other, vs.margin) == (Group("exchange", "", VS), 0.03)


def test_each_part_of_calibrated_weights_is_left_out_once_and_nothing_else_is_changed():
    choice = Choice(quick=True, seeds=1, tasks=("exchange",))
    cells = study_cells(make_study("calibrated", choice), choice)
    found = {cell.group.contender: document(cell) for cell in cells}
    whole = found[AS_CALIBRATED].algorithm.anticipation_sharing.calibration.model_dump()
    changed = {
        key: found[key].algorithm.anticipation_sharing.calibration.model_dump().items() - whole.items()
        for key in (ALL_PULLS, NO_MEMORY, NOT_MEASURED)
    }
    assert changed == {
        ALL_PULLS: {("standard_errors", 0.0)},
        NO_MEMORY: {("memory", 0.0)},
        NOT_MEASURED: {("memory", 0.999999)},
    }
    assert all(found[key].algorithm.anticipation_sharing.weights == "calibrated" for key in changed)
    assert all(found[key].algorithm.anticipation_sharing.rho == 3 for key in changed)


def test_slopes_that_are_not_measured_stay_where_they_begin():
    estimate, random = SlopeEstimate(0.0, 0.0, 0.0), np.random.default_rng(1)
    for _ in range(600):
        x, advantages = random.normal(size=(2, 640)).astype(np.float32)
        estimate = estimate.after(x, advantages, 0.999999, first_slope=4.8)
    assert estimate.slope(2.0) == pytest.approx(4.8, rel=0.01)


def test_calibrated_weights_are_tried_where_they_were_not_made():
    cells = study_cells(make_study("calibrated", QUICK), QUICK)
    found = {cell.group.task: document(cell) for cell in cells if cell.group.contender == AS_CALIBRATED}
    assert (found["predation-12"].environment.agents, found["predation-20"].environment.agents) == (12, 20)
    assert found["random-partner"].exchange.mode == "random-partner"
    assert found["random-skip"].exchange.skip_probability == 0.5
    assert found["exchange-near"].topology.kind == "proximity"
    assert found["lossy"].faults[0].probability == 0.3
    assert found["late"].faults[0].delay_s.mean_s == found["late"].exchange.patience_s / 2
    assert (found["one-copy"].parallel_episodes, found["one-copy"].learning.actor_learning_rate) == (1, 1e-4)


def test_figure_4_maps_both_weights_and_keeps_the_paper_s_tied_ones_as_a_row():
    study = make_study("fig4", QUICK)
    mapped = {task.key: set() for task in study.tasks}
    for condition in study.conditions:
        rho, ratio = condition.variant.place
        mapped[condition.task.key].add((rho, ratio))
        settings = (*CONTENDERS[AS].settings, *condition.variant.settings)
        found = load_scenario(condition.task.quick, parse_settings("=".join(each) for each in settings))
        sharing = found.algorithm.anticipation_sharing
        assert (sharing.rho, sharing.rho_prime) == (rho, pytest.approx(rho * ratio))
    whole = {(rho, ratio) for rho in (0.3, 1, 3, 10) for ratio in (0.25, 0.5, 1, 2, 4)}
    row = {(rho, 1) for rho in (0.03, 0.1, 0.3, 1, 3, 10)}
    assert mapped == {
        "exchange": whole,
        "navigation": whole,
        "predation-6": whole | row,
        "predation-8": row,
        "predation-12": row,
    }


def test_only_scenarios_that_differ_in_the_number_of_agents_alone_decide_claims_about_it():
    def about_number(choice):
        return [claim for claim in make_study("fig1", choice).claims if "agents become more" in claim.text]

    few, many = (load_scenario(f"predation-{agents}").model_dump() for agents in (6, 12))
    for each in (few, many):
        del each["name"], each["description"], each["environment"]["agents"]
    assert few == many
    assert [len(claim.comparisons) for claim in about_number(FULL)] == [1, 1]
    for claim in about_number(QUICK):
        assert claim.comparisons == ()
        assert "differ in more than N" in claim.not_comparable


def test_quick_figure_5_says_that_partners_are_drawn_from_four_neighbors():
    assert make_study("fig5", FULL).said == ()
    [note] = make_study("fig5", QUICK).said
    assert "one of these four, not one of all nineteen others" in note
    for task in make_study("fig5", QUICK).tasks:
        quick = load_scenario(task.quick)
        assert (quick.environment.steps, quick.topology.kind, quick.topology.degree) == (10, "k-regular", 4)


def test_independent_learning_runs_once_where_faults_touch_shares_alone():
    groups = [group for _, group in make_study("loss", FULL).groups() if group.contender == ALONE]
    assert [(group.task, group.variant) for group in groups] == [("exchange", "loss0"), ("predation-6", "loss0")]


def test_the_quick_sizes_name_every_quick_scenario_of_every_study():
    for name in NAMES:
        assert {task.quick for task in make_study(name, QUICK).tasks} <= set(QUICK_EPISODES)
        assert name in QUICK_FRACTION


def test_a_cell_can_be_run_by_hand():
    cell = Cell(
        Group("t", "", AS), 7, "exchange-quick", (("episodes", "3"), ("faults", '[{kind="drop",probability=1}]'))
    )
    assert cell.arguments() == (
        *("simulate", "exchange-quick", "--seed", "7", "--set", "episodes=3"),
        *("--set", 'faults=[{kind="drop",probability=1}]'),
    )
    resolved = document(cell)
    assert (resolved.seed, resolved.episodes, resolved.faults[0].probability) == (7, 3, 1.0)


def test_tuned_settings_keep_the_number_of_episodes_played():
    tuned = {("exchange", AS): (("learning.rounds", "5"), ("parallel_episodes", "64"))}
    choice = Choice(quick=True, seeds=1, tasks=("exchange",), algorithms=(AS,), tuned=tuned)
    [cell] = study_cells(make_study("fig1", choice), choice)
    found, plain = document(cell), load_scenario("exchange-quick")
    assert found.learning.rounds == 5
    played = quick_episodes("fig1", "exchange-quick") * plain.parallel_episodes
    assert found.episodes * found.parallel_episodes == played


def test_at_full_size_a_search_gives_as_two_weights_its_weights_and_nobody_anything_else():
    found = (("learning.rounds", "5"), ("parallel_episodes", "64"), (RHO, "2"), (f"{RHO}_own", "7"))
    tuned = {("exchange", each): found for each in SEARCHED} | {("predation", AS_TWO): found}
    choice = Choice(quick=False, seeds=1, tasks=("exchange",), tuned=tuned)
    documents = {cell.group.contender: document(cell) for cell in study_cells(make_study("fig1", choice), choice)}
    assert set(documents) == {*COMPARED, AS_TWO}
    assert {each.learning.rounds for each in documents.values()} == {3}
    assert {each.parallel_episodes for each in documents.values()} == {1}
    weights = {key: each.algorithm.anticipation_sharing for key, each in documents.items()}
    assert (weights[AS_TWO].rho, weights[AS_TWO].rho_own) == (2.0, 7.0)
    assert (weights[AS].rho, weights[AS].rho_own) == (1.0, None)
    choice = replace(choice, tasks=("random-skip",))
    assert AS_TWO in {cell.group.contender for cell in study_cells(make_study("fig5", choice), choice)}


def test_a_tuned_file_without_an_algorithm_is_a_mistake():
    choice = Choice(quick=True, tuned={}, tuned_from="my.toml")
    with pytest.raises(UserError, match=r"--tuned my.toml: there are no settings for anticipation-sharing in exchange"):
        study_cells(make_study("fig1", choice), choice)


def test_tuned_settings_cannot_be_overridden():
    tuned = {("exchange", AS): (("learning.rounds", "5"),)}
    for path in ("learning.rounds", "learning", "episodes"):
        choice = Choice(
            quick=True, seeds=1, tasks=("exchange",), algorithms=(AS,), tuned=tuned, settings=((path, "1"),)
        )
        with pytest.raises(UserError, match=f"--set {path}: the study sets "):
            study_cells(make_study("fig1", choice), choice)


# Verdicts


@pytest.mark.parametrize(
    ("expectation", "low", "high", "verdict"),
    [
        (Expectation.ABOVE, 0.01, 0.2, Verdict.HOLDS),
        (Expectation.ABOVE, -0.2, -0.01, Verdict.FAILS),
        (Expectation.ABOVE, -0.01, 0.2, Verdict.UNDECIDED),
        (Expectation.ABOVE, 0.0, 0.2, Verdict.UNDECIDED),
        (Expectation.NEAR, -MARGIN, MARGIN, Verdict.HOLDS),
        (Expectation.NEAR, 0.0, 0.2, Verdict.UNDECIDED),
        (Expectation.NEAR, 0.11, 0.2, Verdict.FAILS),
        (Expectation.NEAR, -0.2, -0.11, Verdict.FAILS),
        (Expectation.NOT_BELOW, -MARGIN, 3.0, Verdict.HOLDS),
        (Expectation.NOT_BELOW, -3.0, -0.11, Verdict.FAILS),
        (Expectation.NOT_BELOW, -3.0, 3.0, Verdict.UNDECIDED),
        (Expectation.NOT_ABOVE, -3.0, MARGIN, Verdict.HOLDS),
        (Expectation.NOT_ABOVE, 0.11, 3.0, Verdict.FAILS),
        (Expectation.NOT_ABOVE, -3.0, 3.0, Verdict.UNDECIDED),
    ],
)
def test_the_interval_alone_decides(expectation, low, high, verdict):
    assert decide(expectation, Estimate((low + high) / 2, low, high)) is verdict


def test_a_comparison_has_a_margin_of_its_own():
    assert decide(Expectation.NOT_BELOW, Estimate(0.0, -0.05, 0.1)) is Verdict.HOLDS
    assert decide(Expectation.NOT_BELOW, Estimate(0.0, -0.05, 0.1), 0.02) is Verdict.UNDECIDED
    assert decide(Expectation.NOT_BELOW, Estimate(-0.05, -0.06, -0.03), 0.02) is Verdict.FAILS
    assert decide(Expectation.NOT_BELOW, Estimate(0.0, -0.02, 0.1), 0.02) is Verdict.HOLDS


def test_what_a_map_changes_along_its_rows_is_the_mean_of_their_deviations():
    """Rows (0, 2) and (1, 1): deviations sqrt(2) and 0. Columns (0, 1) and (2, 1): sqrt(1/2) each. Run 2 has none."""
    finals = np.array([[[0.0, 3.0], [2.0, 3.0]], [[1.0, 3.0], [1.0, 3.0]]])
    assert along_rows(finals).tolist() == pytest.approx([math.sqrt(2) / 2, 0])
    assert along_rows(finals.swapaxes(0, 1)).tolist() == pytest.approx([math.sqrt(0.5), 0])


@pytest.mark.parametrize(("by_ratio", "by_rho", "verdict"), [(1, 0.1, "holds"), (0.1, 1, "fails")])
def test_the_map_alone_decides_whether_the_ratio_matters_more(by_ratio, by_rho, verdict):
    findings = made_map(by_ratio, by_rho)
    [claim] = [each for each in findings.study.claims if "matters more" in each.text]
    decided = findings.decide(claim)
    assert [each.verdict.value for each in decided] == [verdict, "not run", "not run"]


def test_one_run_decides_nothing():
    assert decide(Expectation.ABOVE, Estimate(9.0, None, None)) is Verdict.UNDECIDED
    assert decide(Expectation.ABOVE, None) is Verdict.NOT_RUN


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ("hh", Verdict.HOLDS),
        ("hf", Verdict.FAILS),
        ("uf", Verdict.FAILS),
        ("hu", Verdict.UNDECIDED),
        ("hn", Verdict.UNDECIDED),
        ("nf", Verdict.FAILS),
        ("nn", Verdict.NOT_RUN),
    ],
)
def test_a_claim_holds_when_all_its_comparisons_hold(verdicts, together):
    of = {"h": Verdict.HOLDS, "f": Verdict.FAILS, "u": Verdict.UNDECIDED, "n": Verdict.NOT_RUN}
    group = Group("t", "", AS)
    assert conclude(tuple(Decided(Comparison(group, group), None, of[each]) for each in verdicts)) is together


def learner(team, seed):
    """The outcome of a run with made-up team returns, one an episode."""
    cell = Cell(Group("exchange", "", AS), seed, "exchange-quick", ())
    run = types.SimpleNamespace(
        team=np.array(team, np.float64),
        scenario=types.SimpleNamespace(parallel_episodes=1),
        summary=types.SimpleNamespace(env_steps=1, curve_digest="c", weights_digest="w"),
        traffic=EdgeTraffic(0, 0, 0, 0, 0, 0, 0),
    )
    return outcome(cell, run)


def test_the_start_is_before_what_learns_fast_has_learned():
    kept = learner([-400.0, -400.0] + [-300.0] * 98, 1)
    assert (kept.first, kept.last) == (-400.0, -300.0)


def test_start_and_end_of_a_group_are_compared_run_by_run():
    group, runs = Group("exchange", "", AS), (0.0, 5.0, 10.0, 15.0)
    outcomes = tuple(learner([low] * 2 + [low * 1.001 + 1.0] * 98, seed) for seed, low in enumerate(runs, 1))
    scales = {"exchange": references(load_scenario("exchange-quick").environment)}
    findings = StudyFindings(make_study("fig1", QUICK), {group: outcomes}, scales)
    claim = Claim("it learns", "ours", (Comparison(group, group, from_start=True),))
    [decided] = findings.decide(claim)
    step = 1.0 / (scales["exchange"].one - scales["exchange"].zero)
    assert [decided.estimate.low, decided.estimate.high] == pytest.approx([step, step], rel=0.02)
    assert decided.verdict is Verdict.HOLDS


# References


def test_references_are_the_payoffs_of_the_tasks():
    predation = references(PredationConfig(agents=6, steps=30))
    assert {line.label: line.value for line in predation.lines} == {
        "all engage": -180,
        "one engages": -120,
        "none engages": -540,
    }
    assert (predation.normalized(-540), predation.normalized(-120)) == (0, 1)
    assert references(PredationConfig(agents=3, steps=10)).one == -30  # with few agents all together fare best
    exchange = references(ExchangeTaskConfig(agents=3, grid=3, steps=20))
    assert (exchange.zero, exchange.one) == (pytest.approx(-0.6), pytest.approx(15 - 0.06))
    navigation = references(NavigationConfig(agents=3, grid=3, steps=15))
    assert navigation.one == 0
    assert -70 < navigation.zero < -30
    spread = references(SimpleSpreadConfig(agents=2, steps=5))
    assert spread.one == 0
    assert -12 < spread.zero < -6


@pytest.mark.parametrize(("open_cost", "known"), [(0.5, True), (1, False), (3, False)])
def test_where_opening_gains_nothing_there_is_nothing_to_measure_by(open_cost, known):
    exchange = ExchangeTaskConfig(agents=3, grid=3, steps=20, time_cost=0, food_reward=1, open_cost=open_cost)
    assert (references(exchange) is not None) == known


# Bill


def test_a_share_of_anticipation_sharing_holds_policy_actions_anticipation_and_samples_and_nothing_else():
    scenario = load_scenario(
        "exchange-quick",
        {
            "parallel_episodes": 2,
            "algorithm.anticipation_sharing.weights": "fixed",
            "learning.hidden": [8],
            "exchange.skip_probability": 1.0,
        },
    )
    found = {array.name: array for array in share_layout(scenario)}
    assert set(found) == {"policy", "actions", "anticipation", "samples"}
    assert (found["policy"].dtype, found["policy"].shape[1]) == ("float32", 6)


def test_independent_learning_shares_nothing():
    scenario = load_scenario(
        "exchange-quick", {"parallel_episodes": 2, "learning.hidden": [8], "algorithm.name": ALONE}
    )
    assert share_layout(scenario.model_copy(update={"parallel_episodes": 1})) == ()


def made_findings(finals):
    """Figure 1's Exchange with made-up numbers: final returns by algorithm, and 100 shares of 1000 bytes each."""
    seeds = len(next(iter(finals.values())))
    choice = Choice(quick=True, seeds=seeds, tasks=("exchange",), algorithms=tuple(finals))
    study = make_study("fig1", choice)
    outcomes = {}
    for cell in study_cells(study, choice):
        last = finals[cell.group.contender][cell.seed - 1]
        talks = cell.group.contender != ALONE
        traffic = EdgeTraffic(6, 50, 100, 100_000, 80, 20, 5) if talks else EdgeTraffic(0, 50, 0, 0, 0, 0, 0)
        played, curve = np.linspace(1, 100, 10), np.linspace(0, last, 10)
        outcomes.setdefault(cell.group, []).append(RunOutcome(cell, 0.0, last, played, curve, 1000, traffic, "c", "w"))
    scales = {"exchange": references(load_scenario("exchange-quick").environment)}
    return StudyFindings(study, {group: tuple(found) for group, found in outcomes.items()}, scales)


def made_map(by_ratio, by_rho):
    """Fig. 4 on Exchange alone, with made-up final returns that follow the place in the map; run 2 is a bit off."""
    choice = Choice(quick=True, seeds=2, tasks=("exchange",))
    study = make_study("fig4", choice)
    places = {condition.variant.key: condition.variant.place for condition in study.conditions}
    outcomes = {}
    for cell in study_cells(study, choice):
        rho, ratio = places[cell.group.variant]
        last = 5 + by_ratio * math.log2(ratio) + by_rho * math.log2(rho) + 0.1 * cell.seed * math.sin(7 * rho + ratio)
        played, curve = np.linspace(1, 100, 10), np.linspace(0, last, 10)
        traffic = EdgeTraffic(6, 50, 100, 100_000, 80, 20, 5)
        outcomes.setdefault(cell.group, []).append(RunOutcome(cell, 0.0, last, played, curve, 1000, traffic, "c", "w"))
    scales = {"exchange": references(load_scenario("exchange-quick").environment)}
    return StudyFindings(study, {group: tuple(found) for group, found in outcomes.items()}, scales)


def test_the_map_s_figure_and_page_show_every_cell(monkeypatch, tmp_path):
    drawn = []
    write = Axes.text
    monkeypatch.setattr(Axes, "text", lambda *words, **how: (drawn.append(words[3]), write(*words, **how))[1])
    findings = made_map(1, 0.1)
    draw_study(findings)
    cells = [f"{findings.final_normalized(group).value:.2f}" for _, group in findings.study.groups()]
    assert sorted(drawn) == sorted(cells)
    assert len(cells) == 20
    text = made_page(findings)
    assert "| Exc. N=3 | rho = 0.3, rho' = 0.25 rho | anticipation-sharing |" in text
    assert "deviation along rho' / rho minus along rho (Exc. N=3) | above |" in text
    claims = json.loads(made_numbers(findings))["claims"]
    assert len(claims[-1]["comparisons"][0]["map"]) == 4


def test_the_bill_counts_wire_bytes_per_edge_and_round_and_gain_over_learning_alone():
    findings = made_findings({AS: (10.0, 11.0, 12.0), ALONE: (1.0, 1.0, 1.0)})
    layouts = {Group("exchange", "", AS): (SharedArray("policy", "float32", (2, 3)),)}
    [line] = bill(findings, layouts, of_the_same_variant(findings))
    assert (line.share_bytes, line.edge_round_bytes) == (1000, pytest.approx(100_000 / 300))
    assert (line.megabytes, line.heard_share) == (0.1, pytest.approx(0.8))
    assert line.gain.value == 10
    assert line.gain_per_megabyte == pytest.approx(100)


def faulty(name, only):
    """A study of faults of which some groups ran, one seed each; a group ends with its place among them."""
    choice = Choice(quick=True, seeds=1, tasks=("exchange",), algorithms=(AS, ALONE))
    study, outcomes = make_study(name, choice), {}
    for cell in study_cells(study, choice):
        if (cell.group.variant, cell.group.contender) in only:
            last = float(len(outcomes))
            traffic = EdgeTraffic(6, 50, 100, 100_000, 80, 20, 5)
            run = RunOutcome(cell, 0.0, last, np.ones(1), np.array([last]), 1000, traffic, "c", "w")
            outcomes[cell.group] = (run,)
    scales = {"exchange": references(load_scenario("exchange-quick").environment)}
    return StudyFindings(study.only(outcomes, ""), outcomes, scales)


def test_the_gain_of_every_strength_of_a_fault_is_over_those_that_ran_without_and_the_page_says_so():
    findings = faulty("latency", {("delay0", AS), ("delay0", ALONE), ("delay1", AS)})
    lines = bill(findings, dict.fromkeys(findings.outcomes, ()), of_the_same_variant(findings))
    assert [line.gain.value for line in lines] == [-1, 1]
    text = " ".join(made_page(findings).split())
    assert "independent learning on the same task (it ran with delay 0 alone, as no variant touches it), which" in text
    same = " ".join(made_page(made_findings({AS: (1.0,)})).split())
    assert "independent learning in the same condition, which sends nothing." in same


def test_a_study_without_a_quiet_variant_gains_over_the_same_variant_or_nothing():
    findings = faulty("fig3", {("short", AS), ("long", AS), ("long", ALONE)})
    lines = bill(findings, dict.fromkeys(findings.outcomes, ()), of_the_same_variant(findings))
    assert [(line.group.variant, line.gain is None) for line in lines] == [("short", True), ("long", False)]


MADE = Made("foretell study fig1", {"x": "1"})


def billed(findings):
    return bill(findings, dict.fromkeys(findings.outcomes, ()), of_the_same_variant(findings))


def made_page(findings):
    return page(findings, billed(findings), {"Exc. N=3": load_scenario("exchange-quick")}, MADE)


def test_a_bill_has_no_bytes_of_a_group_in_which_an_agent_died_before_it_told_them_and_says_why():
    findings = made_findings({AS: (10.0, 11.0), ALONE: (1.0, 1.0)})
    [group] = [group for group in findings.outcomes if group.contender == AS]
    one, other = findings.outcomes[group]
    findings.outcomes[group] = one, replace(other, traffic=replace(other.traffic, sent_bytes=None))
    [line] = billed(findings)
    assert (line.share_bytes, line.edge_round_bytes, line.megabytes, line.gain_per_megabyte) == (None,) * 4
    assert (line.shares, line.heard_share) == (100, 0.8)
    assert "an agent died before it had told those of all its shares" in made_page(findings)
    assert json.loads(made_numbers(findings))["bill"][0]["megabytes"] is None
    assert "died" not in made_page(made_findings({AS: (10.0, 11.0), ALONE: (1.0, 1.0)}))


def made_numbers(findings):
    return numbers(findings, billed(findings), MADE)


def test_the_page_decides_claims_says_what_was_not_run_and_never_says_significant():
    text = made_page(made_findings({AS: (10.0, 11.0, 12.0), ALONE: (1.0, 1.0, 1.0)}))
    claim = "AS ends above learning alone on every task (ours)"
    assert f"| 4 | {claim} | of 6 comparisons: 1 holds, 5 not run | **undecided** |" in text
    [number] = [line for line in text.splitlines() if "| 2 | PS converges more slowly" in line]
    assert "it ends lower" in number
    assert "| Not comparable: the quick scenarios of N=6 and N=12 differ in more than N" in number
    assert number.endswith("| **not run** |")
    assert "11.00 [10.00, 12.00]" in text
    assert "summed over all agents" in text
    assert "Numbers are means over seeds, with the range of the runs." in text
    assert "signific" not in text.lower()
    assert "foretell study fig1" in text


@pytest.mark.parametrize(("seeds", "pooled"), [(1, False), (2, True), (3, True), (4, False)])
def test_the_foot_tells_how_all_tasks_are_pooled_where_their_own_intervals_are_ranges(monkeypatch, seeds, pooled):
    written = []
    write = Figure.text
    monkeypatch.setattr(Figure, "text", lambda *words, **how: (written.append(words[3]), write(*words, **how))[1])
    choice = Choice(quick=False, seeds=seeds, tasks=("exchange", "predation-6", "predation-8"), algorithms=(AS,))
    study, outcomes, scales = make_study("fig1", choice), {}, {}
    for cell in study_cells(study, choice):
        traffic, points = EdgeTraffic(6, 50, 100, 100_000, 80, 20, 5), np.linspace(0, 1, 10)
        run = RunOutcome(cell, 0.0, float(cell.seed), points, points, 1000, traffic, "c", "w")
        outcomes.setdefault(cell.group, []).append(run)
        scales[cell.group.task] = references(document(cell).environment)
    draw_study(StudyFindings(study, {group: tuple(found) for group, found in outcomes.items()}, scales))
    assert any("All tasks: interquartile mean" in shown for shown in written) is pooled


def test_one_seed_is_promised_no_interval_and_one_of_a_thing_is_not_called_several(monkeypatch, tmp_path):
    written = []
    write = Figure.text
    monkeypatch.setattr(Figure, "text", lambda *words, **how: (written.append(words[3]), write(*words, **how))[1])
    findings = made_findings({AS: (10.0,)})
    draw_study(findings)
    text = made_page(findings)
    assert "1 run of `foretell simulate`: 1 task, 1 variant, 1 algorithm (anticipation-sharing), 1 seed (1)." in text
    assert "run more with `--seeds`" in text
    for shown in (text, *written):
        assert "95%" not in shown
        assert "bootstrap" not in shown
    assert any("1 seed." in shown for shown in written)


def test_groups_of_one_seed_each_have_no_two_seeds_together():
    findings = made_findings({AS: (10.0, 11.0), ALONE: (1.0, 2.0)})
    as_group, alone = findings.outcomes
    apart = {as_group: findings.outcomes[as_group][:1], alone: findings.outcomes[alone][1:]}
    text = made_page(replace(findings, outcomes=apart))
    assert "(anticipation-sharing, independent), 1 seed a group, not the same in all (1, 2)." in text
    assert "With one seed" in text
    assert "(anticipation-sharing, independent), 2 seeds (1, 2)." in made_page(findings)


@pytest.mark.parametrize(
    ("ahead", "shown"),
    [
        pytest.param(0.5, "0.03 [0.03, 0.03]", id="so far apart that two digits show it"),
        pytest.param(0.005, "0.0003 [0.0003, 0.0003]", id="a hair above"),
        pytest.param(0.0, "0.00000 [-0.00002, 0.00002]", id="level"),
    ],
)
def test_each_comparison_is_shown_with_the_digits_that_its_verdict_takes(ahead, shown):
    """Above by less than a hundredth is above, and nobody shall read 0.00 and wonder."""
    findings = made_findings({AS: (10 + ahead,) * 3, ALONE: (9.9999, 10.0, 10.0001)})
    text = made_page(findings)
    [row] = [line for line in text.splitlines() if line.startswith("| 4 | AS (Exc. N=3) minus ")]
    verdict = "holds" if ahead else "undecided"
    assert row.endswith(f"| above | {shown} | {verdict} |")


def test_figure_and_page_show_the_same_interval(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(Axes, "errorbar", lambda _, x, y, ends, **__: drawn.append((y, y - ends[0][0], y + ends[1][0])))
    findings = made_findings({AS: tuple(float(each**2) for each in range(11))})
    draw_study(findings)
    found = findings.final_normalized(Group("exchange", "", AS))
    assert drawn == [pytest.approx((found.value, found.low, found.high), rel=1e-12)]


def names_below(finals):
    """The names below the panel of final returns, once drawn."""
    figures = []
    write = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Figure, "savefig", lambda figure, *to, **how: (figures.append(figure), write(figure, *to, **how))[1]
        )
        draw_study(made_findings(finals))
    [figure] = figures
    [axes] = [axes for axes in figure.axes if any(label.get_text() == "AS" for label in axes.get_xticklabels())]
    return axes.get_xticklabels()


@pytest.mark.parametrize("contenders", [(AS, ALONE), (AS, VS, VPS, PS, ALONE), (AS, AS_CALIBRATED, VS, VPS)])
def test_no_name_below_a_panel_lies_on_another(contenders, tmp_path):
    names = names_below(dict.fromkeys(contenders, (10.0, 11.0)))
    slanted = any(name.get_rotation() for name in names)
    places = [name.get_window_extent() for name in names]
    assert slanted or all(left.x1 <= right.x0 for left, right in pairwise(places))
    assert slanted == (AS_CALIBRATED in contenders), "those that have room stand upright"


def half_a_study(name):
    """Of a quick study what might be done at some time: up to three seeds of a group, and VS only in the last task."""
    choice = Choice(quick=True, seeds=3)
    study = make_study(name, choice)
    cells, last = study_cells(study, choice), study.tasks[-1].key
    groups = [group for _, group in study.groups() if group.contender != VS or group.task == last]
    seeds = {group: number % 4 for number, group in enumerate(groups)}
    done = [cell for cell in cells if cell.seed <= seeds.get(cell.group, 0)]
    outcomes = {}
    for cell in done:
        played, curve = np.linspace(1, 100, 10), np.linspace(0, cell.seed, 10)
        found = RunOutcome(
            cell, 0.0, cell.seed, played, curve, 1000, EdgeTraffic(6, 50, 100, 1000, 80, 20, 5), "c", "w"
        )
        outcomes.setdefault(cell.group, []).append(found)
    scales = {task.key: references(load_scenario(task.quick).environment) for task in study.tasks}
    so_far = f"{len(done)} of {len(cells)} runs are done; this is what they show so far."
    whole = {group: tuple(found) for group, found in outcomes.items()}
    return study, StudyFindings(study.only(whole, so_far), whole, scales)


@pytest.mark.parametrize("name", ["fig1", "fig3", "fig4", "loss", "calibrated"])
def test_a_study_of_which_a_part_is_done_is_shown_as_far_as_it_is(name, monkeypatch, tmp_path):
    written = []
    write = Figure.text
    monkeypatch.setattr(Figure, "text", lambda *words, **how: (written.append(words[3]), write(*words, **how))[1])
    study, findings = half_a_study(name)
    draw_study(findings)
    documents = {task.label: load_scenario(task.quick) for task in findings.study.tasks}
    text = page(findings, billed(findings), documents, Made("foretell study --so-far", {}))
    assert f"**{findings.study.so_far}**" in text
    assert any(" ".join(shown.split()).startswith(findings.study.so_far) for shown in written)
    assert "1 to 3 seeds, as the table of final returns says." in text
    assert "not run" in text
    assert {group for _, group in findings.study.groups()} == set(findings.outcomes)
    assert len(findings.outcomes) < len({group for _, group in study.groups()})


def test_strengths_are_drawn_while_learning_alone_is_done_in_one_task_only():
    study, findings = half_a_study("latency")
    first = study.tasks[0].key
    done = {
        group: found for group, found in findings.outcomes.items() if (group.contender, group.task) != (ALONE, first)
    }
    assert {group.task for group in done if group.contender == ALONE} == {task.key for task in study.tasks[1:]}
    draw_study(StudyFindings(study.only(done, "a part"), done, findings.references))


def test_versions_are_told_of_what_is_installed(monkeypatch):
    def version_of(name):
        if name == "torch":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr("scenarios.running.batch.provenance.version", version_of)
    assert versions().keys() == {"python", "foretell", "numpy", "scipy", "matplotlib"}


def test_a_map_is_decided_by_the_seeds_that_all_its_cells_have():
    findings = made_map(1, 0.1)
    first = next(iter(findings.outcomes))
    less = {group: found[1:] if group == first else found for group, found in findings.outcomes.items()}
    [claim] = [each for each in findings.study.claims if "matters more" in each.text]
    [decided, *_] = replace(findings, outcomes=less).decide(claim)
    of_two = {group: found[1:] for group, found in findings.outcomes.items()}
    [alone, *_] = replace(findings, outcomes=of_two).decide(claim)
    assert decided.estimate == alone.estimate
    none = {group: found[:1] if group == first else found[1:] for group, found in findings.outcomes.items()}
    assert replace(findings, outcomes=none).decide(claim)[0].verdict is Verdict.NOT_RUN


@pytest.mark.parametrize(
    ("name", "choice", "there"),
    [
        ("fig1", Choice(quick=True), True),
        ("fig1", Choice(quick=True, tasks=("exchange-near",)), True),
        ("fig1", Choice(quick=True, tasks=("exchange", "navigation")), False),
        ("fig4", Choice(quick=True), True),
        ("fig4", Choice(quick=True, tasks=("predation-8", "exchange")), True),
        ("fig4", Choice(quick=True, tasks=("exchange",)), False),
        ("loss", Choice(quick=True), True),
        ("loss", Choice(quick=True, algorithms=(AS,)), False),
        ("inaccurate", Choice(quick=True, algorithms=(AS,)), False),
    ],
)
def test_a_note_is_taken_with_the_task_or_the_algorithm_that_it_is_about(name, choice, there):
    study = make_study(name, choice)
    [note] = [note for note in study.notes if note.of]
    assert (note.text in study.said) is there
    assert all(always.text in study.said for always in study.notes if not always.of)


def test_a_page_of_a_part_has_no_note_on_what_is_not_in_it_yet():
    study = make_study("fig1", QUICK)
    exchange = [group for _, group in study.groups() if group.task == "exchange"]
    assert "near* is Exchange" in "".join(study.said)
    assert "near* is Exchange" not in "".join(study.only(exchange, "so far").said)


def test_page_and_numbers_are_the_same_every_time():
    finals = {AS: (10.0, 11.0, 12.0), ALONE: (1.0, 3.0, 1.0)}
    assert made_page(made_findings(finals)) == made_page(made_findings(finals))
    assert made_numbers(made_findings(finals)) == made_numbers(made_findings(finals))


@pytest.mark.parametrize(("engaged", "normalized"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_same_behavior_counts_the_same_with_6_and_with_12_agents_where_these_are_compared(engaged, normalized):
    [slower, robust] = [
        comparison
        for claim in make_study("fig1", FULL).claims
        for comparison in claim.comparisons
        if comparison.group.task != comparison.other.task
    ]
    assert slower.any_number
    assert robust.any_number
    for agents in (6, 12):
        scale = references(PredationConfig(agents=agents, steps=30))
        each_earns = -3.0 + 2.0 * engaged  # an agent and step, where none and where all engage (section 5.1)
        assert scale.normalized(each_earns * agents * 30, any_number=True) == normalized


def engaging_more_and_more(better_by):
    """AS in Predation with 6 and 12 agents; all engage, and earn so much more in each next run."""
    choice = Choice(quick=False, seeds=3, tasks=("predation-6", "predation-12"), algorithms=(AS,))
    study, outcomes, scales = make_study("fig1", choice), {}, {}
    for cell in study_cells(study, choice):
        environment = document(cell).environment
        last = -float(environment.agents * environment.steps) + better_by * cell.seed
        traffic, points = EdgeTraffic(6, 50, 100, 100_000, 80, 20, 5), np.linspace(0, 1, 10)
        run = RunOutcome(cell, 0.0, last, points, points, 1000, traffic, "c", "w")
        outcomes.setdefault(cell.group, []).append(run)
        scales[cell.group.task] = references(environment)
    return StudyFindings(study, {group: tuple(found) for group, found in outcomes.items()}, scales)


def test_agents_that_all_engage_are_as_robust_with_12_as_with_6():
    findings = engaging_more_and_more(0.01)
    [robust] = [claim for claim in findings.study.claims if claim.text.startswith("AS remains robust")]
    [decided] = findings.decide(robust)
    assert (decided.estimate.value, decided.verdict) == (pytest.approx(0.0, abs=1e-4), Verdict.HOLDS)


def test_groups_whose_runs_are_all_equal_decide_nothing_and_the_page_says_why():
    findings = engaging_more_and_more(0.0)
    [robust] = [claim for claim in findings.study.claims if claim.text.startswith("AS remains robust")]
    [decided] = findings.decide(robust)
    assert (decided.estimate, decided.verdict) == (
        Estimate(0.0, None, None, "all equal in both groups"),
        Verdict.UNDECIDED,
    )
    assert "| 0.00 (all equal in both groups) |" in made_page(findings)


def test_what_is_compared_on_a_scale_for_any_number_follows_from_the_numbers_and_the_page_says_so():
    findings = engaging_more_and_more(7.0)
    written = json.loads(made_numbers(findings))
    runs = {
        (each["task"], each["variant"], each["contender"]): [run["final"] for run in each["runs"]]
        for each in written["groups"]
    }
    scales = written["references"]
    [found] = [
        each
        for claim in written["claims"]
        for each in claim["comparisons"]
        if each.get("any_number") and each["difference"] is not None
    ]

    def normalized(group):
        scale = scales[group[0]]
        return [(run - scale["zero"]) / (scale["one_of_any_number"] - scale["zero"]) for run in runs[tuple(group)]]

    expected = difference(
        normalized(found["group"]), normalized(found["other"]), "difference", *found["group"], *found["other"]
    )
    assert found["difference"] == expected.numbers()
    assert "minus AS (Pred. N=6), on the scale for any number of agents" in made_page(findings)


def test_references_of_many_agents_are_played_few_at_a_time():
    few, many = NavigationConfig(agents=3), NavigationConfig(agents=400, grid=20, steps=1)
    assert games_at_once(few) == 4096
    tracemalloc.start()
    references(many)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200e6


def test_settings_are_marked_the_paper_s_or_ours():
    marked = {each.path: each.origin for each in settings(load_scenario("predation-6"))}
    assert marked["algorithm.anticipation_sharing.rho"] == marked["learning.rounds"] == "paper"
    assert marked["environment.steps"] == marked["episodes"] == "ours"
    quick = {each.path: each.origin for each in settings(load_scenario("predation-6-quick"))}
    assert quick["algorithm.anticipation_sharing.rho"] == "ours (paper: 0.1)"
    assert quick["topology.kind"] == "ours (paper: proximity)"
    exchange = {each.path: each.origin for each in settings(load_scenario("exchange"))}
    assert exchange["learning.actor_learning_rate"] == exchange["topology.distance"] == "paper"
    for task in ("exchange", "navigation"):
        found = {each.path: each for each in settings(load_scenario(task))}["algorithm.anticipation_sharing.rho"]
        assert (found.value, found.origin) == ("1", "ours (paper: 10000)")


# Search


@pytest.mark.parametrize("contender", SEARCHED)
def test_every_contender_tries_as_many_settings_and_plays_as_much(contender):
    plain = load_scenario("exchange-quick")
    candidates = draw_candidates(plain, contender, 9)
    assert len({candidate.settings for candidate in candidates}) == 9
    for candidate in candidates:
        own = {path.split(".")[-1] for path, _ in candidate.settings if path.startswith("algorithm.")}
        assert own == {AS: {"rho"}, AS_TWO: {"rho", "rho_own"}, VS: {"weight"}}.get(contender, set())
        games = 1000 * plain.parallel_episodes
        assert episodes_of(games, candidate.copies) * candidate.copies == pytest.approx(games, rel=0.01)
        assert dict(candidate.settings)["parallel_episodes"] == str(candidate.copies)


def test_candidate_0_is_the_scenario_as_it_is_and_draws_have_names():
    own = {"algorithm.anticipation_sharing.weights": "fixed", RHO: 8.0}
    plain = load_scenario("exchange-quick", own)
    for contender in SEARCHED:
        [first] = draw_candidates(plain, contender, 1)
        changed = load_scenario("exchange-quick", own | parse_settings("=".join(each) for each in first.settings))
        assert changed.algorithm.anticipation_sharing.rho_prime == 8.0
        assert contender == AS_TWO or changed == plain
    assert draw_candidates(plain, AS, 9)[:3] == draw_candidates(plain, AS, 3)
    assert draw_candidates(plain, AS, 9)[1:] != draw_candidates(load_scenario("navigation-quick"), AS, 9)[1:]


def test_both_weights_are_searched_around_the_same_candidates_as_one():
    """So that two weights gain over one by the ratio alone."""
    plain = load_scenario("exchange-quick")
    ratios = []
    for one, two in zip(draw_candidates(plain, AS, 9), draw_candidates(plain, AS_TWO, 9), strict=True):
        tied, both = dict(one.settings), dict(two.settings)
        ratios.append(float(both.pop("algorithm.anticipation_sharing.rho_own")) / float(tied[RHO]))
        assert tied == both
    assert ratios[0] == 1
    assert all(0.24 < ratio < 4.1 for ratio in ratios)
    assert min(ratios) < 1 < max(ratios)
    assert len(set(ratios)) == 9


def test_a_neighbor_s_advantage_weighs_as_differently_as_others_interests_do():
    weights = [float(dict(each.settings)[WEIGHT]) for each in draw_candidates(load_scenario("exchange-quick"), VS, 60)]
    assert weights[0] == 1
    assert 0.25 <= min(weights) < 0.4
    assert 2.5 < max(weights) <= 4


@pytest.mark.parametrize("contender", SEARCHED)
def test_those_that_mix_parameters_have_more_choice_of_rounds(contender):
    drawn = draw_candidates(load_scenario("exchange-quick"), contender, 60)
    rounds = {int(dict(each.settings)["learning.rounds"]) for each in drawn}
    assert rounds == ({1, 2, 3, 5, 8} if contender in (VPS, PS, NAC) else {2, 3, 5})


def test_the_search_never_sees_a_seed_that_a_study_is_evaluated_on():
    evaluated = {
        cell.seed
        for name in NAMES
        for choice in (FULL, QUICK)
        for cell in study_cells(make_study(name, choice), choice)
    }
    assert evaluated == {1, 2, 3, 4, 5}
    assert max(evaluated) < FIRST_SEED


def test_every_contender_is_searched_on_every_task_with_the_same_budget():
    found = contests(QUICK)
    assert {each.scenario for each in found} >= {"exchange-near-quick", "predation-8-quick", "predation-12-quick"}
    for task in {each.task for each in found}:
        own = [each for each in found if each.task == task]
        assert [each.contender for each in own] == list(SEARCHED)
        assert len({(each.games, len(each.candidates)) for each in own}) == 1
    rungs = sum(count for count, _ in SEARCH_RUNGS)
    assert count_cells(QUICK) == len(found) * rungs
    [contest] = contests(Choice(quick=True, tasks=("exchange",), algorithms=(AS,)))
    games = count_games(Choice(quick=True, tasks=("exchange",), algorithms=(AS,)))
    assert games == round(contest.games * (1 + 4 / 3 + 2))


def test_a_task_s_own_tuned_settings_go_before_those_of_its_kind():
    tables = {each.task.key: each.table for each in contests(QUICK)}
    assert tables == {
        "exchange": "exchange",
        "exchange-near": "exchange-near",
        "navigation": "navigation",
        "predation-6": "predation",
        "predation-8": "predation-8",
        "predation-12": "predation-12",
    }
    tuned = {("exchange", AS): (("learning.rounds", "5"),), ("exchange-near", AS): (("learning.rounds", "2"),)}
    choice = Choice(quick=True, seeds=1, tasks=("exchange", "exchange-near"), algorithms=(AS,), tuned=tuned)
    cells = study_cells(make_study("fig1", choice), choice)
    assert [document(cell).learning.rounds for cell in cells] == [5, 2]
    del tuned["exchange-near", AS]
    assert [document(cell).learning.rounds for cell in study_cells(make_study("fig1", choice), choice)] == [5, 5]


def test_those_with_the_highest_scores_go_on_and_of_equals_the_first():
    assert survivors({0: 4.0, 1: 5.0, 2: 3.0, 3: 5.0}, 3) == (1, 3, 0)


def test_the_scenario_as_it_is_goes_on_however_slowly_it_starts():
    assert survivors({0: 1.0, 1: 5.0, 2: 3.0, 3: 5.0}, 3) == (1, 3, 0)
    assert survivors({0: 1.0, 1: 5.0, 2: 3.0}, 2) == (1, 0)
    assert survivors({0: 9.0, 1: 5.0, 2: 3.0}, 2) == (0, 1)


def test_every_rung_tries_the_scenario_as_it_is_beside_others_that_cost_the_same():
    costs = [(count - 1) * part for count, part in SEARCH_RUNGS[1:]]
    assert costs == pytest.approx([1.0] * len(costs))
    assert SEARCH_RUNGS[0][0] * SEARCH_RUNGS[0][1] == pytest.approx(1.0)
    assert SEARCH_RUNGS[-1][1] == 1.0
