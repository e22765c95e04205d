"""Finds the file of an environment that somebody brought, so that the document says where it is and what was in it.

The path is absolute and the digest stands beside it: a run is resumed from any folder, and goes on with the environment
that it was begun with or not at all.
"""

from __future__ import annotations

from pathlib import Path

from broker.errors import ScenarioError
from env_service.config import PettingZooConfig
from env_service.own_module import PACKAGE, digest_of, file_beside
from scenarios.document.scenario import Scenario


def with_environment_file(scenario: Scenario, folder: Path | None) -> Scenario:
    """The scenario with the file of its environment, if that is one.

    Args:
        scenario: The document.
        folder: Of its file; None for one of the catalogue, beside which nothing is looked for.

    Raises:
        ScenarioError: The file cannot be read.
    """
    config = scenario.environment
    if not isinstance(config, PettingZooConfig):
        return scenario
    try:
        found = _file(config, folder)
        if found is None:
            return scenario
        digest = config.digest or digest_of(found)
    except RuntimeError as error:  # there is no such user
        raise ScenarioError("environment.file", f"cannot read {config.file}: {error}") from None
    except OSError as error:
        raise ScenarioError("environment.file", f"cannot read {error.filename}: {error.strerror}") from None
    return scenario.model_copy(
        update={"environment": config.model_copy(update={"file": found, "digest": digest})},
    )


def _file(config: PettingZooConfig, folder: Path | None) -> Path | None:
    if config.file is None:
        return None if folder is None else file_beside(folder.absolute(), config.env)
    found = ((folder or Path()) / config.file.expanduser()).absolute()
    return found / PACKAGE if found.is_dir() else found
