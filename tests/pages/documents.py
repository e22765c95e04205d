"""TOML blocks of pages: read as what they are, by the code that reads a user's."""

from __future__ import annotations

import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w
from packages import install

from scenarios.document.loading import load_scenario, parse_scenario
from scenarios.document.planning import make_plan
from scenarios.running.fleet import parse_fleet
from scenarios.sweeps.reading import read_sweep

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


def load_block(text: str, file: Path | None, before: str) -> None:
    """Read it as what it is: a fleet, a sweep, a project with an algorithm, or a scenario, whole or a part of one.

    Args:
        text: The block.
        file: Where it lies, if the page says so; it is whole then.
        before: The Python block before it, which a project holds.
    """
    tables = tomllib.loads(text)
    if "project" in tables:
        entries = tables["project"]["entry-points"]["foretell.algorithms"]
        (module,) = {place.split(":")[0] for place in entries.values()}
        install(Path(sys.path[0]), before, entries, module)
        assert {each.name for each in metadata.entry_points(group="foretell.algorithms")} >= set(entries)
    elif "scenarios" in tables:
        assert file is not None, "say what file it is in its first line: # my-sweep.toml"
        assert read_sweep(file).cells
    elif all(isinstance(each, dict) and {"participants", "dial"} & set(each) for each in tables.values()):
        parse_fleet(text).homes(_EVERYBODY)
    elif file is not None or "name" in tables:
        make_plan(load_scenario(str(file)) if file is not None else parse_scenario(text, {}))
    else:
        merged = _merged(_WHOLE, tables)
        parse_scenario(tomli_w.dumps(merged), {})


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    return below | above
