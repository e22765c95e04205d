"""A participant as a process: real time, signals, exit codes.

| exit code | meaning                                                             |
|-----------|---------------------------------------------------------------------|
| 0         | its work is done                                                    |
| 1         | it gave up, or broke; the last line it said is why                  |
| 2         | its slice of the scenario is wrong, or its address is in use        |
| 3         | code that somebody brought raised in it; the last line says what    |
| 4         | such code gave what nobody can use; the last line says what         |
| 130       | SIGINT, SIGTERM or SIGHUP ended it                                  |
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from broker.driving.connect import connect, refitted
from broker.driving.counters_teller import CountersTeller
from broker.driving.driver import Driver, Observe, TellCounters
from broker.driving.interruption import Interrupted, Interruption
from broker.driving.journaled_participant import journaled
from broker.driving.real_time import run_in_real_time
from broker.errors import ForetellError, UserCodeFailed, UserCodeRefused, UserError
from broker.open_files import allow_open_files, files_for
from broker.own_clock import OwnClock
from broker.participants.checkpoint import State
from broker.participants.life import FIRST_LIFE, ParticipantLife, begin_life
from broker.participants.participant import Participant
from broker.participants.seal import require_whole
from broker.text_files import read_text
from broker.threads import schedule
from broker.transports.transport import Transport
from broker.user_code import traceback_of
from broker.wire.messages import OBSERVER, Envelope, Metrics, Stop, first_number
from broker.wire.records import ClosedRecord, ClosingRecord, Record, StatusRecord, TrafficRecord, pack

if TYPE_CHECKING:
    from broker.participants.link import LinkConfig

Slice = TypeVar("Slice")

DONE, GAVE_UP, WRONG, RAISED, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 130
LINGER_S = 5.0
"""How long a finished participant keeps sending what is under way."""
RELEASE_WITHIN_S = 30.0
"""How long it waits for the observer to say that all records have come."""
_SAY_AGAIN_EVERY_S = 1.0
GIVING_UP_LINGER_S = 0.5
"""The same for one that gave up or was interrupted: its last records may still reach the observer."""

_MOST_BYTES = 1 << 28
_RECORDS_BYTES = 8192
"""Records that are sent in one message: not all that stands between participants takes long ones."""

_SIGNS = (StatusRecord, TrafficRecord, ClosingRecord, ClosedRecord)
"""Records that are for the observer alone."""

_log = logging.getLogger("foretell")


def serve(make: Callable[[State | None], Participant], link: LinkConfig) -> int:
    """Be a participant until its work is done or a signal ends it; returns the process's exit code.

    Args:
        make: Makes the participant, from the state of an earlier life if there is one.
        link: Its way to its peers.
    """
    interruption = Interruption()
    interruption.listen()
    try:
        return take_part(make, link, connect, interruption)
    except Interrupted:  # as it closed
        return INTERRUPTED


def take_part(
    make: Callable[[State | None], Participant],
    link: LinkConfig,
    connect_to: Callable[[LinkConfig], Transport],
    interruption: Interruption,
) -> int:
    """Run a participant over real sockets until it is done; returns what its process would exit with.

    Args:
        make: As for `serve`.
        link: As for `serve`.
        connect_to: Opens its transport.
        interruption: As for `run_in_real_time`.
    """
    participant, transport, life, linger_s = None, None, FIRST_LIFE, 0.0
    beside = ExitStack()
    try:
        schedule(link.transport.scheduling)
        allow_open_files(files_for(len(link.peers) + 1))  # and the observer
        life, state = begin_life(link.life)
        participant = make(state)
        participant, tell_counters = _watched(participant, link, beside)
        transport = connect_to(link)
        driver = Driver(
            link.run,
            journaled(participant, transport),
            transport,
            _observe(link, transport),
            life,
            refit=partial(refitted, link),
            tell_counters=tell_counters,
            tells_at_once=link.life.spared,
        )
        run_in_real_time(driver, OwnClock(), interruption)
        if link.observed:
            _await_release(transport, driver.finish_again)
        linger_s = LINGER_S
    except (ForetellError, Interrupted) as error:
        interruption.end()
        linger_s = GIVING_UP_LINGER_S
        waited_for = participant.waits_for() if participant is not None else link.name
        return _give_up(error, life) if isinstance(error, ForetellError) else _interrupted(waited_for, life)
    finally:
        interruption.end()
        with beside:
            if transport is not None:
                transport.close(linger_s)
    return DONE


def _watched(participant: Participant, link: LinkConfig, beside: ExitStack) -> tuple[Participant, TellCounters | None]:
    """The participant with spans, if it is to have any, and what takes its counters, if anybody does.

    Where spans cannot be made the run goes on all the same.
    """
    tell_counters = None
    if link.counters is not None:
        teller = CountersTeller(link.counters, link.identity.run or link.run)
        beside.callback(teller.close)
        tell_counters = teller.tell
    if link.trace is not None:
        try:
            from broker.driving.spans import traced  # noqa: PLC0415 - an extra

            participant, spans = traced(participant, link)
            beside.callback(spans.close)
        except (ImportError, OSError, UserError, ValueError) as error:
            _log.info("no spans: %s", error)
    return participant, tell_counters


def _interrupted(waited_for: str, life: ParticipantLife) -> int:
    """Keep what is known, and say what was being done; the exit code."""
    _keep_last(life)
    _log.warning("interrupted: %s", waited_for)
    return INTERRUPTED


def _keep_last(life: ParticipantLife) -> None:
    """Let the run go on from the last episode, and not from the one that was last due."""
    try:
        life.leave()
    except OSError as error:
        _log.error("no checkpoint of the last episodes: %s", error.strerror or error)


def _give_up(error: ForetellError, life: ParticipantLife) -> int:
    """Say why, and keep what is known; the exit code."""
    if isinstance(error, UserCodeFailed) and (raised := traceback_of(error)):
        _log.error("%s", raised)
    _keep_last(life)
    _log.error("%s", error)
    if isinstance(error, UserCodeFailed):
        return REFUSED if isinstance(error, UserCodeRefused) else RAISED
    return WRONG if isinstance(error, UserError) else GAVE_UP


def _await_release(transport: Transport, say_again: Callable[[], None]) -> None:
    """Stay until the observer has all records: what a closing socket still holds is not sure to arrive."""
    clock = OwnClock()
    give_up_at = clock() + RELEASE_WITHIN_S
    again_at = clock() + _SAY_AGAIN_EVERY_S
    while (left_s := clock.left_s(give_up_at)) > 0:
        transport.wait(left_s)
        now = clock()
        for envelope in transport.poll(now):
            if envelope.source == OBSERVER and type(envelope.message) is Stop:
                return
        if now >= again_at:
            say_again()
            again_at = now + _SAY_AGAIN_EVERY_S


def main(program: str, read: Callable[[str], Slice], run: Callable[[Slice], int]) -> int:
    """The command line of a single participant: takes its slice from the named file or from standard input.

    Args:
        program: What is called so.
        read: Makes a slice of its text, see `broker.driving.slices`.
        run: Is the participant.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        _log.error("usage: %s [SLICE.json]   (`foretell check SCENARIO --slices DIR` writes slices)", program)
        return WRONG
    try:
        text = read_text(Path(sys.argv[1]), _MOST_BYTES) if sys.argv[1:] else sys.stdin.read()
        require_whole(text)
        return run(read(text))
    except OSError as error:
        _log.error("cannot read the slice: %s: %s", error.filename, error.strerror)
    except UnicodeDecodeError as error:  # of standard input
        _log.error("cannot read the slice: %s", error)
    except UserError as error:
        _log.error("%s", error)
    return WRONG


def _observe(link: LinkConfig, transport: Transport) -> Observe:
    """Where the records go: to the observer if there is one, else into the log."""
    numbers = count(first_number(link.life.incarnation))
    most_bytes = min(_RECORDS_BYTES, link.transport.max_message_bytes // 2)

    def send(records: list[Record]) -> None:
        packed = pack(records)
        if len(packed) > most_bytes and len(records) > 1:
            half = len(records) // 2
            send(records[:half])
            send(records[half:])
        else:
            transport.send(Envelope(link.run, link.name, OBSERVER, next(numbers), Metrics(packed)))

    def write(records: list[Record]) -> None:
        for record in records:
            if type(record) not in _SIGNS:
                _log.info("%s", record)

    return send if link.observed else write
