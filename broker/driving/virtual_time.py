"""Virtual time: all participants in one process, on a clock that jumps to the next thing due.

Computing takes no time; only delays and deadlines do. Messages sent at one instant are read in the order in
which they were sent, and arrive before deadlines of that same instant expire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from broker.driving.driver import Driver
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
        self._absent: dict[str, float] = {}
        self._begun: set[str] = set()
        self.now = now

    def take_away(self, name: str, for_s: float = inf) -> None:
        """Let a participant do nothing: stopped, late, or for good. What comes meanwhile waits for it.

        Args:
            name: Who.
            for_s: For how long; for ever: nobody waits until it is done.
        """
        self._absent[name] = max(self._absent.get(name, 0.0), self.now + for_s)

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Go on until every participant is done, or `interrupted` says so at a jump of the clock or after a message.

        Raises:
            Deadlock: Participants wait although nothing is due.
            PeerLost: A participant gave up on a peer.
        """
        self.begin()
        while not interrupted() and self.step():
            pass

    def begin(self) -> None:
        """Let all begin who are not absent."""
        for name in self._drivers:
            if name not in self._absent:
                self._begin(name)

    def step(self) -> bool:
        """Let one message be read, or what is due expire, or the clock jump; False when all are done.

        Raises:
            Deadlock: Participants wait although nothing is due.
            PeerLost: A participant gave up on a peer.
        """
        addressee = self._network.next_with_mail()
        if addressee is None:
            return self._expire() or self._jump()
        if addressee in self._drivers and addressee not in self._absent:
            self._drivers[addressee].deliver(self.now)
        return True

    def _begin(self, name: str) -> None:
        self._begun.add(name)
        self._drivers[name].start(self.now)

    def _come_back(self) -> None:
        for name in [name for name, until in self._absent.items() if until <= self.now]:
            del self._absent[name]
            if name not in self._begun:
                self._begin(name)
            self._drivers[name].deliver(self.now)

    def _present(self) -> list[Driver]:
        return [driver for name, driver in self._drivers.items() if name not in self._absent]

    def _expire(self) -> bool:
        """All mail of this instant has been read: expire what has become due; whether anything had."""
        timers = [(driver.timer(), driver) for driver in self._present()]
        due = [driver for timer, driver in timers if timer is not None and timer <= self.now]
        for driver in due:
            driver.wake(self.now)
        return bool(due)

    def _jump(self) -> bool:
        """Go to the next instant something is due and deliver what was held until then; False when all are done."""
        waiting = [driver for driver in self._present() if not driver.participant.done]
        returns = [until for until in self._absent.values() if until < inf]
        if not waiting and not returns:
            return False
        timers = [(timer, driver) for driver in waiting if (timer := driver.timer()) is not None]
        if not timers and not returns:
            raise Deadlock([driver.participant.waits_for() for driver in waiting])
        self.now = max(self.now, min([*returns, *(timer for timer, _ in timers)]))
        self._come_back()
        for timer, driver in timers:
            if timer <= self.now:
                driver.deliver(self.now)
        return True
