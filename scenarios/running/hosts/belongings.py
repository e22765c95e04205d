"""What the participants of a host need to have there beside Foretell: keys, the user's code, a policy to begin with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from broker.wire.messages import ENVIRONMENT
from env_service.own_module import PACKAGE
from scenarios.document.scenario import Scenario
from scenarios.running.hosts.bundle import CODE, KEYS, POLICY

_COMPILED = "__pycache__"


def belongings(
    scenario: Scenario, participants: tuple[str, ...], *, policy: Path | None, keys: Path | None
) -> dict[str, bytes]:
    """Content by path in the folder of a run on a host.

    Args:
        scenario: What runs.
        participants: Who lives there.
        policy: The folder of the policy to begin with, if the scenario names one; None for a host that has its own.
        keys: The folder of everybody's keys, if there are any.

    Raises:
        OSError: Something cannot be read.
    """
    found: dict[str, bytes] = {}
    file: Path | None = getattr(scenario.environment, "file", None)
    if file is not None and ENVIRONMENT in participants:
        found |= {f"{CODE}/{path}": content for path, content in _code(file)}
    if scenario.initial_policy is not None and policy is not None:
        found |= contents(policy, POLICY)
    if keys is not None:
        for name in participants:
            found |= contents(keys / name, f"{KEYS}/{name}")
    return found


def contents(folder: Path, there: str) -> dict[str, bytes]:
    """All files of a folder, by the path that they have below `there`; none where there is no such folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder.is_dir() else []
    return {f"{there}/{path.relative_to(folder)}": path.read_bytes() for path in files}


def told_there(document_json: str) -> str:
    """A slice, or a scenario, whose places are those of its host."""
    told = json.loads(document_json)
    for table, entry, folder in (("environment", "file", CODE), ("initial_policy", "path", POLICY)):
        if isinstance(told.get(table), dict) and told[table].get(entry):
            name = Path(told[table][entry]).name if folder == CODE else ""
            told[table][entry] = str(Path(folder) / name)
    return json.dumps(told)


def _code(file: Path) -> Iterator[tuple[str, bytes]]:
    """A module, or all of the package whose `__init__.py` the file is."""
    if file.name != PACKAGE:
        yield file.name, file.read_bytes()
        return
    for path in sorted(file.parent.rglob("*")):
        if path.is_file() and _COMPILED not in path.parts:
            yield str(path.relative_to(file.parent)), path.read_bytes()
