"""Inaccurate: anticipations that say something else than the agent would like (ours)."""

from __future__ import annotations

from scenarios.running.batch.cell import Settings
from scenarios.studies.pages.faults import fault_claims, fault_conditions, quiet_of, strengths
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import ALONE, AS, AS_CALIBRATED, Choice, Note, Study

_NOISES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
_ABOUT = """\
Does cooperation need anticipations that are accurate? What an agent shares as its anticipation is mixed with a random
distribution, drawn anew for every sample; at 1 nothing of the anticipation is left. Own policies are shared as is."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    variants = strengths("noise", _NOISES, _settings)
    return Study(
        name="inaccurate",
        title="Inaccurate anticipations: final return against their noise",
        about=_ABOUT,
        conditions=fault_conditions(choice, variants, only=(AS, AS_CALIBRATED, ALONE)),
        claims=fault_claims(variants, 0.25, 1.0, "noise", (AS, AS_CALIBRATED)),
        arrangement="strength",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        strength_label="part of the shared anticipation that is random",
        notes=(Note("Learning alone shares nothing: it ran once, and is drawn as a level line.", (ALONE,)),),
        quiet=quiet_of(variants).key,
    )


def _settings(noise: float) -> Settings:
    return (("algorithm.anticipation_sharing.anticipation_noise", str(noise)),)
