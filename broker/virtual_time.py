"""Virtual time: all participants in one process, on a clock that jumps to the next thing due.

Computing takes no time; only delays and deadlines do. Messages sent at one instant are read in the order in
which they were sent, and arrive before deadlines of that same instant expire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from broker.driver import Driver
from broker.errors import Deadlock
from broker.transports.memory import MemoryNetwork


class VirtualTime:
    """Runs drivers on one memory network.

    Args:
        drivers: All participants of the run, each with a transport on `network`.
        network: Tells who has mail.
        now: When it begins, in seconds.
    """

    def __init__(self, drivers: Sequence[Driver], network: MemoryNetwork, now: float = 0.0) -> None:
        self._drivers = {driver.participant.name: driver for driver in drivers}
        self._network = network
        self.now = now

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Go on until every participant is done, or `interrupted` says so at a jump of the clock or after a message.

        Raises:
            Deadlock: Participants wait although nothing is due.
            PeerLost: A participant gave up on a peer.
        """
        for driver in self._drivers.values():
            driver.start(self.now)
        while not interrupted():
            name = self._network.next_with_mail()
            if name is not None:
                self._drivers[name].deliver(self.now)
            elif not (self._expire() or self._jump()):
                return

    def _expire(self) -> bool:
        """All mail of this instant has been read: expire what has become due; whether anything had."""
        timers = [(driver.timer(), driver) for driver in self._drivers.values()]
        due = [driver for timer, driver in timers if timer is not None and timer <= self.now]
        for driver in due:
            driver.wake(self.now)
        return bool(due)

    def _jump(self) -> bool:
        """Go to the next instant something is due and deliver what was held until then; False when all are done."""
        waiting = [driver for driver in self._drivers.values() if not driver.participant.done]
        if not waiting:
            return False
        timers = [(timer, driver) for driver in waiting if (timer := driver.timer()) is not None]
        if not timers:
            raise Deadlock([driver.participant.waits_for() for driver in waiting])
        self.now = max(self.now, min(timer for timer, _ in timers))
        for timer, driver in timers:
            if timer <= self.now:
                driver.deliver(self.now)
        return True
