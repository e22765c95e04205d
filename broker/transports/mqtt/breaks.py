"""What follows where an attempt to connect has failed, or a connection has broken: decided here, done elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from broker.addresses import Address
from broker.config import MqttConfig
from broker.errors import Unreachable, UserError
from broker.transports.mqtt.brokers import Brokers
from broker.transports.mqtt.who import Who
from broker.wire.records import EventKind

ANSWER_WITHIN_S = 5.0
"""So long a broker has for each of its answers."""
_LONGEST_PAUSE_S = 2.0
_SETTLED_S = 10.0
"""A connection that lasted so long was a good one: the next pause is short again."""
_FIGHT = 3
"""So many short connections, with no failure to connect between them, look like two clients of one identifier."""
_LONGEST_ATTEMPT_S = 2 * ANSWER_WITHIN_S
"""What takes longer than that is no attempt: this process, or its host, was stopped meanwhile."""
_NOBODY_THERE = "Does it run, and is the address right?"

Notice = Callable[[EventKind, str], None]


@dataclass(frozen=True)
class Failure:
    """How an attempt failed or a connection broke.

    Attributes:
        reason: Why, in the words of whoever said it.
        advice: What a user can do, where it will not pass by itself; None where it may.
        is_final: Whether a connection that has worked will not work again.
        was_taken_over: Whether the broker says that another client has the same identifier.
        is_of_version: Whether the broker may know another version of MQTT.
        is_of_dates: Whether the dates of a certificate and the clock of this host do not agree.
        may_mean_not_yet: Whether a cluster may say so while its servers elect a leader.
    """

    reason: str
    advice: str | None
    is_final: bool
    was_taken_over: bool
    is_of_version: bool
    is_of_dates: bool
    may_mean_not_yet: bool


class NextTry(Enum):
    """What to try, after a pause."""

    NEXT_BROKER = "the next broker, which is the same one where there is no other"
    OTHER_VERSION = "the other version of MQTT; where both were tried, with the next broker"
    WRONG_DATE = "the next broker, after saying what the dates are: a clock may be set a little later"


class Breaks:
    """What has become of the attempts and connections so far. It knows no clock: every time is told.

    Args:
        who: Who connects.
        config: Settings of MQTT.
        brokers: Which broker is tried now, and whether there are others.
        gone_for_s: How long a connection that has broken may be gone.
        notice: Takes a kind of event and a sentence.
    """

    def __init__(self, who: Who, config: MqttConfig, brokers: Brokers, gone_for_s: float, notice: Notice) -> None:
        self._who, self._config, self._brokers = who, config, brokers
        self._gone_for_s, self._notice = gone_for_s, notice
        self._problem, self._hint = "no answer yet", _NOBODY_THERE
        self._joined = False
        self._connected_at: float | None = None
        self._broken_at: float | None = None
        self._silent_since = 0.0
        self._broken_off: Address | None = None
        self._gone_s, self._looked_at = 0.0, 0.0
        self._pause_s, self._fights = config.reconnect_s, 0

    @property
    def problem(self) -> str:
        """Why the last attempt failed."""
        return self._problem

    @property
    def told(self) -> str:
        """Why the last attempt failed, and what to do about it."""
        return f"{self._problem}. {self._hint}"

    def explain(self, problem: str, hint: str) -> None:
        """Say better why the last attempt failed, and what to do."""
        self._problem, self._hint = problem, hint

    def next_pause_s(self) -> float:
        """How long to wait now; the time after, twice as long."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, max(_LONGEST_PAUSE_S, self._config.reconnect_s))
        return pause_s

    def welcome(self, now: float, through_sleep: float, *, session_kept: bool) -> None:
        """Note that a connection works.

        Args:
            now: Seconds.
            through_sleep: Seconds that go on while the host sleeps.
            session_kept: Whether the broker still knew the client's session.
        """
        if self._broken_at is not None:
            gone_s = now - self._broken_at
            may_have_expired = through_sleep - self._silent_since >= self._who.expires_after_s
            self._notice(EventKind.RECONNECTED, f"connected to {self._brokers.address} again after {gone_s:.1f} s")
            if may_have_expired or not (session_kept and self._who.is_confirmed):
                text = f"{self._who.name} lost its connection to {self._broken_off}, and what was under way may be lost"
                self._notice(EventKind.UNDER_WAY_LOST, text)
        self._connected_at, self._joined = now, True

    def face(self, failure: Failure, now: float, heard_at: float, *, ran: bool) -> NextTry:
        """Draw the consequences of an attempt that failed or a connection that broke.

        Args:
            failure: How.
            now: Seconds.
            heard_at: When something last came from the broker, in seconds that go on while the host sleeps.
            ran: Whether this process ran all the time; else nobody heard what the broker may have answered.

        Raises:
            UserError: The broker refuses for good, or has been gone for too long.
        """
        self._problem, self._hint = failure.reason, _NOBODY_THERE
        then = NextTry.NEXT_BROKER
        if self._connected_at is not None:
            self._face_break(now - self._connected_at, was_taken_over=failure.was_taken_over)
            self._connected_at, self._broken_at, self._silent_since = None, now, heard_at
            self._broken_off = self._brokers.address
            self._gone_s, self._looked_at = 0.0, now
        elif self._joined:
            self._face_absence(now)
        elif not ran:
            self._fights = 0
        elif self._config.protocol == "auto" and failure.is_of_version:
            then = NextTry.OTHER_VERSION
        elif failure.is_of_dates:
            then = NextTry.WRONG_DATE
        else:
            self._refuse(failure)
        if self._joined and failure.is_final:
            self._refuse(failure)
        return then

    def _face_break(self, lasted_s: float, *, was_taken_over: bool) -> None:
        name, identifier, address = self._who.name, self._who.identifier, self._brokers.address
        self._notice(EventKind.DISCONNECTED, f"the connection to {address} broke ({self._problem}): trying again")
        if lasted_s >= _SETTLED_S:
            self._pause_s = self._config.reconnect_s
        self._fights = self._fights + 1 if lasted_s < _SETTLED_S else 0
        if self._fights == _FIGHT:
            text = (
                f"{address} ended {_FIGHT} connections of {identifier} soon after they began: is {name} running twice?"
            )
            if not was_taken_over:
                text += (
                    f" Or does it refuse what is larger than some limit? This run needs {self._who.packet_bytes} bytes"
                )
            self._notice(EventKind.CONTESTED, text)

    def _face_absence(self, now: float) -> None:
        """End where the broker has been gone for too long; time in which this process did not run is not counted.

        Raises:
            UserError: It has been gone for too long.
        """
        self._fights = 0
        self._gone_s += min(now - self._looked_at, _LONGEST_ATTEMPT_S)
        self._looked_at = now
        if self._gone_s >= self._gone_for_s:
            msg = (
                f"{self._who.name} has lost the MQTT broker at {self._brokers} and cannot reach it again for "
                f"{self._gone_for_s:g} s (joining.give_up_s): {self._problem}. Does it run, and has it changed?"
            )
            raise Unreachable(msg)

    def _refuse(self, failure: Failure) -> None:
        """End where waiting does not help.

        Raises:
            UserError: It does not.
        """
        if failure.advice is None:
            return
        self._hint = failure.advice
        if self._brokers.is_last_hope and not (self._brokers.are_several and failure.may_mean_not_yet):
            msg = f"{self._who.name} cannot use the MQTT broker at {self._brokers.address}: {self.told}"
            raise UserError(msg.rstrip())
