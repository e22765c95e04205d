"""Algorithms by name: those that come with Foretell, and those that installed packages add.

A package adds one by an entry point of the group `foretell.algorithms` that leads to a subclass of
`agent_node.learning.algorithm.Algorithm`; see docs/algorithms.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from agent_node.learning.algorithm import Algorithm, Modeled
from agent_node.learning.estimators import Estimator, Sees, Taught
from broker.config import Model
from broker.counting import meant
from broker.errors import ScenarioError

GROUP = "foretell.algorithms"
BUILT_IN = {
    name: f"agent_node.algorithms.{name.replace('-', '_')}:{class_name}"
    for name, class_name in (
        ("anticipation-sharing", "AnticipationSharing"),
        ("dna-marl", "DnaMarl"),
        ("independent", "Independent"),
        ("networked-actor-critic", "NetworkedActorCritic"),
        ("policy-sharing", "PolicySharing"),
        ("reward-sharing", "RewardSharing"),
        ("value-parameter-sharing", "ValueParameterSharing"),
        ("value-sharing", "ValueSharing"),
    )
}
"""Where the algorithms of our own are; each is imported only by those who need it."""

_PATH = "algorithm.name"


def _is_text(found: object) -> bool:
    return isinstance(found, str)


def _is_flag(found: object) -> bool:
    return isinstance(found, bool)


def _are_estimators(found: object) -> bool:
    return isinstance(found, tuple) and all(isinstance(each, Estimator) and _is_text(each.name) for each in found)


def _is_model(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Model)


_FORMS: tuple[tuple[str, str, Callable[[object], bool]], ...] = (
    ("name", "a text", _is_text),
    ("shares_parameters", "True or False", _is_flag),
    ("critic_waits", "True or False", _is_flag),
    ("tells", "a text", _is_text),
    ("estimators", "a tuple of Estimator, each with a text as its name,", _are_estimators),
    ("settings_model", "a subclass of broker.config.Model", _is_model),
)
"""What an algorithm says of itself, and what that has to be."""


def load_algorithm(name: str) -> type[Algorithm]:
    """The algorithm that a scenario calls `name`; our own go before those of other packages.

    Raises:
        ScenarioError: There is none, or it cannot be used; says which there are, or why.
    """
    loaded = EntryPoint(name, BUILT_IN[name], GROUP).load() if name in BUILT_IN else _load_installed(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Algorithm)):
        raise ScenarioError(_PATH, f"expected {name!r} to lead to a subclass of Algorithm, found {loaded!r:.80}")
    _require_forms(name, loaded)
    _require_choices(name, loaded)
    return loaded


def _require_forms(name: str, algorithm: type[Algorithm]) -> None:
    """Refuse what nobody could make sense of later, far from where it was said."""
    for attribute, expected, fits in _FORMS:
        found = getattr(algorithm, attribute, None)
        if not fits(found):
            raise ScenarioError(_PATH, f"expected {expected} as `{attribute}` of {name!r}, found {found!r:.80}")


def _require_choices(name: str, algorithm: type[Algorithm]) -> None:
    """Refuse names and choices that would be taken for others."""
    chosen: list[tuple[str, str, str, tuple[str, ...]]]
    chosen = [(f"models of {name!r}", "", algorithm.models, get_args(Modeled))]
    for each in algorithm.estimators:
        whose = f"what the estimator {each.name!r} of {name!r}"
        chosen += [(whose, " sees", each.sees, get_args(Sees)), (whose, " learns", each.learns, get_args(Taught))]
    for whose, does, found, allowed in chosen:
        if found not in allowed:
            raise ScenarioError(_PATH, f"expected one of {', '.join(allowed)} as {whose}{does}, found {found!r:.80}")
    for estimator, times in Counter(each.name for each in algorithm.estimators).items():
        if times > 1:
            problem = f"two estimators of {name!r} are called {estimator!r}: expected a name of its own for each"
            raise ScenarioError(_PATH, problem)


def _load_installed(name: str) -> object:
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in installed:
        known = (*BUILT_IN, *sorted(installed))
        close = meant(name, {each: each for each in known})
        hint = f". Did you mean {close}?" if close else ""
        raise ScenarioError(_PATH, f"expected one of {', '.join(known)}, found {name!r}{hint}")
    try:
        return installed[name].load()
    except Exception as error:
        raise ScenarioError(_PATH, f"{name!r} cannot be loaded from {installed[name].value}: {error!r:.200}") from error
