"""Plans of as many agents as one likes, over each transport."""

from __future__ import annotations

from collections.abc import Callable

from ports import free_ports

from broker.config import TransportConfig
from scenarios.bench.growth import grown
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan


def over_zeromq(config: TransportConfig) -> TransportConfig:
    return config.model_copy(update={"zeromq": config.zeromq.model_copy(update={"scheme": "tcp"})})


def over_a_forwarder(config: TransportConfig) -> TransportConfig:
    forwarded = config.zeromq.model_copy(update={"scheme": "tcp", "mode": "forwarder"})
    return config.model_copy(update={"zeromq": forwarded})


def over_mqtt(config: TransportConfig) -> TransportConfig:
    mqtt = config.mqtt.model_copy(update={"broker": "mosquitto"})
    return config.model_copy(update={"kind": "mqtt", "mqtt": mqtt})


OVER: dict[str, Callable[[TransportConfig], TransportConfig]] = {
    "zeromq": over_zeromq,
    "forwarder": over_a_forwarder,
    "mqtt": over_mqtt,
}


def plan_over(transport: str, agents: int, neighbors: int, episodes: int) -> Plan:
    """Agents of `foretell bench growth`, with ports that nobody uses."""
    whole = grown(agents, episodes)
    topology = whole.topology.model_copy(update={"neighbors": neighbors})
    config = OVER[transport](whole.transport)
    zeromq = config.zeromq.model_copy(update={"base_port": free_ports(agents + 3)})
    changed = {"topology": topology, "transport": config.model_copy(update={"zeromq": zeromq})}
    return make_plan(whole.model_copy(update=changed))
