"""Whether there is anything to go on with in a run's folder, and as what."""

from __future__ import annotations

from agent_node.policy_folder import learned_until
from broker.arithmetic.version import ARITHMETIC
from broker.counting import counted
from broker.errors import UserError
from scenarios.document.scenario import Scenario
from scenarios.results.document import lengthened, read_document
from scenarios.results.evaluation import waiting
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_summary


def going_on(folder: RunFolder, episodes: int | None) -> Scenario:
    """The document that a run goes on with.

    Args:
        folder: Of a run that has begun.
        episodes: How many there are to be, or None for as many as before.

    Raises:
        UserError: It is complete, is to become shorter, or was computed with another arithmetic.
    """
    scenario = read_document(folder)
    with read_store(folder.store) as store:
        store.require_arithmetic(ARITHMETIC)
    wanted = scenario if episodes is None else lengthened(scenario, episodes)
    if wanted.episodes < scenario.episodes:
        begun = counted(scenario.episodes, "episode")
        msg = f"--episodes: {folder.root} is a run of {begun}; expected at least as many, found {episodes}"
        raise UserError(msg)
    found = read_summary(folder)
    done = found is not None and found.episodes == wanted.episodes
    done = done and not waiting(folder)
    if done and (wanted.acts_only is not None or learned_until(folder.policy) == wanted.episodes - 1):
        msg = (
            f"{folder.root} is complete: there is nothing to go on with. To go on to more than its "
            f"{counted(wanted.episodes, 'episode')}: foretell resume {folder.root} --episodes N"
        )
        raise UserError(msg)
    return wanted
