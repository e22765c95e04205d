"""Virtual time: all participants in one process, on a clock that jumps to the next thing due.

Computing takes no time; only delays and deadlines do. Messages sent at one instant are read in the order in
which they were sent, and arrive before deadlines of that same instant expire.

Nobody is asked when it has something to do but who has just done something: an instant costs what happens in it,
however many participants wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf

from broker.driving.driver import Driver
from broker.driving.timers import Timers
from broker.errors import Deadlock
from broker.transports.memory import MemoryNetwork


class VirtualTime:
    """Runs drivers on one memory network.

    Attributes:
        now: In seconds.
        turn_of: Who was called last; where a participant raised, it is this one.

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
        self._order = {name: number for number, name in enumerate(self._drivers)}
        self._timers, self._timers_of_done = Timers(), Timers()
        self.now = now
        self.turn_of = ""

    def take_away(self, name: str, for_s: float = inf) -> None:
        """Let a participant do nothing: stopped, late, or for good. What comes meanwhile waits for it.

        Args:
            name: Who.
            for_s: For how long; for ever: nobody waits until it is done.
        """
        self._absent[name] = max(self._absent.get(name, 0.0), self.now + for_s)
        self._timers.put(name, None)
        self._timers_of_done.put(name, None)

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
            self._deliver(addressee)
        return True

    def _begin(self, name: str) -> None:
        self._begun.add(name)
        self._called(name).start(self.now)
        self._note_timer(name)

    def _deliver(self, name: str) -> None:
        self._called(name).deliver(self.now)
        self._note_timer(name)

    def _called(self, name: str) -> Driver:
        """Somebody's driver, which is called now."""
        self.turn_of = name
        return self._drivers[name]

    def _note_timer(self, name: str) -> None:
        """Take down when somebody, who has just done something, has to do something next."""
        driver = self._drivers[name]
        done, timer = driver.participant.done, driver.timer()
        self._timers.put(name, None if done else timer)
        if done:
            self._timers_of_done.put(name, timer)

    def _come_back(self) -> None:
        for name in [name for name, until in self._absent.items() if until <= self.now]:
            del self._absent[name]
            if name not in self._begun:
                self._begin(name)
            self._deliver(name)

    def _in_order(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=self._order.__getitem__)

    def _expire(self) -> bool:
        """All mail of this instant has been read: expire what has become due; whether anything had."""
        due = self._timers.due(self.now) | self._timers_of_done.due(self.now)
        for name in self._in_order(due):
            self._called(name).wake(self.now)
            self._note_timer(name)
        return bool(due)

    def _jump(self) -> bool:
        """Go to the next instant something is due and deliver what was held until then; False when all are done."""
        returns = [until for until in self._absent.values() if until < inf]
        timer = self._timers.next()
        if timer is not None:
            returns.append(timer)
        if not returns:
            present = [driver.participant for name, driver in self._drivers.items() if name not in self._absent]
            if waits := [participant.waits_for() for participant in present if not participant.done]:
                raise Deadlock(waits)
            return False
        self.now = max(self.now, min(returns))
        due = self._timers.due(self.now)
        self._come_back()
        for name in self._in_order(due):
            self._deliver(name)
        return True
