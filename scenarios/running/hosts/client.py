"""The launcher's end of the connection to one host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.errors import ForetellError, UserError
from scenarios.running.hosts import frames
from scenarios.running.hosts.carrier import Carrier, CarrierLost
from scenarios.running.hosts.frames import (
    Answer,
    Asked,
    ForgetKept,
    Frames,
    IntactKept,
    LeaveHost,
    LookInto,
    NewestKept,
    NodeEnded,
    OpenRun,
    PruneKept,
    ReadKept,
    Refusal,
    RenewLease,
    Request,
    StartNode,
)
from scenarios.running.nodes import NodeEnd

LOST = 254
"""The exit code of participants whose host is lost: nobody knows how they ended."""

_OF_WHAT_IS_KEPT = (IntactKept, ReadKept, PruneKept, ForgetKept, NewestKept)
"""Asked twice, it is done once."""
_RENEW_EVERY_S = 1.0
_ANSWER_WITHIN_S = 30.0
_TRY_EVERY_S = 1.0
_LONGEST_TRY_S = _ANSWER_WITHIN_S + 15.0
"""What takes longer is no try: this process was stopped meanwhile."""
_ENDS_WITHIN_S = 3.0


class HostLost(ForetellError):
    """A host cannot be reached any more."""


class HostClient:
    """One host of a run; a lost connection is made anew when something is asked.

    Args:
        name: The host, as the fleet calls it.
        begin: Begins a connection to it.
        opening: What is said first.
        log: Where what it says beside that is found.
        try_for_s: Seconds for which a lost connection is tried again.
    """

    def __init__(
        self, name: str, begin: Callable[[], Carrier], opening: OpenRun | LookInto, log: Path, *, try_for_s: float
    ) -> None:
        self.name = name
        self._begin, self._opening, self._log = begin, opening, log
        self._try_for_s = try_for_s
        self._given_up = ""
        self._connection: _Connection | None = None
        self._ended: dict[str, NodeEnd] = {}
        self._running: set[str] = set()

    def dial(self) -> None:
        """Start what carries the connection: in a thread that lives as long, since it ends with it."""
        if self._connection is not None:
            self.ended()
            self._connection.close()
        self._connection = _Connection(self._begin())

    def greet(self) -> None:
        """Open the run there.

        Raises:
            UserError: It cannot be reached, or refuses the run.
        """
        connection = self._connection
        assert connection is not None  # noqa: S101 - it was dialled
        try:
            connection.ask(self._opening)
        except HostLost as error:
            connection.close()
            msg = f"host {self.name} cannot be used: {connection.said() or error}"
            raise UserError(msg) from None
        except ForetellError as error:
            connection.close()
            msg = f"host {self.name}: {error}"
            raise UserError(msg) from None

    def ask(self, request: Request) -> Any:
        """Ask, over a new connection if the one there was is lost; of what is kept there, again and again.

        Raises:
            UserError: The host cannot be reached any more, or refuses.
            HostLost: It was lost just now, and its processes with it.
        """
        while True:
            connection = self._connection
            if connection is None or connection.lost:
                connection = self._again()
            if isinstance(request, StartNode):
                self._ended.pop(request.name, None)
                connection.ended.pop(request.name, None)
                self._running.add(request.name)
            try:
                return connection.ask(request)
            except UserError as error:
                msg = f"host {self.name}: {error}"
                raise UserError(msg) from None
            except HostLost:
                if not isinstance(request, _OF_WHAT_IS_KEPT):
                    raise

    def ended(self) -> dict[str, NodeEnd]:
        """Those that have ended there; with the host, everybody has."""
        connection = self._connection
        if connection is not None:
            self._ended |= connection.ended
            self._running -= connection.ended.keys()
            if connection.lost:
                said = f"host {self.name} is lost: {connection.said() or connection.lost}"
                self._ended |= {name: NodeEnd(LOST, said, self._log) for name in self._running}
                self._running.clear()
        return self._ended

    def forget(self) -> None:
        """Nobody runs there now."""
        self._ended.clear()
        self._running.clear()
        if self._connection is not None:
            self._connection.ended.clear()

    @property
    def is_lost(self) -> bool:
        """Whether it would have to be reached anew."""
        return self._connection is None or bool(self._connection.lost)

    def close(self) -> None:
        """Let the host end with what it does."""
        if self._connection is not None:
            self._connection.close()

    def _again(self) -> _Connection:
        """Reach the host anew; where that was tried for long enough once, it is tried no more.

        Raises:
            UserError: It cannot be reached.
        """
        self.ended()  # whoever ran there is lost with the connection, which nobody may have seen yet
        if self._given_up:
            raise UserError(self._given_up)
        tried_s, looked_at = 0.0, time.monotonic()
        while True:
            try:
                self.dial()
                self.greet()
            except CarrierLost as error:
                self._given_up = str(error)
                raise
            except UserError as error:
                now = time.monotonic()
                tried_s += min(now - looked_at, _LONGEST_TRY_S)
                looked_at = now
                if tried_s >= self._try_for_s:
                    self._given_up = str(error)
                    raise
                time.sleep(_TRY_EVERY_S)
            else:
                assert self._connection is not None  # noqa: S101 - it is open
                return self._connection


class _Connection:
    """Frames over a carrier, and the threads that read it and keep the lease."""

    def __init__(self, carrier: Carrier) -> None:
        self.lost = ""
        self.ended: dict[str, NodeEnd] = {}
        self.said = carrier.said
        self._carrier = carrier
        self._answers: dict[int, Answer | Refusal] = {}
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._number = 0
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"foretell.host-{work.__name__}", daemon=True)
            for work in (self._read, self._keep)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, request: Request) -> Any:
        """Ask and wait for the answer.

        Raises:
            HostLost: There is none.
            UserError: The host refuses, and the user can mend it.
            ForetellError: It refuses.
        """
        answer = self._answer_to(self._send(request))
        if answer is None:
            raise HostLost(self.lost)
        if isinstance(answer, Refusal):
            raise (UserError if answer.mistake else ForetellError)(answer.text)
        return answer.value

    def close(self) -> None:
        """End the connection; the host ends by itself."""
        self._closed.set()
        if not self.lost:
            self._send(LeaveHost())
        self._carrier.leave()
        for thread in self._threads:
            thread.join(_ENDS_WITHIN_S)
        self._carrier.close()

    def _send(self, request: Request) -> int:
        with self._writing:
            self._number += 1
            frame = frames.packed(Asked(self._number, request))
            try:
                self._carrier.write(frame)
            except (OSError, ValueError):
                self._lose("its connection is broken")
            return self._number

    def _read(self) -> None:
        cutter = Frames()
        try:
            while arrived := self._carrier.read():
                for frame in cutter.cut(arrived):
                    self._take(frames.told(frame))
            self._lose("its connection has ended")
        except ForetellError as error:
            self._lose(str(error))
        except (OSError, ValueError):
            self._lose("its connection is broken")

    def _take(self, told: frames.Told) -> None:
        if isinstance(told, NodeEnded):
            self.ended[told.name] = NodeEnd(told.code, told.said, Path(told.log))
            return
        with self._changed:
            self._answers[told.number] = told
            self._changed.notify_all()

    def _keep(self) -> None:
        """Say again and again that the launcher is there."""
        while not self._closed.wait(_RENEW_EVERY_S) and not self.lost:
            self._answer_to(self._send(RenewLease()))

    def _answer_to(self, number: int) -> Answer | Refusal | None:
        """Wait for it; without one the host is lost."""
        with self._changed:
            in_time = self._changed.wait_for(lambda: number in self._answers or self.lost, _ANSWER_WITHIN_S)
            answer = self._answers.pop(number, None)
        if not in_time and not self._closed.is_set():
            self._lose(f"no answer within {_ANSWER_WITHIN_S:.0f} s")
        return answer

    def _lose(self, why: str) -> None:
        with self._changed:
            self.lost = self.lost or why
            self._changed.notify_all()
