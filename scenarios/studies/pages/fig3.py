"""Figure 3: how far agents hear (Appendix D)."""

from __future__ import annotations

from scenarios.running.batch.cell import Group
from scenarios.studies.claims import Claim, Comparison, Expectation
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import PS, VPS, VS, Choice, Note, Study, StudyTask, Variant
from scenarios.studies.tasks import EXCHANGE, NAVIGATION, PREDATION_6, against_baselines, conditions

_LINE_LENGTH = 30
_ABOUT = """\
How does the range within which agents are neighbors change what they learn? The paper varies it by half and by three
times either way of its other experiments, in all tasks; we take Predation with 6 agents."""


def _variants(distances: dict[str, float]) -> tuple[Variant, ...]:
    return tuple(
        Variant(key, f"{key} range", (("topology", f'{{kind = "proximity", distance = {distance:g}}}'),))
        for key, distance in distances.items()
    )


_ON_GRID = _variants({"short": 1.0, "paper": 1.5, "long": 2.0})
_ON_LINE = _variants({"short": 0.03 * _LINE_LENGTH, "paper": 0.1 * _LINE_LENGTH, "long": 0.3 * _LINE_LENGTH})
_OF: dict[StudyTask, tuple[Variant, ...]] = {EXCHANGE: _ON_GRID, NAVIGATION: _ON_GRID, PREDATION_6: _ON_LINE}
_NOTE = """\
Short, paper and long range are 1, 1.5 and 2 cells in Exchange and Navigation, and 0.03, 0.1 and 0.3 of the line (0.9, 3
and 9 units) in Predation."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    return Study(
        name="fig3",
        title="Figure 3: training curves with different neighborhood ranges",
        about=_ABOUT,
        conditions=tuple(each for task, ways in _OF.items() for each in conditions(choice, (task,), ways)),
        claims=_claims(),
        arrangement="grid",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        notes=(Note(_NOTE),),
    )


def _claims() -> tuple[Claim, ...]:
    good = tuple(
        comparison
        for task, ways in _OF.items()
        for way in ways
        for comparison in against_baselines(task, way, Expectation.NOT_BELOW)
    )

    def change(task: StudyTask, algorithm: str, one: str, other: str, expected: Expectation) -> Comparison:
        return Comparison(Group(task.key, one, algorithm), Group(task.key, other, algorithm), expected)

    vps = (change(PREDATION_6, VPS, "paper", "short", Expectation.ABOVE),)
    vs = (change(PREDATION_6, VS, "paper", "short", Expectation.ABOVE),)
    ps = tuple(change(task, PS, "long", "paper", Expectation.NOT_ABOVE) for task in _OF)
    source = "Appendix D, Fig. 3"
    return (
        Claim("AS performs well compared with the baselines at every range", source, good),
        Claim("VPS degrades notably when the range decreases in Pred.", source, vps),
        Claim("VS also degrades with a reduced range", source, vs),
        Claim("PS does not improve with an increased range", source, ps),
    )
