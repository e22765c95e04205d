"""Latency: shares that arrive late (ours)."""

from __future__ import annotations

from scenarios.running.batch.cell import Settings
from scenarios.studies.pages.faults import NOTES, fault_claims, fault_conditions, quiet_of, strengths
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import AS, AS_CALIBRATED, NAC, PS, VPS, VS, Choice, Note, Study

_PATIENCE_S = 2.0
_MEANS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
_ABOUT = """\
What is left of each algorithm when shares are delayed, each by an exponential time of its own, with a growing mean? A
share that comes after its round has closed is late and is not learned from. Round k of an episode closes at the latest
k times the patience after the episode's end."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    variants = strengths("delay", _MEANS, _settings)
    return Study(
        name="latency",
        title="Latency: final return against the mean delay of shares",
        about=_ABOUT,
        conditions=fault_conditions(choice, variants),
        claims=fault_claims(variants, 0.25, 2.0, "mean delay over patience", (AS, AS_CALIBRATED, VS, VPS, PS, NAC)),
        arrangement="strength",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        strength_label="mean delay / patience",
        notes=(*NOTES, Note(f"The patience is {_PATIENCE_S:g} s of virtual time.")),
        quiet=quiet_of(variants).key,
    )


def _settings(mean: float) -> Settings:
    patience = ("exchange.patience_s", str(_PATIENCE_S))
    if not mean:
        return (patience,)
    delay = f'{{distribution = "exponential", mean_s = {mean * _PATIENCE_S:g}}}'
    return (patience, ("faults", f'[{{kind = "delay", delay_s = {delay}}}]'))
