"""Theorems 1 to 3 on tabular MMDPs: the mathematics against slow oracles, the check against bounds that are wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from file_sizes import files_of_at_most
from matplotlib.figure import Figure

from broker.errors import UserError
from broker.seeding import generator
from scenarios.studies.theory import bounds, worked
from scenarios.studies.theory.bounds import CLAIMS, Bound, BoundKind, Instance, Reading, Sides, divergence, terms
from scenarios.studies.theory.cases import (
    INSTANCES,
    RECIPES,
    SHAPES,
    Shape,
    draw_case,
    random_mmdp,
    recipe_of,
    search,
    shape_of,
)
from scenarios.studies.theory.findings import TheoryFindings, check, tally
from scenarios.studies.theory.mmdp import Mmdp, evaluate, joint, stationary, visitation
from scenarios.studies.theory.numbers import numbers
from scenarios.studies.theory.page import page
from scenarios.studies.theory.picture import draw_slacks
from scenarios.studies.theory.study import run_theory

RESULTS = Path(__file__).parents[3] / "docs" / "results" / "theory"
THEOREMS = [claim for claim in CLAIMS if claim.kind is BoundKind.THEOREM]
SOUND = [claim for claim in CLAIMS if claim.kind is not BoundKind.LITERAL]
UNSEARCHED = sum(recipe.searched is None for recipe in RECIPES) * len(SHAPES)


def named(key: str) -> Bound:
    [claim] = [claim for claim in CLAIMS if claim.key == key]
    return claim


def index_of(recipe: str, shape: int = 0) -> int:
    [row] = [row for row, each in enumerate(RECIPES) if each.name == recipe]
    return row * len(SHAPES) + shape


def drawn(recipe: str, shape: int = 0, seed: int = 3) -> Instance:
    return draw_case(seed, index_of(recipe, shape))


def with_sides(claim: Bound, sides) -> Bound:
    return replace(claim, sides=sides)


def run(tmp_path: Path, name: str, instances: int = 40, seed: int = 1):
    return run_theory(instances, seed, tmp_path / name, lambda _: None)


# the MMDP


@pytest.fixture(params=[(2, 3, 2, 0.5), (3, 4, 2, 0.9), (2, 5, 3, 0.95)])
def mmdp_and_policies(request) -> tuple[Mmdp, np.ndarray, np.ndarray]:
    agents, states, actions, discount = request.param
    draws = generator(5, "test", agents, states)
    policies = draws.dirichlet(np.ones(actions), size=(2, agents, states))
    return random_mmdp(draws, Shape(agents, states, actions, discount)), policies[0], policies[1]


def test_a_random_mmdp_consists_of_distributions() -> None:
    for row, shape in enumerate(SHAPES):
        mmdp = random_mmdp(generator(1, "mmdp", row), shape)
        assert mmdp.transitions.shape == (shape.states, shape.actions**shape.agents, shape.states)
        assert mmdp.rewards.shape == (shape.agents, shape.states, shape.actions**shape.agents)
        for table in (mmdp.transitions, mmdp.start):
            assert (table >= 0).all()
            assert table.sum(axis=-1) == pytest.approx(1.0)


def test_a_joint_policy_is_a_product_with_the_first_agents_action_slowest() -> None:
    policies = np.array([[[0.2, 0.8]], [[0.3, 0.7]], [[0.9, 0.1]]])
    expected = [a * b * c for a, b, c in product((0.2, 0.8), (0.3, 0.7), (0.9, 0.1))]
    assert joint(policies)[0].tolist() == pytest.approx(expected)


def test_values_are_those_of_long_iteration(mmdp_and_policies) -> None:
    mmdp, policies, _ = mmdp_and_policies
    policy = joint(policies)
    values = evaluate(mmdp, policy)
    for agent, rewards in enumerate(mmdp.rewards):
        v = np.zeros(len(mmdp.start))
        for _ in range(1000):
            q = rewards + mmdp.discount * mmdp.transitions @ v
            v = (policy * q).sum(axis=1)
        assert values.v[agent] == pytest.approx(v, abs=1e-9)
        assert values.q[agent] == pytest.approx(q, abs=1e-9)
        assert values.advantages[agent] == pytest.approx(q - v[:, None], abs=1e-9)


def test_visits_are_the_discounted_sum_over_time(mmdp_and_policies) -> None:
    mmdp, policies, _ = mmdp_and_policies
    moves = (joint(policies)[:, :, None] * mmdp.transitions).sum(axis=1)
    now, total = mmdp.start, np.zeros(len(mmdp.start))
    for step in range(1000):
        total += mmdp.discount**step * now
        now = now @ moves
    assert visitation(mmdp, joint(policies)) == pytest.approx(total, abs=1e-9)


def test_the_stationary_distribution_is_where_the_chain_ends(mmdp_and_policies) -> None:
    mmdp, policies, _ = mmdp_and_policies
    moves = (joint(policies)[:, :, None] * mmdp.transitions).sum(axis=1)
    assert stationary(mmdp, joint(policies)) == pytest.approx(
        mmdp.start @ np.linalg.matrix_power(moves, 100_000), abs=1e-9
    )


def test_returns_differ_by_the_old_advantages_over_the_new_policys_visits(mmdp_and_policies) -> None:
    mmdp, old, new = mmdp_and_policies
    at = terms(Instance(mmdp, old, new, np.stack([new] * len(new))), Reading.VISITS)
    difference = (visitation(mmdp, at.new)[:, None] * at.new * at.advantages.sum(axis=0)).sum()
    assert at.eta_new - at.eta_old == pytest.approx(difference, abs=1e-9)


def test_divergence_is_in_nats_and_infinite_where_mass_is_lost() -> None:
    p, q = np.array([[0.5, 0.5], [1.0, 0.0], [0.5, 0.5]]), np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    expected = [0.5 * math.log(2) + 0.5 * math.log(2 / 3), math.log(2), math.inf]
    assert divergence(p, q).tolist() == pytest.approx(expected)


# the bounds


def oracle(case: Instance, visits: np.ndarray) -> dict[str, float]:
    """The terms of Eqs. 4 to 9 as loops over states and joint actions."""
    mmdp, agents, states, actions = case.mmdp, *case.new.shape
    joints = list(enumerate(product(range(actions), repeat=agents)))
    advantages = evaluate(mmdp, joint(case.old)).advantages
    found = dict.fromkeys(("gain", "anticipated", "f", "squares"), 0.0)
    largest = [max(abs(advantages[i, s, a]) for s in range(states) for a, _ in joints) for i in range(agents)]
    for s, (a, acts), i in product(range(states), joints, range(agents)):
        new = math.prod(case.new[j, s, acts[j]] for j in range(agents))
        wish = math.prod((case.new[i] if i == j else case.anticipations[i, j])[s, acts[j]] for j in range(agents))
        found["gain"] += visits[s] * new * advantages[i, s, a]
        found["anticipated"] += visits[s] * wish * advantages[i, s, a]
        found["f"] += largest[i] * visits[s] ** 2 / 2
        found["squares"] += largest[i] * (wish - new) ** 2 / 2
    found["C"] = max(abs(advantages[:, s, a].sum()) for s in range(states) for a, _ in joints)
    found["C"] *= 4 * mmdp.discount / (1 - mmdp.discount) ** 2
    kl = [[sum(p * math.log(p / q) for p, q in zip(case.old[i, s], case.new[i, s], strict=True) if p)
           for s in range(states)] for i in range(agents)]  # fmt: skip
    found["joint_kl"] = max(sum(kl[i][s] for i in range(agents)) for s in range(states))
    found["own_kl"] = sum(max(kl[i]) for i in range(agents))
    return found


@pytest.mark.parametrize(
    "recipe", ["near, anticipations near", "random, anticipations random", "deterministic to random"]
)
@pytest.mark.parametrize("shape", [0, 4, 9])
def test_both_sides_are_those_of_loops_over_states_and_joint_actions(recipe: str, shape: int) -> None:
    case = drawn(recipe, shape)
    old, new = joint(case.old), joint(case.new)
    visits = visitation(case.mmdp, old)
    eta_old, eta_new = (float((evaluate(case.mmdp, policy).v @ case.mmdp.start).sum()) for policy in (old, new))
    for reading, factor in ((Reading.VISITS, 1.0), (Reading.DISTRIBUTION, 1 - case.mmdp.discount)):
        at, slow = terms(case, reading), oracle(case, factor * visits)
        first, second, third = bounds.theorem_1(at), bounds.theorem_2(at), bounds.theorem_3(at)
        assert first.larger == third.larger == pytest.approx(eta_new)
        assert first.smaller == pytest.approx(eta_old + slow["gain"] - slow["C"] * slow["joint_kl"])
        assert second.smaller == pytest.approx(slow["anticipated"] - slow["gain"])
        assert second.larger == pytest.approx(slow["f"] + slow["squares"])
        penalty = slow["C"] * slow["own_kl"] + slow["f"] + slow["squares"]
        assert third.smaller == pytest.approx(slow["anticipated"] + eta_old - penalty)
        assert third.allowance == pytest.approx(penalty)


def test_two_states_and_two_actions_by_hand() -> None:
    """Chooses its next state, the second of which pays 1: V = 1{s = 1} + 1/2, |A| = 1/4, visits 1 and 1."""
    case, kl = worked.drifting(stay=0.0, step=0.25), 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    at = terms(case, Reading.VISITS)
    assert at.visits.tolist() == pytest.approx([1.0, 1.0])
    assert at.advantages[0].tolist() == [pytest.approx([-0.25, -0.25, 0.25, 0.25])] * 2
    assert at.constant == pytest.approx(2.0)
    first, second, third = bounds.theorem_1(at), bounds.theorem_2(at), bounds.theorem_3(at)
    assert first == Sides(pytest.approx(1 - 0.25 - 2 * kl), pytest.approx(0.75), pytest.approx(2 * kl))
    assert second == Sides(0.0, pytest.approx(1.0), pytest.approx(1.0))  # f = 1/2 * 1/4 * 4 actions * (1 + 1)
    assert third == Sides(pytest.approx(0.75 - 2 * kl - 1.0), pytest.approx(0.75), pytest.approx(2 * kl + 1.0))
    started = bounds.theorem_1(terms(case, Reading.START))
    assert started == Sides(pytest.approx(0.75 - 2 * kl), pytest.approx(0.5), pytest.approx(2 * kl))


def test_equal_policies_leave_theorem_1_no_slack_and_theorems_2_and_3_exactly_f() -> None:
    at = terms(drawn("identical"), Reading.VISITS)
    assert bounds.theorem_1(at).slack == 0.0
    assert bounds.theorem_2(at).smaller == pytest.approx(0.0, abs=1e-12)
    assert bounds.theorem_2(at).larger == pytest.approx(at.offset)
    assert bounds.theorem_3(at).slack == pytest.approx(at.offset)
    assert at.offset > 0
    assert bounds.theorem_3_mended(at).slack == 0.0


def test_an_agents_own_new_policy_stands_in_its_anticipated_joint_policy() -> None:
    case = drawn("random, anticipations random")
    scrambled = case.anticipations.copy()
    agents = np.arange(len(case.new))
    scrambled[agents, agents] = 1 / case.new.shape[-1]
    for claim in CLAIMS:
        assert claim.at(replace(case, anticipations=scrambled)) == claim.at(case)


def test_where_mass_is_lost_theorems_1_and_3_claim_nothing() -> None:
    case = drawn("all deterministic")
    for claim in (named("theorem-1"), named("theorem-3")):
        sides = claim.at(case)
        assert (sides.smaller, sides.slack, sides.share, sides.violated) == (-math.inf, math.inf, None, False)
    assert named("eq-25").at(case).slack < math.inf


def test_rounding_is_no_violation_and_a_millionth_is() -> None:
    assert Sides(100.0 + 1e-9, 100.0, 1.0).slack == 0.0
    assert not Sides(100.0 + 1e-9, 100.0, 1.0).violated
    assert Sides(100.0 + 1e-6, 100.0, 1.0).violated
    assert Sides(1.5, 1.0, 0.25).share == pytest.approx(3.0)


@pytest.mark.parametrize("claim", SOUND, ids=lambda claim: claim.key)
def test_theorems_and_steps_hold_on_every_shape_and_recipe(claim: Bound) -> None:
    for index in range(UNSEARCHED):
        assert not claim.at(draw_case(7, index)).violated, f"case {index} of seed 7"


@pytest.mark.parametrize("made", worked.WORKED, ids=lambda made: made.claim)
def test_each_literal_reading_has_a_counterexample_by_hand_and_theorem_2_is_attained(made: worked.Worked) -> None:
    claim = named(made.claim)
    sides = claim.at(made.case)
    assert sides.violated is (claim.kind is BoundKind.LITERAL)
    if claim.kind is BoundKind.THEOREM:
        assert (sides.smaller, sides.larger) == pytest.approx((2.0, 2.0))


def test_what_violates_a_reading_violates_no_theorem() -> None:
    for made in worked.WORKED:
        if made.claim != "theorem-2":
            assert not [claim.key for claim in SOUND if claim.at(made.case).violated]


# the check has teeth


def test_theorem_2_with_a_constant_one_percent_smaller_is_caught() -> None:
    def smaller_f(at: bounds.Terms) -> Sides:
        sides = bounds.theorem_2(at)
        return replace(sides, larger=sides.larger - 0.01 * at.offset)

    assert with_sides(named("theorem-2"), smaller_f).at(worked.attained()).violated


def test_theorem_1_without_its_penalty_is_caught_on_random_cases() -> None:
    def unpenalized(at: bounds.Terms) -> Sides:
        return Sides(at.eta_old + at.gain, at.eta_new, 0.0)

    claim = with_sides(named("theorem-1"), unpenalized)
    found = [claim.at(drawn("random, anticipations true", shape)).violated for shape in range(len(SHAPES))]
    assert 3 <= sum(found) <= len(SHAPES) - 3


def test_searching_finds_violations_that_drawing_does_not() -> None:
    def a_quarter(at: bounds.Terms) -> Sides:
        sides = bounds.theorem_2(at)
        return Sides(sides.smaller, sides.larger / 4, sides.allowance / 4)

    claim, draws = with_sides(named("theorem-2"), a_quarter), generator(1, "search")
    start = drawn("near, anticipations near")
    assert not claim.at(start).violated
    found = search(start, claim, draws, 400)
    assert claim.at(found).violated
    assert not named("theorem-2").at(found).violated
    assert found.mmdp.transitions.sum(axis=-1) == pytest.approx(1.0)


# the study


def test_a_case_is_a_function_of_seed_and_index() -> None:
    for index in (0, 25, index_of("searched for Theorem 1", 1)):
        first, again, other = draw_case(1, index), draw_case(1, index), draw_case(2, index)
        assert np.array_equal(first.mmdp.transitions, again.mmdp.transitions)
        assert np.array_equal(first.new, again.new)
        assert not np.array_equal(first.mmdp.transitions, other.mmdp.transitions)


def test_recipes_are_as_far_as_they_say() -> None:
    assert np.array_equal(drawn("identical").old, drawn("identical").new)
    near, far = drawn("near, anticipations true"), drawn("random, anticipations true")
    assert 0 < np.abs(near.old - near.new).max() < np.abs(far.old - far.new).max()
    assert all(np.array_equal(wish, near.new) for wish in near.anticipations)
    sure = drawn("all deterministic")
    assert set(np.unique(sure.old)) == set(np.unique(sure.new)) == set(np.unique(sure.anticipations)) == {0.0, 1.0}
    assert {(shape_of(index), recipe_of(index)) for index in range(len(SHAPES) * len(RECIPES))} == set(
        product(SHAPES, RECIPES)
    )


@pytest.mark.long
def test_equal_seeds_write_equal_bytes_and_other_seeds_other_numbers(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        run(tmp_path, name, seed=seed)
    for file in ("theory.md", "theory.json"):
        one, again, other = ((tmp_path / name / file).read_bytes() for name in ("one", "again", "other"))
        assert one == again != other
    assert (tmp_path / "one" / "theory.png").read_bytes().startswith(b"\x89PNG")


def test_progress_counts_the_cases(tmp_path: Path) -> None:
    seen: list[int] = []
    run_theory(3, 1, tmp_path, seen.append)
    assert seen == [1, 2, 3]


def test_the_page_counts_what_the_findings_hold(tmp_path: Path) -> None:
    findings = run(tmp_path, "out")
    written = (tmp_path / "out" / "theory.md").read_text(encoding="utf-8")
    assert "None of the three theorems is violated" in written
    assert findings.violations == 0
    printed = named("eq-31-printed")
    found = tally(printed, findings.checked)
    assert found.violations == len(findings.violated(printed)) > 0
    assert f"| {printed.label} | literal | {printed.reading.value} | 40 | {found.violations} |" in written


def test_a_tally_leaves_equal_policies_out_of_the_smallest_slack() -> None:
    claim = named("theorem-1")
    cases = [check(index, draw_case(1, index), CLAIMS) for index in (0, 1, *(index_of("near, anticipations true", 1),))]
    found = tally(claim, cases)
    assert (found.instances, found.violations, found.median_slack) == (3, 0, 0.0)
    assert found.smallest_slack == cases[2].sides[claim.key].slack > 0
    assert tally(claim, cases[:2]).smallest_slack is None


def test_a_lower_bound_above_the_old_return_is_counted_as_a_promise_of_improvement() -> None:
    better, worse = (check(0, worked.drifting(stay=0.0, step=step), CLAIMS) for step in (-0.05, 0.05))
    assert tally(named("theorem-1"), [better]).promises == 1
    assert tally(named("theorem-1"), [better, worse, worse]).promises == 1
    assert tally(named("theorem-3"), [better]).promises == 0  # f is in its way
    assert tally(named("theorem-3-mended"), [better]).promises == 1


def test_each_panel_shows_the_finite_slacks_and_counts_the_rest(monkeypatch) -> None:
    panels = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: panels.extend(figure.axes))
    cases = [0, 1, *(index_of(recipe.name, 2) for recipe in RECIPES if recipe.searched is None)]
    checked = tuple(check(index, draw_case(1, index), CLAIMS) for index in cases)
    draw_slacks(TheoryFindings(1, CLAIMS, checked))
    assert [axes.get_title() for axes in panels] == [claim.label for claim in THEOREMS]
    for axes, claim in zip(panels, THEOREMS, strict=True):
        slacks = [each.sides[claim.key].slack for each in checked]
        shown = sum(0 < slack < math.inf for slack in slacks)
        assert max(patch.get_y() + patch.get_height() for patch in axes.patches) <= shown
        assert sum(patch.get_height() for patch in axes.patches) == shown
        assert f"slack 0: {slacks.count(0.0)}\nbound infinite: {slacks.count(math.inf)}" in axes.texts[0].get_text()


def test_the_page_names_the_command_that_makes_it() -> None:
    few = page(TheoryFindings(1, CLAIMS, tuple(check(index, draw_case(1, index), CLAIMS) for index in range(3))))
    assert "Made by `foretell study theory --instances 3`;" in few
    assert "and 1 recipe in turn" in few
    committed = (RESULTS / "theory.md").read_text(encoding="utf-8")
    whole = f"{INSTANCES} random multi-agent MDPs with private rewards, seed 1. Made by `foretell study theory`;"
    assert whole in committed


def test_a_violated_theorem_is_reported_with_tables_from_which_it_can_be_recomputed() -> None:
    def wrong(at: bounds.Terms) -> Sides:
        sides = bounds.theorem_2(at)
        return replace(sides, larger=sides.larger - 1.5 * at.offset)

    claims = tuple(with_sides(claim, wrong) if claim.key == "theorem-2" else claim for claim in CLAIMS)
    findings = TheoryFindings(1, claims, tuple(check(index, draw_case(1, index), claims) for index in range(40)))
    assert findings.violations > 0
    assert "**Violated: Theorem 2" in page(findings)
    found = json.loads(numbers(findings))["claims"]["theorem-2"]
    assert len(found["counterexamples"]) == len(found["violated_by"]) == findings.violations
    for shown in found["counterexamples"]:
        tables = {key: np.array(shown[key]) for key in ("old", "new", "anticipations")}
        mmdp = Mmdp(*(np.array(shown[key]) for key in ("transitions", "rewards", "start")), shown["discount"])
        again = wrong(terms(Instance(mmdp, **tables), Reading.VISITS))
        assert again == Sides(shown["sides"]["smaller"], shown["sides"]["larger"], shown["sides"]["allowance"])
        assert again.violated


def test_infinite_slack_is_null_in_the_numbers(tmp_path: Path) -> None:
    findings = run(tmp_path, "out", instances=index_of("all deterministic") + 1)
    found = json.loads(numbers(findings))
    assert found["claims"]["theorem-1"]["slack"][-1] is None
    assert found["claims"]["theorem-2"]["slack"][-1] > 0


# the committed results


def test_the_committed_study_has_a_thousand_instances_without_a_violation() -> None:
    found = json.loads((RESULTS / "theory.json").read_text(encoding="utf-8"))
    assert found["instances"] >= 1000
    for claim in SOUND:
        assert found["claims"][claim.key]["violated_by"] == []
    written = (RESULTS / "theory.md").read_text(encoding="utf-8")
    assert "None of the three theorems is violated" in written
    assert str(found["instances"]) in written


def test_the_committed_numbers_are_what_the_code_computes() -> None:
    found = json.loads((RESULTS / "theory.json").read_text(encoding="utf-8"))
    for index in range(40, UNSEARCHED, 17):
        for claim in THEOREMS:
            slack = claim.at(draw_case(found["seed"], index)).slack
            shown = found["claims"][claim.key]["slack"][index]
            assert (math.inf if shown is None else shown) == pytest.approx(slack, rel=1e-3)


def test_a_theory_of_the_users_own_is_not_written_over_and_one_of_ours_is(tmp_path):
    (tmp_path / "theory.md").write_text("mine")
    with pytest.raises(UserError, match=r"^expected a folder without theory\.md, or one of `foretell study theory`"):
        run_theory(1, 1, tmp_path, lambda _: None)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("theory.md", "mine")]
    (tmp_path / "theory.md").unlink()
    for _ in range(2):
        run_theory(1, 1, tmp_path, lambda _: None)


@pytest.mark.parametrize("size", [0, 100, 40_000])
def test_a_theory_that_finds_no_room_names_the_file_and_leaves_none_half_written(size, tmp_path):
    with files_of_at_most(size), pytest.raises(UserError, match=r"^cannot write .*theory\.(json|png): File too large$"):
        run_theory(1, 1, tmp_path, lambda _: None)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith("png") or path.stat().st_size in (0, size)]
