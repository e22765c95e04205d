"""TOML blocks of pages: read as what they are, by the code that reads a user's."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from scenarios.document.loading import load_scenario, parse_scenario
from scenarios.document.planning import make_plan
from scenarios.running.fleet import parse_fleet
from scenarios.sweeps.reading import sweep_of

_WHOLE: dict[str, Any] = {
    "name": "of-a-page",
    "seed": 1,
    "episodes": 500,
    "parallel_episodes": 2,
    "environment": {"kind": "exchange", "agents": 4},
    "topology": {"kind": "complete"},
}
"""What a block that shows a part of a scenario is put into."""
_EVERYBODY = ("environment", "agent-0", "agent-1", "agent-2")
"""Of `exchange-quick`, the scenario of all pages about hosts."""


def load_block(text: str, file: Path | None) -> None:
    """Read it as what it is: a project, a fleet, a sweep, or a scenario, whole or a part of one.

    Args:
        text: The block.
        file: Where it lies, if the page says so; it is whole then.
    """
    tables = tomllib.loads(text)
    if "project" in tables:
        assert file is not None, "say what file it is in its first line: # pyproject.toml"
    elif "scenarios" in tables:
        assert sweep_of(file or Path("of-a-page.toml"), text).cells
    elif all(isinstance(each, dict) and {"participants", "dial"} & set(each) for each in tables.values()):
        parse_fleet(text).homes(_EVERYBODY)
    elif file is not None or "name" in tables:
        make_plan(load_scenario(str(file)) if file is not None else parse_scenario(text, {}))
    else:
        merged = _merged(_WHOLE, tables)
        parse_scenario(tomli_w.dumps(merged), {})


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    return below | above
