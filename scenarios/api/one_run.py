"""One planned run from its beginning to its end: the way in which Python, the commands and trials play a scenario."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from broker.counting import counted
from broker.errors import ForetellError, LedgerMismatch
from scenarios.api.own_thread import without_loop
from scenarios.document.plan import Plan
from scenarios.play.along import evaluate_training
from scenarios.results.document import read_document
from scenarios.results.evaluation import waiting
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer, ShowProgress
from scenarios.results.proof.mismatches import excused, mismatches
from scenarios.results.summary import Summary
from scenarios.running.control.run import Interrupted, run
from scenarios.running.substrate import Way
from scenarios.running.ways import WayName


@dataclass(frozen=True)
class Onlooker:
    """Whoever looks on while a run is played, and may want its end.

    Attributes:
        show: Told how far it is.
        tell: Told what happens on the way.
        interrupted: Whether somebody wants the end.
        heard: Surrounds what may call an environment of the user's own, for what it prints; told the way. Without it
            that appears where the caller's own prints do, as is right in a process of the caller's.
        left: Told the returns (episodes, N) float64 that there are at last, however the run ended.
    """

    show: ShowProgress = lambda _: None
    tell: Callable[[str], None] = lambda _: None
    interrupted: Interrupted = lambda: False
    heard: Callable[[WayName], AbstractContextManager[object]] = lambda _: nullcontext()
    left: Callable[[NDArray[np.float64]], None] = lambda _: None


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Attributes:
        summary: What came of it.
        stopped: Whether somebody wanted the end before all was played and evaluated, so that it can be gone on with.
        more_episodes: How many it was to have and does not know of yet, as nobody had joined when it ended; else None.
    """

    summary: Summary
    stopped: bool
    more_episodes: int | None


def play_to_the_end(
    plan: Plan, folder: RunFolder, name: WayName, way: Way, onlooker: Onlooker, *, evaluated: bool = True
) -> RunEnd:
    """Play what was planned, and evaluate what it kept on its way if it asks for that.

    Args:
        plan: What runs.
        folder: Where its results go; a run that is there already goes on.
        name: What the way is called in the results.
        way: How it runs.
        onlooker: Who looks on.
        evaluated: Whether what it kept is evaluated now, and not by `foretell resume`.

    Raises:
        ForetellError: It could not be played to its end; what was recorded is kept.
    """

    def play(interrupted: Interrupted) -> RunEnd:
        observer = Observer(plan, folder, name, onlooker.show, onlooker.tell)
        try:
            try:
                with onlooker.heard(name):
                    run(plan, folder, observer, way, interrupted)
            finally:
                summary = observer.finish()
            if summary.complete and evaluated:
                with onlooker.heard("simulate"):
                    evaluate_training(plan, folder, name, interrupted, onlooker.tell)
            if summary.complete:
                for sentence in excused(plan, folder.store):
                    onlooker.tell(plan.names.tell(sentence))
        finally:
            onlooker.left(observer.returns)
        wanted = plan.scenario.episodes
        more = wanted if read_document(folder).episodes < wanted else None
        return RunEnd(summary, interrupted() and (not summary.complete or bool(waiting(folder))), more)

    if name == "simulate":  # needs no event loop: what is the user's stays in the user's thread
        return play(onlooker.interrupted)
    return without_loop(play, onlooker.interrupted)


def require_whole(plan: Plan, folder: RunFolder, summary: Summary) -> None:
    """See that a run that nobody interrupted is what was asked for.

    Raises:
        ForetellError: Episodes are missing.
        LedgerMismatch: Its faults are not those that were asked for.
    """
    if not summary.complete:
        played = f"{summary.episodes} of {counted(plan.scenario.episodes, 'episode')}"
        raise ForetellError(f"only {played} were recorded. The logs: {folder.logs}")
    if sentences := mismatches(plan, folder.store):
        raise LedgerMismatch([*map(plan.names.tell, sentences)])
