"""Runs a scenario as processes, a participant each, over ZeroMQ, and watches them."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import msgspec

from broker.codec import Codec
from broker.config import ZeroMQConfig
from broker.errors import ParticipantDied, UserError
from broker.messages import OBSERVER, Metrics
from broker.process import DONE, WRONG
from broker.records import FinishedRecord, Record, unpack
from broker.threads import limit_threads
from broker.transports.zeromq import ZeroMQTransport
from scenarios.child import PRELOADED, be_participant
from scenarios.observer import Observer
from scenarios.plan import Plan, Wiring
from scenarios.run_folder import RunFolder

_LOOK_EVERY_S = 0.1
_END_WITHIN_S = 3.0


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
    with tempfile.TemporaryDirectory(prefix="foretell-") as sockets:
        addresses = make_addresses(plan.participants, plan.scenario.transport.zeromq, Path(sockets))
        journals = folder.journals if plan.scenario.transport.journal else None
        wiring = Wiring(plan.scenario.name, addresses, journals)
        fleet = Fleet(plan, wiring, folder)
        inbox = _Inbox(plan, wiring, observer)
        try:
            fleet.start()
            while not (fleet.finished() and inbox.has_all()):
                inbox.take(_LOOK_EVERY_S)
                fleet.raise_if_died()
                if interrupted():
                    return
                if fleet.finished():
                    inbox.expect_the_rest()
        finally:
            fleet.end()
            inbox.take(0)
            inbox.close()


def make_addresses(participants: tuple[str, ...], config: ZeroMQConfig, sockets: Path) -> dict[str, str]:
    """Where every participant and the observer listen.

    Args:
        participants: In the order of their ports.
        config: Scheme, host and ports.
        sockets: Folder for the socket files of `ipc`.
    """
    everyone = (*participants, OBSERVER)
    if config.scheme == "ipc":
        addresses = {name: f"ipc://{sockets}/{name}" for name in everyone}
    else:
        addresses = {name: f"tcp://{config.host}:{config.base_port + port}" for port, name in enumerate(everyone)}
    return addresses | {name: address for name, address in config.addresses.items() if name in addresses}


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

    def start(self) -> None:
        """Fork every participant from a server that has imported what they need."""
        limit_threads()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
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
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise ParticipantDied(name, f"{how} ({said})" if said and code > 0 else how, log)

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
    """The observer's end of the wire."""

    def __init__(self, plan: Plan, wiring: Wiring, observer: Observer) -> None:
        zeromq = plan.scenario.transport.zeromq
        codec = Codec(wiring.run, zeromq.max_message_bytes)
        for name in plan.participants:
            codec.allow(name, OBSERVER)
        address = {OBSERVER: wiring.addresses[OBSERVER]}
        self._transport = ZeroMQTransport(OBSERVER, address, codec, zeromq)
        self._observer = observer
        self._unfinished = set(plan.participants)
        self._give_up_at: float | None = None

    def take(self, timeout_s: float) -> None:
        """Wait for records and hand them to the observer."""
        self._transport.wait(timeout_s)
        records: list[Record] = []
        while envelopes := self._transport.poll(0.0):
            for envelope in envelopes:
                if type(envelope.message) is Metrics:
                    records += _unpacked(envelope.message)
        self._unfinished -= {record.participant for record in records if type(record) is FinishedRecord}
        records += self._transport.noticed
        self._transport.noticed.clear()
        if records:
            self._observer.take(records)

    def has_all(self) -> bool:
        """Whether every participant has said that it finished, or there is no hope that it will."""
        hopeless = self._give_up_at is not None and time.monotonic() > self._give_up_at
        return not self._unfinished or hopeless

    def expect_the_rest(self) -> None:
        """All processes have ended: what they sent is here within moments or not at all."""
        self._give_up_at = self._give_up_at or time.monotonic() + _END_WITHIN_S

    def close(self) -> None:
        """Release the socket."""
        self._transport.close(0.0)


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
