"""The document of a run, in its folder: written whole, and read no other than the one the run was begun with.

The one change of it that is allowed is a larger number of episodes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from agent_node.policy_files import place_of_policy
from broker.errors import UserError
from broker.files import sync, write_whole
from broker.text_files import read_text
from scenarios.document.loading import MOST_BYTES, parse_scenario, with_initial_policy
from scenarios.document.scenario import Scenario
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.results.same_run import require_document, require_same_run


def write_document(folder: RunFolder, scenario: Scenario) -> None:
    """Put a run's resolved document into its folder, in the place of the one that was there.

    Raises:
        UserError: It cannot be written; what was there before is there still.
    """
    try:
        kept = _with_policy_kept(folder, scenario)
        write_whole(folder.scenario, kept.to_toml().encode())
        sync(folder.root)
    except OSError as error:
        msg = f"cannot write the run's document {folder.scenario}: {error.strerror}"
        raise UserError(msg) from None


def with_kept_policy(folder: RunFolder, scenario: Scenario) -> Scenario:
    """The document with the run's own copy of the policy that agents begin with, which nobody else changes.

    Args:
        folder: Of the run, whose document is written.
        scenario: Its document.
    """
    return _begun_with(folder.initial_policy.absolute(), scenario)


def _with_policy_kept(folder: RunFolder, scenario: Scenario) -> Scenario:
    """The document with the policy that agents begin with beside it: where that came from, another one may be soon.

    Raises:
        OSError: It cannot be copied.
    """
    if scenario.initial_policy is None:
        return scenario
    if not folder.initial_policy.exists():
        copied = folder.initial_policy.with_suffix(".new")
        shutil.copytree(place_of_policy(scenario.initial_policy.path), copied, dirs_exist_ok=True)
        copied.rename(folder.initial_policy)
    return _begun_with(Path(folder.initial_policy.name), scenario)


def _begun_with(place: Path, scenario: Scenario) -> Scenario:
    """The document with another place of the policy that agents begin with, if they do."""
    if scenario.initial_policy is None:
        return scenario
    return scenario.model_copy(
        update={"initial_policy": scenario.initial_policy.model_copy(update={"path": place})},
    )


def begun_before(folder: RunFolder, scenario: Scenario, substrate: str) -> bool:
    """Whether the run in a folder has begun, with a document that is to go on there; nothing is changed.

    Raises:
        UserError: It was begun with another document, on another substrate or by another arithmetic.
    """
    with read_store(folder.store) as store:
        begun = store.begun()
    require_same_run(folder.root, begun, scenario, substrate)
    return begun is not None


def let_go_on(folder: RunFolder, scenario: Scenario) -> None:
    """Let a run go on: its document may ask for more episodes, and the summary it had is not that it will have.

    The document first, which may find no room: a run that is killed or fails in between is complete still, and goes on
    to more. Only then may its store be changed.

    Raises:
        UserError: Its folder cannot be written.
    """
    with read_store(folder.store) as store:
        begun = store.begun()
    if begun is not None and begun.episodes < scenario.episodes:
        write_document(folder, scenario)
    try:
        folder.summary.unlink(missing_ok=True)
        sync(folder.root)
    except OSError as error:
        msg = f"cannot go on with the run in {folder.root}: {error.strerror}"
        raise UserError(msg) from None


def lengthened(scenario: Scenario, episodes: int) -> Scenario:
    """The same document with another number of episodes.

    Raises:
        ScenarioError: There cannot be so many.
    """
    return parse_scenario(scenario.to_toml(), {"episodes": episodes})


def read_document(folder: RunFolder) -> Scenario:
    """The document of a run.

    Raises:
        UserError: It cannot be read, is no scenario, or is not the one that the run was begun with.
    """
    try:
        text = read_text(folder.scenario, MOST_BYTES)
    except OSError as error:
        msg = f"cannot read the run in {folder.root}: {folder.scenario.name}: {error.strerror}"
        raise UserError(msg) from None
    scenario = with_initial_policy(parse_scenario(text, {}, str(folder.scenario)), folder.root)
    with read_store(folder.store) as store:
        require_document(folder.root, store.begun(), scenario)
    return scenario
