"""Time as a process has lived it: what passes while it does not run counts for nothing.

A process does not run while it is stopped (Ctrl-Z, a debugger), frozen (docker pause) or asleep with its host, or while
others hold the processor. Nobody tells it. It sees that far more time has passed than it has waited or computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_WAIT_S = 0.2
"""Whoever waits looks at the clock again after this time."""

_LONGEST_STEP_S = 0.5
"""From one look to the next; more than the longest wait doubled, as transports may wait."""
_LEAST_STEP_S = 0.01
"""Of a longer step so much counts at least: the clock shall not stand still for good on a host that is too busy."""
_OTHERS_WAKE_WITHIN_S = 2.0
"""Who was stopped together is not let go on together: for so long the clock stands still after a step too long."""


def clock_through_sleep() -> float:
    """Seconds that go on while this host sleeps, where there is such a clock; it knows nothing of the date."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class OwnClock:
    """Seconds in which this process ran; call it for the time.

    It goes like the monotonic clock as long as somebody looks at it again and again. Of a step too long it counts what
    the process computed meanwhile. Afterwards it stands still for a moment: others that were stopped as well may go on
    later than this process. It never goes back, and knows nothing of the date.

    Attributes:
        seen_at: When it was last looked at, by the monotonic clock, in seconds.
        breaks: How often the process was seen not to have run.

    Args:
        monotonic: Seconds that pass.
        computed: Seconds in which this process has computed.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, computed: Callable[[], float] = time.process_time
    ) -> None:
        self._monotonic, self._computed = monotonic, computed
        self._now = self.seen_at = monotonic()
        self._had_computed = computed()
        self._still_s = 0.0
        self._went_s = _OTHERS_WAKE_WITHIN_S
        self.breaks = 0

    def __call__(self) -> float:
        """The time, in seconds from any moment."""
        seen_at, has_computed = self._monotonic(), self._computed()
        step_s = seen_at - self.seen_at
        if step_s > _LONGEST_STEP_S:
            self._go(min(step_s, has_computed - self._had_computed + _LEAST_STEP_S))
            self._note_break()
        else:
            self._go(step_s)
        self.seen_at, self._had_computed = seen_at, has_computed
        return self._now

    def left_s(self, until: float) -> float:
        """How long to wait for a time before the next look, in seconds; 0 when it has come."""
        still_to_go = until - self()
        return min(LONGEST_WAIT_S, still_to_go + self._still_s) if still_to_go > 0 else 0.0

    def _go(self, step_s: float) -> None:
        still_s = min(step_s, self._still_s)
        self._still_s -= still_s
        self._now += step_s - still_s
        self._went_s += step_s - still_s

    def _note_break(self) -> None:
        self.breaks += 1
        if self._went_s >= _OTHERS_WAKE_WITHIN_S:  # else it would stand still for good where steps are always too long
            self._still_s, self._went_s = _OTHERS_WAKE_WITHIN_S, 0.0
