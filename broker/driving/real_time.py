"""Real time: one participant on the clock of its host."""

from __future__ import annotations

import time
from collections.abc import Callable

from broker.driving.driver import Driver

_MAX_WAIT_S = 1.0
_SHOW_EVERY_S = 1.0
_BURST = 256
"""Messages that are read at once where a deadline has passed."""


def run_in_real_time(driver: Driver, clock: Callable[[], float] = time.monotonic) -> None:
    """Drive a participant until it is done.

    Raises:
        PeerLost: It gave up on a peer.
    """
    participant = driver.participant
    try:
        now = shown_at = clock()
        driver.start(now)
        while not participant.done:
            timer = driver.timer()
            if timer is not None and timer <= now:
                driver.transport.wait(0.0, _BURST)  # what came in time counts, even where this process was late
                driver.deliver(now)
                driver.expire(now)
                if participant.done:
                    break
                timer = driver.timer()
            if timer is None or timer - now > 2 * _MAX_WAIT_S:
                driver.transport.wait(_MAX_WAIT_S, participant.awaited)
            else:
                driver.transport.wait(max(0.0, min(_MAX_WAIT_S, timer - clock())))
            now = clock()
            driver.deliver(now)
            if now - shown_at >= _SHOW_EVERY_S:
                driver.show_status()
                shown_at = now
    finally:
        driver.finish()
