"""Runs a scenario as processes, a participant each, over sockets, and watches them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import msgspec

from broker.connect import make_codec, open_transport
from broker.errors import ParticipantDied, Unreachable, UserError
from broker.messages import OBSERVER, Envelope, Metrics, Stop, first_number
from broker.process import DONE, WRONG
from broker.records import FinishedRecord, Record, unpack
from broker.threads import limit_threads
from scenarios.child import PRELOADED, be_participant
from scenarios.lives import Lives
from scenarios.meeting import Meeting, meeting
from scenarios.observer import Observer
from scenarios.plan import Plan, Wiring
from scenarios.run_folder import RunFolder

_LOOK_EVERY_S = 0.1
_END_WITHIN_S = 3.0
_CONNECT_WITHIN_S = 5.0
_ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_ARENA_MAX": "1",
}


def launch(plan: Plan, folder: RunFolder, observer: Observer, interrupted: Callable[[], bool]) -> None:
    """Run every participant of `plan` as a process until all are done or `interrupted` says so.

    Args:
        plan: What runs.
        folder: For logs and journals.
        observer: Takes the records.
        interrupted: Asked ten times a second.

    Raises:
        ParticipantDied: A process ended before its work; all others have been ended.
        UserError: A participant refused its settings, or an address is in use.
    """
    lives = Lives(plan, observer, folder.checkpoints)
    with (
        tempfile.TemporaryDirectory(prefix="foretell-") as sockets,
        meeting(plan, folder, Path(sockets), observer.tell) as found,
    ):
        why = ""
        while True:
            wiring = replace(found.wiring, checkpoints=folder.checkpoints.absolute(), life=lives.begin(why))
            try:
                inbox = _open_inbox(plan, wiring, observer, found)
                _live(Fleet(plan, wiring, folder), inbox, lives, found, interrupted)
            except ParticipantDied as death:
                why = lives.bury(death)
            else:
                return


def _open_inbox(plan: Plan, wiring: Wiring, observer: Observer, found: Meeting) -> _Inbox:
    """Connect the observer; what it connects to may die meanwhile, and nobody else looks.

    Raises:
        ParticipantDied: What stands between the participants keeps dying.
        UserError: It cannot be reached for as long as joining may take, or refuses.
    """
    joining = plan.scenario.joining.give_up_s
    give_up_at = time.monotonic() + joining
    while True:
        found.look()
        try:
            return _Inbox(plan, wiring, observer, min(_CONNECT_WITHIN_S, joining))
        except Unreachable:
            if time.monotonic() >= give_up_at:
                raise


def _live(fleet: Fleet, inbox: _Inbox, lives: Lives, found: Meeting, interrupted: Callable[[], bool]) -> None:
    """Lead one life of all participants."""
    try:
        fleet.start()
        while not fleet.finished():
            inbox.take(_LOOK_EVERY_S)
            fleet.kill_hung(inbox.silent())
            fleet.raise_if_died()
            _look_between(found, lives)
            lives.tidy()
            if interrupted():
                return
    except ParticipantDied:
        if lives.mends:
            fleet.kill()  # what they would still say is of a life that is over
        raise
    finally:
        fleet.end()
        inbox.take(0)
        inbox.close()


def _look_between(found: Meeting, lives: Lives) -> None:
    """See to what stands between the participants.

    Raises:
        ParticipantDied: It had died: what was under way is lost, and all must go back to where nothing was.
    """
    if found.look() and lives.mends:
        raise ParticipantDied("the broker", "it was started again", found.log)


def start_fork_server(preloaded: list[str] = PRELOADED) -> ForkServerContext:
    """A server that has imported what participants need, and forks them.

    It inherits: one compute thread; Ctrl-C ignored, since the launcher ends everybody in order; and an allocator that
    gives memory back, which saves each of many agents the peak of its start.
    """
    limit_threads()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preloaded)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    tuned = {name: os.environ.get(name) for name in _ALLOCATOR}
    os.environ.update(_ALLOCATOR)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
        for name, value in tuned.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
    return context


class Fleet:
    """The processes of a run.

    Args:
        plan: What each participant is told.
        wiring: Where they find each other.
        folder: For their logs.
    """

    def __init__(self, plan: Plan, wiring: Wiring, folder: RunFolder) -> None:
        self._plan = plan
        self._wiring = wiring
        self._folder = folder
        self.processes: dict[str, ForkServerProcess] = {}
        self._hung: dict[str, float] = {}

    def start(self) -> None:
        """Fork every participant from a server that has imported what they need."""
        context = start_fork_server()
        for name in self._plan.participants:
            slice_ = (
                self._plan.environment(self._wiring)
                if name not in self._plan.agents
                else self._plan.agent(name, self._wiring)
            )
            arguments = (name, slice_.model_dump_json(), self._folder.log(name).absolute())
            process = context.Process(target=be_participant, args=arguments, name=f"foretell.{name}", daemon=True)
            process.start()
            self.processes[name] = process

    def finished(self) -> bool:
        """Whether every process has ended with its work done."""
        return all(process.exitcode == DONE for process in self.processes.values())

    def kill_hung(self, silent: Mapping[str, float]) -> None:
        """Kill those that have given no sign for too long; they may be stopped, so that nothing less would help.

        Args:
            silent: Seconds since the last sign of each that should give one.
        """
        for name, silent_s in silent.items():
            process = self.processes[name]
            if silent_s > self._plan.scenario.recovery.hung_after_s and process.is_alive():
                self._hung[name] = silent_s
                process.kill()
                process.join()

    def raise_if_died(self) -> None:
        """Look at every process.

        Raises:
            ParticipantDied: One ended before its work.
            UserError: One refused its settings.
        """
        for name, process in self.processes.items():
            code = process.exitcode
            if code in (None, DONE):
                continue
            log = self._folder.log(name)
            said = _last_line(log)
            if code == WRONG:
                raise UserError(said or f"{name} refused its settings. Its log: {log}")
            if name in self._hung:
                how = f"it hung: no sign of its working loop for {self._hung[name]:.0f} s"
                raise ParticipantDied(name, how, log)
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise ParticipantDied(name, f"{how} ({said})" if said and code > 0 else how, log)

    def kill(self) -> None:
        """End everybody at once."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.join()

    def end(self) -> None:
        """End whoever still runs: ask, then insist."""
        running = [process for process in self.processes.values() if process.is_alive()]
        for process in running:
            process.terminate()
        give_up_at = time.monotonic() + _END_WITHIN_S
        for process in running:
            process.join(max(0.0, give_up_at - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


class _Inbox:
    """The observer's end of the wire: takes records, and lets participants go when all have finished."""

    def __init__(self, plan: Plan, wiring: Wiring, observer: Observer, connect_within_s: float) -> None:
        link = plan.observer(wiring)
        joining = link.joining.model_copy(update={"give_up_s": connect_within_s})
        link = link.model_copy(update={"joining": joining})
        self._transport = open_transport(link, make_codec(link))
        self._release_as = first_number(wiring.life.incarnation)
        # Who is only coming gives no signs; joining has a limit of its own.
        self._seen = dict.fromkeys(plan.participants, time.monotonic() + plan.scenario.joining.give_up_s)
        self._run = wiring.run
        self._participants = plan.participants
        self._observer = observer
        self._unfinished = set(plan.participants)

    def take(self, timeout_s: float) -> None:
        """Wait for records and hand them to the observer."""
        self._transport.wait(timeout_s)
        records: list[Record] = []
        while envelopes := self._transport.poll(0.0):
            for envelope in envelopes:
                if type(envelope.message) is Metrics:
                    self._seen[envelope.source] = time.monotonic()
                    records += _unpacked(envelope.message)
            self._transport.wait(0.0)
        self._release({record.participant for record in records if type(record) is FinishedRecord})
        records += self._transport.noticed
        self._transport.noticed.clear()
        if records:
            self._observer.take(records)

    def silent(self) -> dict[str, float]:
        """Seconds since the last sign of each participant that has work to do."""
        now = time.monotonic()
        return {name: now - seen for name, seen in self._seen.items()}

    def close(self) -> None:
        """Release the socket, and count what was lost or refused on the way to it."""
        self._transport.close(0.0)
        self._observer.take(self._transport.totals())

    def _release(self, finished: set[str]) -> None:
        """Say Stop to all, once the last of them has finished."""
        if not finished:
            return
        self._unfinished -= finished
        for name in finished:
            self._seen.pop(name, None)
        for name in self._participants if not self._unfinished else ():
            self._transport.send(Envelope(self._run, OBSERVER, name, self._release_as, Stop("")))


def _unpacked(message: Metrics) -> list[Record]:
    try:
        return unpack(message.records)
    except msgspec.DecodeError:
        return []


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    said = next((line for line in reversed(lines) if line.strip()), "")
    return said.split(" ", 2)[-1] if said[:4].isdigit() else said
