"""Figure 4: how heavily discrepancies are penalized (Appendix D)."""

from __future__ import annotations

from scenarios.running.batch.cell import Group
from scenarios.studies.claims import Claim, Comparison, Expectation
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import AS, Choice, Study, Variant
from scenarios.studies.tasks import PREDATION, conditions

_SMALL, _PAPER, _LARGE, _OURS = 0.03, 0.1, 0.3, 5.0
_ABOUT = """\
How sensitive is anticipation sharing to the weight rho of its penalties (Eq. 15)? The paper has 0.03, 0.1 and 0.3; we
add 5, with which large batches learn best."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    variants = tuple(
        Variant(f"rho{rho:g}", f"rho = {rho:g}", (("algorithm.anticipation_sharing.rho", str(rho)),))
        for rho in (_SMALL, _PAPER, _LARGE, _OURS)
    )
    return Study(
        name="fig4",
        title="Figure 4: anticipation sharing with different penalty weights",
        about=_ABOUT,
        conditions=conditions(choice, PREDATION, variants, only=(AS,)),
        claims=_claims(),
        arrangement="overlay",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
    )


def _claims() -> tuple[Claim, ...]:
    def pair(task: str, rho: float, other: float, expected: Expectation) -> Comparison:
        return Comparison(Group(task, f"rho{rho:g}", AS), Group(task, f"rho{other:g}", AS), expected)

    keys = [task.key for task in PREDATION]
    robust = tuple(pair(key, rho, _PAPER, Expectation.NEAR) for key in keys for rho in (_SMALL, _LARGE))
    decline = tuple(pair(key, _PAPER, _SMALL, Expectation.ABOVE) for key in keys)
    minor = tuple(pair(key, _SMALL, _PAPER, Expectation.NOT_BELOW) for key in keys)
    source = "Appendix D, Fig. 4"
    return (
        Claim("AS is robust to the penalty weight, for all numbers of agents", source, robust),
        Claim("With the small weight performance declines", source, decline),
        Claim("That decline is minor", source, minor),
    )
