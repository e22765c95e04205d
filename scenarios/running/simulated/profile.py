"""Faults from a file of their own, put into a scenario: how long agents compute, as `foretell doctor` measures it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from pydantic import ValidationError

from broker.errors import ScenarioError, UserError
from broker.text_files import read_text
from scenarios.document.scenario import Scenario
from scenarios.document.text.explained import explained
from scenarios.document.text.toml_text import parse_toml
from scenarios.document.text.unusable import refuse_unusable

_MOST_BYTES = 1 << 20


def with_profile(scenario: Scenario, path: Path) -> Scenario:
    """The scenario with the faults of a profile behind its own.

    Raises:
        UserError: The file cannot be read, or holds something else.
        ScenarioError: One of its faults makes no sense; names the place.
    """
    try:
        profile = parse_toml(read_text(path, _MOST_BYTES))
    except OSError as error:
        msg = f"cannot read the profile {path}: {error.strerror or error}"
        raise UserError(msg) from None
    except tomllib.TOMLDecodeError as error:
        msg = f"{path}: expected TOML: {error}"
        raise UserError(msg) from None
    faults = profile.pop("faults", None)
    if profile or not isinstance(faults, list):
        msg = f"{path}: expected [[faults]] and nothing else, as `foretell doctor --profile` writes them"
        raise UserError(msg)
    own = scenario.model_dump(mode="json")
    try:
        refuse_unusable(faults, "faults")
        whole = json.dumps(own | {"faults": [*own["faults"], *faults]})
        return Scenario.model_validate_json(whole, strict=True)
    except ValidationError as error:
        found = explained(error, Scenario)
    except ScenarioError as error:
        found = error
    raise ScenarioError(found.path, f"{found.problem} ({path})")
