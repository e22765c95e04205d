"""The evaluations of a training: of every policy that it kept on its way, and of the best of them once more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from broker.counting import counted
from broker.errors import UserError
from broker.seeding import derive
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import EvaluationConfig
from scenarios.play.evaluate import EvaluationWish, evaluation_of, scenario_of
from scenarios.results.evaluation import Evaluation, forget_policies, place_of_best, read_evaluations, waiting
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import Interrupted, run
from scenarios.running.ways import WayName, way_called

_TIMES_AS_MANY = 10
"""Episodes that the best policy is judged by, as marl-eval's absolute metric is."""


def evaluate_training(
    plan: Plan, folder: RunFolder, way: WayName, interrupted: Interrupted, tell: Callable[[str], None]
) -> None:
    """Evaluate what a training has kept and not evaluated yet; nothing where its scenario does not ask for it.

    Args:
        plan: What was trained.
        folder: Of the run.
        way: On what it ran, and its evaluations do.
        interrupted: Whether a user wants the end: then the rest is left for `foretell resume`.
        tell: Shows what each is worth.

    Raises:
        ForetellError: An evaluation could not run to its end.
    """
    config = plan.scenario.evaluation
    if config is None:
        return
    for place in waiting(folder):
        if place.with_suffix(".json").exists():
            continue
        found = _evaluated(EvaluationWish(place, config.episodes, greedy=config.greedy), way, interrupted)
        if found is None:
            return
        found.write(place.with_suffix(".json"))
        tell(f"evaluated after {counted(found.learned_from, 'episode')}: team return {found.team.mean:.2f}")
    _choose(folder, config, way, interrupted)


def best_of(evaluations: tuple[Evaluation, ...]) -> Evaluation:
    """The one whose team earned most; the first of equal ones."""
    return max(evaluations, key=lambda each: each.team.mean)


def _choose(folder: RunFolder, config: EvaluationConfig, way: WayName, interrupted: Interrupted) -> None:
    """Keep the best policy, judge it by episodes that took no part in the choice, and forget the others."""
    found = read_evaluations(folder)
    if not found.on_the_way:
        return
    best = best_of(found.on_the_way)
    if found.best is None or found.best.policy_digest != best.policy_digest:
        _put(folder.evaluations / Path(best.policy).name, folder.best_policy)
        episodes, seed = _TIMES_AS_MANY * config.episodes, derive(best.seed, "best") >> 1
        wish = EvaluationWish(folder.best_policy, episodes, greedy=config.greedy, seed=seed)
        judged = _evaluated(wish, way, interrupted)
        if judged is None:
            return
        judged.write(place_of_best(folder))
    forget_policies(folder)


def _put(policy: Path, best: Path) -> None:
    """Put a policy in the place of the best one there was."""
    beside = best.with_suffix(".new")
    try:
        shutil.copytree(policy, beside, dirs_exist_ok=True)
        shutil.rmtree(best, ignore_errors=True)
        beside.rename(best)
    except OSError as error:
        msg = f"cannot keep the best policy in {best}: {error.strerror}"
        raise UserError(msg) from None


def _evaluated(wish: EvaluationWish, way: WayName, interrupted: Interrupted) -> Evaluation | None:
    """An evaluation without a trace; None where a user wanted the end."""
    plan = make_plan(scenario_of(wish))
    with temporary_folder() as place:
        folder = make_run_folder(place / "evaluation", plan.scenario.name, plan.scenario.seed)
        observer = Observer(plan, folder, way, lambda _: None)
        try:
            run(plan, folder, observer, way_called(way), interrupted)
        finally:
            summary = observer.finish()
        if not summary.complete:
            return None
        return evaluation_of(plan, folder, summary)
