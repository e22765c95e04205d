"""Whether there is anything to go on with in a run's folder, and as what."""

from __future__ import annotations

from agent_node.policy_folder import learned_until
from broker.counting import counted
from broker.errors import UserError
from scenarios.document.scenario import Scenario
from scenarios.results.document import lengthened, read_document
from scenarios.results.evaluation import waiting
from scenarios.results.folder import RunFolder
from scenarios.results.reader import never_begun, read_store
from scenarios.results.run_result import read_summary
from scenarios.results.same_run import require_arithmetic, require_substrate


def begun_as(folder: RunFolder, only: str | None) -> str:
    """On what a run was begun, and goes on: `simulate` or `run`.

    Args:
        folder: Of a run.
        only: What it must have been begun on, and what one that had not begun yet begins on; None: whatever it was.

    Raises:
        UserError: It was interrupted before it had begun, or begun on another.
    """
    with read_store(folder.store) as store:
        begun = store.begun()
    if only is not None:
        require_substrate(folder.root, begun, only)
        return only
    if begun is None:
        raise never_begun(folder.root)
    return begun.substrate


def going_on(folder: RunFolder, episodes: int | None) -> Scenario:
    """The document that a run goes on with.

    Args:
        folder: Of a run that has begun.
        episodes: How many there are to be, or None for as many as before.

    Raises:
        UserError: It is an evaluation, is complete, is to become shorter, or was computed with another arithmetic.
    """
    wanted = document_for(folder, episodes)
    if is_complete(folder, wanted):
        raise UserError(nothing_left(folder, wanted))
    return wanted


def nothing_left(folder: RunFolder, wanted: Scenario) -> str:
    """What to say of a run that is complete."""
    return (
        f"{folder.root} is complete: there is nothing to go on with. To go on to more than its "
        f"{counted(wanted.episodes, 'episode')}: foretell resume {folder.root} --episodes N"
    )


def document_for(folder: RunFolder, episodes: int | None) -> Scenario:
    """The document of a run with so many episodes, whether it is complete with them or not.

    Args:
        folder: Of a run that has begun.
        episodes: How many there are to be, or None for as many as before.

    Raises:
        UserError: It is an evaluation, is to become shorter, or was computed with another arithmetic.
    """
    scenario = read_document(folder)
    if scenario.acts_only is not None:
        msg = (
            f"{folder.root} is an evaluation, in which nobody learns: there is nothing to go on with. For more episodes"
        )
        raise UserError(f"{msg}, `foretell evaluate` its policy again, with --episodes N, into another folder")
    with read_store(folder.store) as store:
        require_arithmetic(folder.root, store.begun())
    wanted = scenario if episodes is None else lengthened(scenario, episodes)
    if wanted.episodes < scenario.episodes:
        begun = counted(scenario.episodes, "episode")
        msg = f"--episodes: {folder.root} is a run of {begun}; expected at least as many, found {episodes}"
        raise UserError(msg)
    return wanted


def is_complete(folder: RunFolder, wanted: Scenario) -> bool:
    """Whether all of a run is done and written: its episodes, what was learned, and what that was worth on the way.

    Args:
        folder: Of a run that has begun.
        wanted: Its document.
    """
    found = read_summary(folder)
    if found is None or found.episodes != wanted.episodes or waiting(folder):
        return False
    return wanted.acts_only is not None or learned_until(folder.policy) == wanted.episodes - 1
