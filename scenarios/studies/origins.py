"""Which settings are the paper's and which are ours. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scenarios.document.scenario import Scenario

_COMMON = {
    "learning.rounds": 3,
    "learning.gamma": 0.99,
    "learning.gae_lambda": 0.98,
    "learning.clip": 0.2,
    "learning.critic_learning_rate": 1e-4,
    "learning.hidden": [128, 64],
    "parallel_episodes": 1,
}
_DISCRETE = {
    "learning.actor_learning_rate": 5e-5,
    "environment.agents": 3,
    "algorithm.anticipation_sharing.rho": 1e4,
    "topology.distance": 1.5,
}
_OF_KIND = {
    "exchange": _DISCRETE,
    "navigation": _DISCRETE,
    "predation": {
        "learning.actor_learning_rate": 1e-4,
        "algorithm.anticipation_sharing.rho": 0.1,
        "topology.distance": 3.0,
    },
}
_FREE = {"predation": {"environment.agents": (6, 8, 12, 20)}}
_NOT_GIVEN = (
    "episodes",
    "environment.grid",
    "environment.steps",
    "environment.engagement",
    "topology.kind",
    "topology.degree",
    "exchange.mode",
    "exchange.skip_probability",
    "learning.ratio_reference",
    "learning.normalize_advantages",
)


@dataclass(frozen=True)
class Setting:
    """One setting of a document and where it is from.

    Attributes:
        path: Dotted.
        value: As text.
        origin: "paper", "ours", or "ours (paper: VALUE)".
    """

    path: str
    value: str
    origin: str


def settings(scenario: Scenario) -> Iterator[Setting]:
    """What a reader wants to know of a document, in its own order; what does not apply is left out."""
    document = scenario.model_dump(mode="json")
    kind = scenario.environment.kind
    given: dict[str, object] = {**_COMMON, **_OF_KIND.get(kind, {})}
    free = _FREE.get(kind, {})
    for path in sorted({*given, *free, *_NOT_GIVEN}):
        found = _at(document, path)
        if found is None:
            continue
        if path in free:
            origin = "paper" if found in free[path] else "ours"
        elif path == "topology.kind":
            origin = _topology_origin(scenario)
        elif path in ("exchange.mode", "exchange.skip_probability"):
            origin = "paper" if found in ("all", "random-partner", 0.0, 0.5) else "ours"
        elif path not in given:
            origin = "ours"
        else:
            origin = "paper" if found == given[path] else f"ours (paper: {_text(given[path])})"
        yield Setting(path, _text(found), origin)


def _topology_origin(scenario: Scenario) -> str:
    if scenario.topology.kind == "proximity":
        return "paper"
    if scenario.topology.kind == "complete" and scenario.exchange.mode == "random-partner":
        return "paper"
    return "ours (paper: proximity)"


def _at(document: object, path: str) -> object:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
