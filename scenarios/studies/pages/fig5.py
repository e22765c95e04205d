"""Figure 5: twenty agents, one random partner a round, or half of the rounds skipped (Appendix D)."""

from __future__ import annotations

from scenarios.running.batch.cell import Group
from scenarios.studies.claims import Claim, Comparison, Expectation
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import ALONE, AS, PS, VPS, VS, Choice, Note, Study
from scenarios.studies.tasks import RANDOM_PARTNER, RANDOM_SKIP, conditions, full_notes

_TASKS = (RANDOM_PARTNER, RANDOM_SKIP)
_ABOUT = """\
Does anticipation sharing still work with 20 agents when communication is sparse? Either each agent exchanges with one
random partner a round, or half of all rounds are skipped; on a skipped round every algorithm updates independently."""

_QUICK = """\
The quick scenarios have T = 10, and agents in a ring with four neighbors each (k-regular, degree 4): the random \
partner is one of these four, not one of all nineteen others."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    return Study(
        name="fig5",
        title="Figure 5: Predation with 20 agents and little communication",
        about=_ABOUT,
        conditions=conditions(choice, _TASKS, only=choice.compared),
        claims=_claims(),
        arrangement="finals",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        notes=(Note(_QUICK),) if choice.quick else full_notes(choice),
    )


def _claims() -> tuple[Claim, ...]:
    def of(task: str, algorithm: str) -> Group:
        return Group(task, "", algorithm)

    keys = [task.key for task in _TASKS]
    learns = tuple(Comparison(of(key, AS), of(key, AS), from_start=True) for key in keys)
    beats = tuple(Comparison(of(key, AS), of(key, other)) for key in keys for other in (VS, VPS))
    stuck = tuple(Comparison(of(key, PS), of(key, PS), Expectation.NOT_ABOVE, from_start=True) for key in keys)
    alone = tuple(Comparison(of(key, AS), of(key, ALONE)) for key in keys)
    return (
        Claim("AS is effective: it learns under both kinds of sparse communication", "Appendix D, Fig. 5", learns),
        Claim("VS and VPS fall into suboptimal results: AS ends above them", "Appendix D, Fig. 5", beats),
        Claim("PS cannot learn within the same number of training episodes", "Appendix D, Fig. 5", stuck),
        Claim("AS ends above learning alone", "ours", alone),
    )
