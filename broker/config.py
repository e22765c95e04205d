"""The broker's settings in a scenario, but for the faults: each with unit, range and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from broker.addresses import parse_address, parse_host
from broker.model import LONGEST_S, Model

__all__ = [
    "LONGEST_KEEPALIVE_S",
    "MOST_TEXT_BYTES",
    "JoiningConfig",
    "Model",
    "MqttConfig",
    "SecurityConfig",
    "TransportConfig",
    "ZeroMQConfig",
]


LONGEST_KEEPALIVE_S = 65_535
"""More has no room in MQTT's CONNECT."""
MOST_TEXT_BYTES = 65_535
"""Of one text in MQTT: a name, a password, a topic."""


class JoiningConfig(Model):
    """How participants find each other before the first step."""

    hello_interval_s: float = Field(
        default=0.1,
        ge=0.001,
        le=60,
        description="Seconds between two HELLOs to a peer that has not answered; connecting takes about 0.02 s.",
    )
    give_up_s: float = Field(
        default=60.0,
        gt=0,
        le=LONGEST_S,
        description="Seconds after which a peer that never answered ends the run, or an MQTT broker that cannot be "
        "reached, at first or again; a Pi imports torch for 20 s, where an algorithm needs it.",
    )


class ZeroMQConfig(Model):
    """ZeroMQ: direct with one inbound socket and one socket per out-edge, or through a forwarder."""

    mode: Literal["direct", "forwarder"] = Field(
        default="direct",
        description="direct: participants connect to each other; forwarder: all to one process between them, "
        "for networks where they cannot reach each other.",
    )
    scheme: Literal["ipc", "tcp"] = Field(
        default="ipc", description="ipc on one host (no open port), tcp between hosts."
    )
    host: str = Field(default="127.0.0.1", description="Address that participants listen on with tcp.")
    base_port: int = Field(
        default=5670,
        ge=1024,
        le=65000,
        description="With tcp, participant number i (environment first) listens on base_port + i.",
    )
    addresses: dict[str, str] = Field(
        default={},
        description="Full address of single participants (`agent-0 = 'tcp://10.0.0.7:5670'`), instead of the above.",
    )

    forwarder: str = Field(
        default="",
        description="tcp://HOST:PORT of a forwarder that runs already: participants publish there and subscribe at the "
        "next port, the observer at the one after it (ipc://PATH: at PATH-out and PATH-observer); empty: the run "
        "starts one on this host.",
    )

    @field_validator("forwarder")
    @classmethod
    def _forwarder_can_be_meant(cls, forwarder: str) -> str:
        return str(parse_address(forwarder, "tcp", "ipc")) if forwarder else ""

    @field_validator("addresses")
    @classmethod
    def _addresses_can_be_meant(cls, addresses: dict[str, str]) -> dict[str, str]:
        parsed = {}
        for name, address in addresses.items():
            try:
                parsed[name] = str(parse_address(address, "tcp", "ipc"))
            except ValueError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from None
        return parsed

    @field_validator("host")
    @classmethod
    def _host_can_be_meant(cls, host: str) -> str:
        return parse_host(host)

    keepalive_interval_s: int = Field(
        default=1,
        ge=0,
        le=7200,
        description="Silence after which TCP asks whether the peer's host is there; without it one that has lost its "
        "power is never noticed. 0 switches it off.",
    )
    keepalive_timeout_s: int = Field(
        default=30,
        ge=1,
        le=600,
        description="A connection whose peer takes in nothing for so long, because its host is gone or because it does "
        "not read and its queue is full, is broken off and made anew; what was under way is lost, and counted. "
        "Without keepalive there is no such limit.",
    )
    reconnect_ms: int = Field(
        default=20, ge=1, le=10_000, description="First pause before connecting again; doubles up to one second."
    )


