"""A participant as a process: real time, a log file, signals."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from types import FrameType

from broker.config import LinkConfig
from broker.connect import connect
from broker.driver import Driver, Observe
from broker.errors import ForetellError
from broker.messages import OBSERVER, Envelope, Metrics
from broker.participant import Participant
from broker.records import Record, pack
from broker.transport import Transport

LINGER_S = 5.0
"""How long a finished participant keeps sending what is under way."""

_MAX_WAIT_S = 1.0
_log = logging.getLogger("foretell")


class Interrupted(BaseException):
    """SIGTERM or SIGINT asked the process to end."""


def run_in_real_time(driver: Driver, clock: Callable[[], float] = time.monotonic) -> None:
    """Drive a participant until it is done.

    Raises:
        PeerLost: It gave up on a peer.
    """
    participant, transport = driver.participant, driver.transport
    driver.start(clock())
    while not participant.done:
        timer = driver.timer()
        transport.wait(_MAX_WAIT_S if timer is None else min(_MAX_WAIT_S, max(0.0, timer - clock())))
        driver.wake(clock())
    driver.finish()


def serve(participant: Participant, link: LinkConfig) -> int:
    """Run a participant over real sockets until it is done, and return the process's exit code.

    0 when its work is done, 1 when it gave up (the reason is the last line of its log), 130 when interrupted.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    transport = connect(link)
    linger_s = 0.0
    try:
        driver = Driver(link.run, participant, transport, _observer(link, transport))
        run_in_real_time(driver)
        linger_s = LINGER_S
    except ForetellError as error:
        _log.error("%s", error)  # noqa: TRY400 - a sentence for the user, the traceback says nothing more
        return 1
    except (Interrupted, KeyboardInterrupt):
        _log.info("%s interrupted", participant.waits_for())
        return 130
    finally:
        transport.close(linger_s)
    return 0


def _observer(link: LinkConfig, transport: Transport) -> Observe:
    if not link.observed:
        return _log_records

    def observe(records: list[Record]) -> None:
        transport.send(Envelope(link.run, link.name, OBSERVER, 0, Metrics(pack(records))))

    return observe


def _log_records(records: list[Record]) -> None:
    for record in records:
        _log.info("%s", record)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted
