"""Figure 4: how heavily discrepancies are penalized (Appendix D), and what others' interests weigh (ours)."""

from __future__ import annotations

from collections.abc import Iterable

from scenarios.running.batch.cell import Group
from scenarios.studies.claims import Claim, Comparison, Expectation, MapComparison
from scenarios.studies.sizes import FULL_SEEDS, MAP_SEEDS
from scenarios.studies.study import AS, Choice, Note, Study, StudyTask, Variant
from scenarios.studies.tasks import EXCHANGE, NAVIGATION, PREDATION, PREDATION_6, conditions

_SMALL, _PAPER, _LARGE = 0.03, 0.1, 0.3
_RHOS = (0.3, 1.0, 3.0, 10.0)
_RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
_TIED = (_SMALL, _PAPER, *_RHOS)
_MAPPED = (EXCHANGE, NAVIGATION, PREDATION_6)
_OF_AS = "algorithm.anticipation_sharing"
_ABOUT = """\
How sensitive is anticipation sharing to the weights of its two penalties (Eq. 15)? The paper ties them and has 0.03,
0.1 and 0.3; we add larger ones, and maps over rho and rho' / rho, which is what others' interests weigh. In a map the
paper's choice is the row at 1."""
_ROW = """\
Predation with 8 and 12 agents, and the paper's two smaller weights, have that row alone: an empty cell did not run."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    tied = tuple(_variant(rho, 1.0) for rho in _TIED)
    every = tuple(_variant(rho, ratio) for ratio in _RATIOS for rho in _RHOS if ratio != 1)
    return Study(
        name="fig4",
        title="Figure 4: anticipation sharing with different penalty weights",
        about=_ABOUT,
        conditions=tuple(
            each
            for task in (*_MAPPED, *PREDATION[1:])
            for each in conditions(choice, (task,), _of(task, tied, every), only=(AS,))
        ),
        claims=_claims(),
        arrangement="map",
        seeds=choice.first_seeds(MAP_SEEDS, FULL_SEEDS),
        map_labels=("rho", "rho' / rho"),
        notes=(Note(_ROW, tuple(task.key for task in PREDATION)),),
    )


def _of(task: StudyTask, tied: tuple[Variant, ...], every: Iterable[Variant]) -> tuple[Variant, ...]:
    """What runs on a task: in Predation the paper's weights, in three tasks the whole map."""
    mine = tied if task in PREDATION else tuple(each for each in tied if each.place and each.place[0] in _RHOS)
    return (*mine, *every) if task in _MAPPED else mine


def _variant(rho: float, ratio: float) -> Variant:
    settings = ((f"{_OF_AS}.rho", str(rho)),)
    if ratio == 1:
        return Variant(_key(rho, ratio), f"rho = {rho:g}", settings, place=(rho, ratio))
    own = (f"{_OF_AS}.rho_own", f"{rho * ratio:g}")
    return Variant(_key(rho, ratio), f"rho = {rho:g}, rho' = {ratio:g} rho", (*settings, own), place=(rho, ratio))


def _key(rho: float, ratio: float) -> str:
    return f"rho{rho:g}" if ratio == 1 else f"rho{rho:g}-ratio{ratio:g}"


def _claims() -> tuple[Claim, ...]:
    def pair(task: str, rho: float, other: float, expected: Expectation) -> Comparison:
        return Comparison(Group(task, _key(rho, 1), AS), Group(task, _key(other, 1), AS), expected)

    keys = [task.key for task in PREDATION]
    robust = tuple(pair(key, rho, _PAPER, Expectation.NEAR) for key in keys for rho in (_SMALL, _LARGE))
    decline = tuple(pair(key, _PAPER, _SMALL, Expectation.ABOVE) for key in keys)
    minor = tuple(pair(key, _SMALL, _PAPER, Expectation.NOT_BELOW) for key in keys)
    ratio = tuple(_map(task) for task in _MAPPED)
    source = "Appendix D, Fig. 4"
    return (
        Claim("AS is robust to the penalty weight, for all numbers of agents", source, robust),
        Claim("With the small weight performance declines", source, decline),
        Claim("That decline is minor", source, minor),
        Claim("rho' / rho matters more than rho, though rho varies more (33 times, the ratio 16 times)", "ours", ratio),
    )


def _map(task: StudyTask) -> MapComparison:
    """A row for each rho, along which the ratio varies."""
    rows = tuple(tuple(Group(task.key, _key(rho, ratio), AS) for ratio in _RATIOS) for rho in _RHOS)
    return MapComparison(rows, "rho' / rho", "rho")
