"""`foretell replay`: an agent of a run, run again alone."""

from __future__ import annotations

import pdb
import sys
from bdb import BdbQuit
from pathlib import Path

import click

from broker.arithmetic.version import ARITHMETIC
from broker.counting import counted
from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.options import number_in, shortened
from scenarios.commands.screen import say
from scenarios.replay.replay import Replayed, replay
from scenarios.replay.watched_learner import Goal


def replay_agent(root: Path, agent: str, until: Goal | None, *, debug: bool) -> None:
    """Run it, and say what came of it; ends with 4 where that is not what came of the run."""
    pause = pdb.Pdb(skip=["numpy.*"]).set_trace if debug else None
    try:
        found = replay(root, agent, until, pause)
    except BdbQuit:
        say("left in the debugger")
        return
    for line in _told(found, until):
        say(line)
    if not found.same:
        sys.exit(ExitCode.MISMATCH)


def goal_of(text: str | None) -> Goal | None:
    """EPISODE or EPISODE/ROUND, as somebody wrote it.

    Raises:
        click.BadParameter: It is neither.
    """
    if text is None:
        return None
    before, slash, behind = text.partition("/")
    episode, number = number_in(before), number_in(behind)
    if episode is None or (slash and number is None):
        raise click.BadParameter(f"--until: expected EPISODE or EPISODE/ROUND, such as 4/1, found {shortened(text)}")
    return Goal(episode, number)


def _told(found: Replayed, until: Goal | None) -> list[str]:
    taken, closed = counted(found.messages, "message"), counted(found.rounds, "round")
    lines = [f"{found.agent}: {taken} taken, {closed} closed, in {counted(found.lives, 'life', 'lives')}"]
    if found.failure:
        lines.append(f"its work ended: {found.failure}")
    elif not found.closed and found.reached is None:
        lines.append("its journal was cut off: all that is whole of it was played")
    lines.append(
        f"it differs from the run: {found.parted}"
        if found.parted
        else f"what it sent is what it sent in the run: {counted(found.sent, 'message')}"
    )
    if found.arithmetic != ARITHMETIC:
        lines.append(f"the run computed with arithmetic {found.arithmetic}, this with {ARITHMETIC}")
    return [*lines, *_weights(found, until)]


def _weights(found: Replayed, until: Goal | None) -> list[str]:
    if found.reached is not None:
        losses = ", ".join(f"{name} {value:.6g}" for name, value in found.reached.losses.items())
        return [f"losses of the round: {losses}", f"weights after it: {found.reached.digest}"]
    if until is not None:
        return [f"the run never came to episode {until.episode}{'' if until.round is None else f'/{until.round}'}"]
    if found.recorded_digest is None:
        return [f"weights: {found.digest or 'none'}; the run left none to compare them with"]
    if found.digest == found.recorded_digest:
        return [f"weights: {found.digest}, equal to the run's after episode {found.after_episode}"]
    return [f"weights: {found.digest or 'none'}, and in the run {found.recorded_digest}"]
