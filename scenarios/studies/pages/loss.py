"""Loss: shares that never arrive (ours)."""

from __future__ import annotations

from scenarios.running.batch.cell import Settings
from scenarios.studies.pages.faults import NOTES, fault_claims, fault_conditions, quiet_of, strengths
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import AS, AS_CALIBRATED, NAC, PS, VPS, VS, Choice, Study

_PROBABILITIES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
_ABOUT = """\
What is left of each algorithm when shares are lost, each independently of the others, with growing probability? A lost
share is a skipped edge, for that edge and round alone."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    variants = strengths("loss", _PROBABILITIES, _settings)
    return Study(
        name="loss",
        title="Loss: final return against the probability that a share is lost",
        about=_ABOUT,
        conditions=fault_conditions(choice, variants),
        claims=fault_claims(variants, 0.3, 0.9, "loss probability", (AS, AS_CALIBRATED, VS, VPS, PS, NAC)),
        arrangement="strength",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        strength_label="probability that a share is lost",
        notes=NOTES,
        quiet=quiet_of(variants).key,
    )


def _settings(probability: float) -> Settings:
    return (("faults", f'[{{kind = "drop", probability = {probability:g}}}]'),) if probability else ()
