"""`python -P -m broker.servers.amqtt_server SETTINGS.json`: an MQTT broker of pure Python, where mosquitto is missing.

amqtt leaves three doors open that are shut here: it looks at the password only after it has ended the session of
whoever had the same client id, it hands queued messages to anybody who takes over a client id, and it publishes a
will without asking whether its sender may. And it reads the CONNECT of MQTT 5 as if it were one of 3.1.1, and waits for
more; here that is refused at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Any, Self

import amqtt.broker
from amqtt.adapters import ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.contexts import Action, BaseContext
from amqtt.errors import BrokerError, MQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectVariableHeader
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from broker.addresses import Address
from broker.errors import FrameRejected
from broker.security.mqtt_access import CERTIFICATE, KEY, PASSWORDS, PERMISSIONS, is_password
from broker.servers.amqtt_config import AmqttConfig
from broker.servers.mqtt_log import Refusals

_log = logging.getLogger("foretell")
_refusals = Refusals(_log.warning)
_LEVEL = 4
_REFUSED_VERSION = bytes([0x20, 2, 0, 1])
"""CONNACK: unacceptable protocol version."""


class Access:
    """Who may do what, as `make_mqtt_access` wrote it for mosquitto.

    Args:
        folder: With the passwords and permissions; None: all may do all.
    """

    def __init__(self, folder: Path | None) -> None:
        self.open = folder is None
        self._hashes: dict[str, str] = {}
        self._granted: set[tuple[str, str, str]] = set()
        if folder is not None:
            for line in (folder / PASSWORDS).read_text(encoding="utf-8").splitlines():
                name, _, hashed = line.partition(":")
                self._hashes[name] = hashed
            self._read_permissions((folder / PERMISSIONS).read_text(encoding="utf-8"))

    def _read_permissions(self, text: str) -> None:
        user = ""
        for line in filter(None, text.splitlines()):
            match line.split():
                case ["user", name]:
                    user = name
                case ["topic", right, topic]:
                    self._granted.add((user, right, topic))
                case _:
                    raise BrokerError(f"expected 'user NAME' or 'topic RIGHT TOPIC' in {PERMISSIONS}, found {line!r}")

    def admits(self, name: str | None, password: str | None) -> bool:
        """Whether this is somebody's name and password."""
        if self.open:
            return True
        return name in self._hashes and password is not None and is_password(password, self._hashes[name])

    def grants(self, name: str | None, action: Action, topic: str | None) -> bool:
        """Whether `name` may do this; a topic with wildcards is nobody's."""
        right = "write" if action == Action.PUBLISH else "read"
        return self.open or (name or "", right, topic or "") in self._granted


class Handler(BrokerProtocolHandler):
    """Reads the CONNECT of a client, and sends those away who may not come in."""

    access: Access

    @classmethod
    async def init_from_connect(
        cls, reader: ReaderAdapter, writer: WriterAdapter, *args: Any, **options: Any
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Called before amqtt does anything in the name of the client."""
        handler, session = await super().init_from_connect(reader, writer, *args, **options)
        if not cls.access.admits(session.username, session.password):
            _refusals.note(f"wrong name or password of {session.username!r}")
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            raise MQTTError(f"wrong name or password: {session.username!r}")
        if not cls.access.open:
            session.client_id = session.username
        if not cls.access.grants(session.username, Action.PUBLISH, session.will_topic):
            session.will_flag = False
        return handler, session


class Admission(BaseAuthPlugin):
    """Lets in whom `Handler` has not sent away."""

    async def authenticate(self, *, session: Session) -> bool:  # noqa: ARG002 - has been seen by Handler
        """Yes."""
        return True


class Permission(BaseTopicPlugin):
    """Grants publishing, subscribing and receiving by topic."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._access = Handler.access

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Whether the session's owner may do this."""
        if session is None or action is None:
            return False
        granted = self._access.grants(session.username, action, topic)
        if not granted and action == Action.PUBLISH:
            _refusals.note(f"{session.username!r} may not publish on {topic!r}")
        return granted


class _UnknownVersion(Exception):
    """A client asks for another version of MQTT."""


class _Connect(ConnectVariableHeader):
    """What stands in front of a CONNECT's names, up to the version."""

    @classmethod
    async def from_stream(cls, reader: ReaderAdapter, header: MQTTFixedHeader) -> Self:
        """Read no further where the rest means something else."""
        read = await super().from_stream(reader, header)
        if read.proto_level != _LEVEL:
            raise _UnknownVersion(f"level {read.proto_level} of MQTT, expected {_LEVEL} (3.1.1)")
        return read


class _LimitedReader(StreamReaderAdapter):
    """Reads no field that is larger than a packet may be."""

    def __init__(self, reader: asyncio.StreamReader, max_bytes: int) -> None:
        super().__init__(reader)
        self._max_bytes = max_bytes

    async def read(self, n: int = -1) -> bytes:
        if n > self._max_bytes:
            raise FrameRejected(f"expected at most {self._max_bytes} bytes, found {n}")
        return await super().read(n)


class Broker(amqtt.broker.Broker):
    """amqtt's broker with a limit for packets, and on IPv6."""

    def __init__(self, config: dict[str, Any], max_packet_bytes: int) -> None:
        super().__init__(config)
        self._max_packet_bytes = max_packet_bytes

    @classmethod
    def _split_bindaddr_port(cls, port_str: str, default_port: int) -> tuple[str | None, int]:
        """As amqtt has it, but an IPv6 address without its brackets, which no socket takes; `::` is all of both."""
        host, port = super()._split_bindaddr_port(port_str, default_port)
        bare = host.strip("[]") if host else host
        return None if bare == "::" else bare, port

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """A client has connected; asyncio has set TCP_NODELAY."""
        limited = _LimitedReader(reader, self._max_packet_bytes)
        try:
            await self.external_connected(limited, StreamWriterAdapter(writer), listener_name)
        except _UnknownVersion as error:
            _log.info("refused a client: %s", error)
            writer.write(_REFUSED_VERSION)
            writer.close()
        except (FrameRejected, OSError) as error:
            _log.warning("disconnected a client: %s", error)
            writer.close()


def settings_of(config: AmqttConfig) -> dict[str, Any]:
    """Amqtt's own settings."""
    listener: dict[str, Any] = {
        "type": "tcp",
        "bind": str(Address("", config.host, config.port)).removeprefix("://"),
        "max_connections": -1,
    }
    if config.access is not None:
        listener |= {
            "ssl": True,
            "certfile": str(config.access / CERTIFICATE),
            "keyfile": str(config.access / KEY),
        }
    return {
        "listeners": {"default": listener},
        "session_expiry_interval": config.session_expiry_s,
        "plugins": {f"{__name__}.Admission": {}, f"{__name__}.Permission": {}},
    }


async def serve(config: AmqttConfig) -> None:
    """Be a broker until SIGTERM."""
    Handler.access = Access(config.access)
    amqtt.broker.BrokerProtocolHandler = Handler  # type: ignore[attr-defined] # amqtt offers no other way
    ConnectPacket.VARIABLE_HEADER = _Connect
    broker = Broker(settings_of(config), config.max_packet_bytes)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await broker.start()
    await ended.wait()
    _refusals.count()
    await broker.shutdown()


def main() -> None:
    """Read the settings and serve."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    asyncio.run(serve(AmqttConfig.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
