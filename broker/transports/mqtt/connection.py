"""Stays connected to an MQTT broker, in the event loop that it owns."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker.config import MqttConfig
from broker.errors import Unreachable, UserError
from broker.own_clock import OwnClock, clock_through_sleep
from broker.security.mqtt_access import MqttCredentials
from broker.security.validity import certificates_in, certificates_of, is_of_dates, wrong_date
from broker.transports.mqtt.breaks import ANSWER_WITHIN_S, Breaks, Failure, NextTry
from broker.transports.mqtt.brokers import Brokers
from broker.transports.mqtt.client import MqttClient
from broker.transports.mqtt.hears import Hears
from broker.transports.mqtt.own_loop import OwnLoop
from broker.transports.mqtt.reasons import (
    REFUSED,
    TAKEN_OVER,
    OfferTooSmall,
    SubscriptionRefused,
    advice,
    code_of,
    final_of,
    means_other_version,
    reason_of,
)
from broker.transports.mqtt.who import Who

V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311

_NO_RETAINED = SubscribeOptions.RETAIN_DO_NOT_SEND


class MqttConnection:
    """A connection that is made anew when it breaks.

    Attributes:
        client: aiomqtt's client, None before the first connection.
        protocol: MQTT's version; what `auto` has come to, once connected.

    Args:
        who: Who connects.
        addresses: mqtt://HOST:PORT or mqtts://HOST:PORT of every broker of a cluster, the first to try first.
        config: Settings of MQTT.
        credentials: User name, password and authority, or None.
        gone_for_s: How long a connection that has broken may be gone.
        hears: Takes what comes, and is told what happens.
    """

    def __init__(
        self,
        who: Who,
        addresses: Sequence[str],
        config: MqttConfig,
        credentials: MqttCredentials | None,
        *,
        gone_for_s: float,
        hears: Hears,
    ) -> None:
        self.protocol = V311 if config.protocol == "3.1.1" else V5
        self.client: MqttClient | None = None
        self._who, self._config, self._credentials = who, config, credentials
        self._brokers = Brokers(addresses)
        self._breaks = Breaks(who, config, self._brokers, gone_for_s, hears.notice)
        self._hears = hears
        self._clock = OwnClock()
        self._executor: ThreadPoolExecutor | None = None
        self._loop = OwnLoop(lambda: self.client)

    def open(self, within_s: float) -> MqttClient:
        """Connect for the first time; returns the client, which stays the same from now on.

        Raises:
            Unreachable: No broker answers within `within_s` seconds.
            UserError: It refuses for good.
        """
        give_up_at = self._clock() + within_s
        self._loop.start(self._stay_connected(), "stay connected")
        while self.client is None or not self.client.ready:
            if (left_s := self._clock.left_s(give_up_at)) <= 0:
                msg = (
                    f"{self._who.name} cannot reach an MQTT broker at {self._brokers} within {within_s:g} s: "
                    f"{self._breaks.told}"
                )
                raise Unreachable(msg)
            self.run(left_s)
        return self.client

    def run(self, timeout_s: float | None) -> None:
        """Read, and keep the connection going, until `stop`; for at most `timeout_s` seconds."""
        self._loop.run(timeout_s)

    def stop(self) -> None:
        """Let `run` return."""
        self._loop.stop()

    def close(self) -> None:
        """Say goodbye and release everything."""
        loop = self._loop
        if self._executor is not None:
            self._executor.shutdown()
            loop.turn()  # what its thread has left to do for the loop
        if self.client is not None:
            self.client.say_goodbye(_session_expiry(PacketTypes.DISCONNECT, 0) if self.protocol == V5 else None)
        loop.end_work()  # from here: the goodbye has a limit of its own
        if self.client is not None:
            self.client.sever()
            loop.turn()
        loop.close()

    async def _stay_connected(self) -> None:
        """Connect, subscribe, and do so again whenever the connection breaks.

        Raises:
            UserError: The broker refuses for good, or has been gone for too long.
        """
        while True:
            if self.client is None:
                self.client = self._make_client()
            self._executor = ThreadPoolExecutor(1)  # of this attempt alone: no thread stays behind
            asyncio.get_running_loop().set_default_executor(self._executor)
            breaks = self._clock.breaks
            try:
                async with self.client as client:
                    self._executor.shutdown(wait=False)
                    client.ensure_connected()
                    self._check_offer(client)
                    await self._subscribe(client)
                    self._welcome(client)
                    async for _ in client.messages:  # none comes this way, but the end of the connection does
                        pass
            except aiomqtt.MqttError as error:
                self._executor.shutdown(wait=False)
                if self.client is not None:
                    self.client.sever()
                self._clock()
                self._face(error, ran=self._clock.breaks == breaks)
            await asyncio.sleep(self._breaks.next_pause_s())

    def _make_client(self) -> MqttClient:
        address, is_v5, shown = self._brokers.address, self.protocol == V5, self._credentials
        return MqttClient(
            self._hears,
            hostname=address.host,
            port=address.port,
            username=shown.username if shown else None,
            password=shown.password if shown else None,
            identifier=self._who.identifier,
            protocol=self.protocol,
            will=self._will(),
            timeout=ANSWER_WITHIN_S,
            keepalive=self._config.keepalive_s,
            properties=_session_expiry(PacketTypes.CONNECT, self._config.session_expiry_s) if is_v5 else None,
            tls_context=self._tls() if address.scheme == "mqtts" else None,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def _will(self) -> aiomqtt.Will | None:
        if self._who.will is None:
            return None
        properties = None
        if self.protocol == V5:
            properties = _properties(PacketTypes.WILLMESSAGE)
            properties.WillDelayInterval = self._config.will_delay_s
        return aiomqtt.Will(*self._who.will, qos=1, properties=properties)

    def _tls(self) -> ssl.SSLContext:
        authority = self._credentials.ca if self._credentials else None
        try:
            return ssl.create_default_context(cafile=authority)
        except (OSError, ssl.SSLError) as error:
            msg = f"{self._who.name} cannot use {authority} to check the broker at {self._brokers.address}: {error}"
            raise UserError(msg) from None

    def _check_offer(self, client: MqttClient) -> None:
        """Refuse a broker that does not offer what this run needs.

        Raises:
            OfferTooSmall: Says what it lacks.
        """
        topics = [qos for _, qos in self._who.topics]
        if lacking := client.offer.lacks(self._who.packet_bytes, max(self._who.qos, *topics, 0)):
            raise OfferTooSmall(lacking)

    async def _subscribe(self, client: MqttClient) -> None:
        """Listen to the in-edges.

        Raises:
            MqttError: The broker refuses one, or grants less than was asked for.
        """
        if not self._who.topics:
            return
        topics: Any = [  # aiomqtt's type is one of two
            (topic, SubscribeOptions(qos=qos, retainHandling=_NO_RETAINED) if self.protocol == V5 else qos)
            for topic, qos in self._who.topics
        ]
        for (topic, qos), answer in zip(self._who.topics, await client.listen(topics), strict=False):
            code: Any = getattr(answer, "value", answer)
            if code >= REFUSED:
                raise SubscriptionRefused(f"it does not let this participant listen to {topic}")
            if code < qos:
                raise OfferTooSmall(
                    f"it grants quality of service {code} on {topic}, and this run needs {qos}. Use another broker"
                )

    def _welcome(self, client: MqttClient) -> None:
        client.begin()
        self._breaks.welcome(time.monotonic(), clock_through_sleep(), session_kept=client.session_kept)
        self._brokers.reach()
        self._hears.go_on()
        self.stop()

    def _face(self, error: aiomqtt.MqttError, *, ran: bool) -> None:
        """Draw the consequences of an attempt that failed or a connection that broke; see `Breaks.face`.

        Raises:
            UserError: The broker refuses for good, or has been gone for too long.
        """
        heard_at = clock_through_sleep() if self.client is None else self.client.heard_at
        then = self._breaks.face(self._failure(error), time.monotonic(), heard_at, ran=ran)
        if then is NextTry.OTHER_VERSION:
            self._turn_to_other_version()
        else:
            if then is NextTry.WRONG_DATE:
                problem, _, hint = self._wrong_date().partition(". ")
                self._breaks.explain(problem, f"{hint}.")
            self._turn_to_next()
        self.stop()

    def _failure(self, error: aiomqtt.MqttError) -> Failure:
        return Failure(
            reason=reason_of(error) + (self.client.words if self.client is not None else ""),
            advice=advice(error, self._brokers.address.host, self._credentials, self._who.packet_bytes),
            is_final=final_of(error),
            was_taken_over=code_of(error) == TAKEN_OVER,
            is_of_version=means_other_version(error),
            is_of_dates=is_of_dates(error.__context__),
            # MQTT 3.1.1 has one word for every refusal
            may_mean_not_yet=self.protocol == V311 and isinstance(error, SubscriptionRefused),
        )

    def _turn_to_next(self) -> None:
        """Try the next broker, which is the same one where there is no other."""
        self._brokers.turn()
        if self.client is not None:
            self.client.turn_to(self._brokers.address)

    def _turn_to_other_version(self) -> None:
        """Try the other version of MQTT; where both were tried, with the next broker."""
        self.client = None
        if self.protocol == V5:
            self.protocol = V311
        else:
            self.protocol = V5
            self._turn_to_next()

    def _wrong_date(self) -> str:
        """What the clock of this host and the certificates say, and what to do."""
        signed_by = self._credentials.ca if self._credentials else None
        found = certificates_in(signed_by) if signed_by is not None else []
        found += certificates_of(self._brokers.address.host, self._brokers.address.port)
        return wrong_date(found, dt.datetime.now(dt.UTC)) or f"{self._breaks.problem}. Set the clock of this host"


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call] # paho's


def _session_expiry(packet: int, seconds: int) -> Properties:
    properties = _properties(packet)
    properties.SessionExpiryInterval = seconds
    return properties
