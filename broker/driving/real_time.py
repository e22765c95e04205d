"""Real time: one participant on the clock of its process."""

from __future__ import annotations

from broker.driving.driver import Driver
from broker.driving.interruption import Interrupted, Interruption
from broker.own_clock import LONGEST_WAIT_S, OwnClock

_SHOW_EVERY_S = 1.0
_BURST = 256
"""Messages that are read at once where a deadline has passed."""


def run_in_real_time(driver: Driver, clock: OwnClock, interruption: Interruption) -> None:
    """Drive a participant until it is done.

    Args:
        driver: Of the participant.
        clock: Its time: patience and delays do not pass while its process does not run. Signs of life go by the time
            of the others, who count it.
        interruption: What may end it at any moment, but not while it hands over its totals.

    Raises:
        Interrupted: A signal asked for its end.
        PeerLost: It gave up on a peer.
    """
    participant = driver.participant
    try:
        now = clock()
        shown_at = clock.seen_at
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
            if timer is None or timer - now > 2 * LONGEST_WAIT_S:
                driver.transport.wait(LONGEST_WAIT_S, participant.awaited)
            else:
                driver.transport.wait(clock.left_s(timer))
            now = clock()
            driver.deliver(now)
            if interruption.asked:  # and somebody's code went on all the same
                raise Interrupted
            if clock.seen_at - shown_at >= _SHOW_EVERY_S:
                driver.show_status()
                shown_at = clock.seen_at
    finally:
        with interruption.held():
            driver.finish()