class MqttConfig(Model):
    """MQTT: all through one broker."""

    address: str | tuple[str, ...] = Field(
        default="",
        description="mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS, of a broker that runs already, or a list "
        "of those of a cluster: participants spread over them, and go on with the next where one is gone; empty: the "
        "run starts one on this host.",
    )
    username: str = Field(
        default="",
        description="Under which name everybody connects to a broker that has accounts of its own; empty: the keys of "
        "the run say who is who, or nobody asks.",
    )
    password_file: Path | None = Field(
        default=None,
        description="File whose first line is the password of `username`, on every host of the run, for its owner's "
        "eyes alone. No setting holds a password: settings are printed and kept.",
    )
    password_variable: str = Field(
        default="",
        pattern="^[A-Za-z0-9_]*$",
        json_schema_extra={"text": "the name of a variable: letters, digits and underscores"},
        description="Environment variable that holds the password of `username` instead, on every host of the run.",
    )
    broker: Literal["auto", "mosquitto", "amqtt"] = Field(
        default="auto",
        description="The broker that a run starts; auto takes mosquitto where it is installed, else amqtt, "
        "which is slower and knows MQTT 3.1.1 only.",
    )
    protocol: Literal["auto", "5", "3.1.1"] = Field(
        default="auto", description="MQTT's version; auto asks for 5 and takes 3.1.1 where the broker refuses it."
    )
    qos: Literal[0, 1] = Field(
        default=0,
        description="0: at most once, losses are counted by the numbers on each edge; 1: sent again until the broker "
        "has it, several times slower. What goes to the observer is always sent with 1.",
    )
    keepalive_s: int = Field(
        default=60,
        ge=1,
        le=LONGEST_KEEPALIVE_S,
        description="Silence after which a broker that runs already ends a connection, times 1.5. One that the run "
        "starts waits for 27 hours: participants may all be stopped for a while, as with Ctrl-Z.",
    )
    session_expiry_s: int = Field(
        default=300,
        ge=0,
        le=86400,
        description="How long an MQTT 5 broker keeps subscriptions and messages for who lost its connection.",
    )
    message_expiry_s: int = Field(
        default=30,
        ge=0,
        le=86400,
        description="Age at which an MQTT 5 broker throws a share away that nobody fetched; 0 for never. An agent that "
        "was away for so long has the run go back to the last common episode.",
    )
    will_delay_s: int = Field(
        default=5,
        ge=0,
        le=3600,
        description="How long a connection may be gone before an MQTT 5 broker tells the observer; 3.1.1: at once.",
    )
    reconnect_s: float = Field(
        default=0.1, gt=0, le=60, description="First pause before connecting again; doubles up to two seconds."
    )

    @model_validator(mode="after")
    def _password_is_somebody_s_and_in_one_place(self) -> Self:
        if self.password_file is not None and self.password_variable:
            raise ValueError("expected password_file or password_variable, found both")
        if not self.username and (self.password_file is not None or self.password_variable):
            raise ValueError("expected a username with the password")
        if self.username and not self.address:
            raise ValueError(
                "expected no username: a broker that the run starts itself knows no accounts; name an address"
            )
        return self

    @field_validator("username")
    @classmethod
    def _username_fits_into_connect(cls, username: str) -> str:
        size = len(username.encode(errors="surrogatepass"))
        if size > MOST_TEXT_BYTES:
            msg = f"expected at most {MOST_TEXT_BYTES} bytes in UTF-8, found {size}"
            raise ValueError(msg)
        return username

    @field_validator("address")
    @classmethod
    def _address_can_be_meant(cls, address: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(address, str):
            return str(parse_address(address, "mqtt", "mqtts")) if address else ""
        found = tuple(str(parse_address(each, "mqtt", "mqtts")) for each in address)
        if len(set(found)) < len(found) or len({each.partition(":")[0] for each in found}) > 1:
            msg = f"expected addresses of different brokers, all with TLS (mqtts) or none, found {', '.join(found)}"
            raise ValueError(msg)
        return found

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those of all brokers that run already."""
        if isinstance(self.address, str):
            return (self.address,) if self.address else ()
        return self.address


class SecurityConfig(Model):
    """Who may take part: keys and passwords, encryption, and permissions by edge."""

    mode: Literal["auto", "on", "off"] = Field(
        default="auto", description="auto: on as soon as an address of the run lies beyond this host."
    )
    keys: Path | None = Field(
        default=None,
        description="Folder that `foretell keys` made; a run that starts everybody itself makes keys of its own "
        "where none is given.",
    )


class TransportConfig(Model):
    """How messages travel between processes; a simulation uses memory instead."""

    kind: Literal["zeromq", "mqtt"] = "zeromq"
    queue_messages: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="Messages held per out-edge when the peer does not read; more are dropped and counted.",
    )
    observer_queue_messages: int = Field(
        default=65_536,
        ge=64,
        le=10_000_000,
        description="The same towards the observer, whose records must not be lost while it starts or draws.",
    )
    max_message_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=1024,
        le=256_000_000,  # MQTT ends at 268,435,455 with its topic
        description="A larger frame is refused; ZeroMQ closes the sender's connection (ZMQ_MAXMSGSIZE).",
    )
    zeromq: ZeroMQConfig = ZeroMQConfig()
    mqtt: MqttConfig = MqttConfig()
    security: SecurityConfig = SecurityConfig()
    scheduling: Literal["batch", "normal"] = Field(
        default="batch",
        description="How Linux schedules participants and the run's MQTT broker or forwarder. batch (SCHED_BATCH): "
        "who wakes waits until a core is free, instead of interrupting a participant that works, which saves context "
        "switches where processes outnumber cores; normal: the system's default.",
    )
    journal: bool = Field(
        default=False,
        description="Let every participant keep a journal in `journal/` of the run's folder: every frame that it sends "
        "and receives, when it looked, and how long it computed. `foretell replay`, `diff` and `trace` read them.",
    )

    @model_validator(mode="after")
    def _broker_knows_keys_or_accounts(self) -> Self:
        if self.kind != "mqtt" or not self.mqtt.username:
            return self
        if self.security.mode == "on" or self.security.keys is not None:
            raise ValueError(
                "expected security.keys, or mqtt.username for a broker with accounts of its own, found both"
            )
        for address in [parse_address(each, "mqtt", "mqtts") for each in self.mqtt.addresses]:
            if self.security.mode == "auto" and address.scheme == "mqtt" and address.is_beyond_this_host:
                raise ValueError(
                    f"the password of mqtt.username would cross the network in clear to {address}: expected mqtts://, "
                    'or security.mode = "off"'
                )
        return self
