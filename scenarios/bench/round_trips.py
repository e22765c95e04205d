"""`foretell bench messages`: how long a message of 1 KB takes to a neighbor and back, over every way there is.

Blocks of all ways alternate, so that whatever else the machine does meets them all; the ratio to the direct way within
each round of blocks is what counts. Each of the two neighbors stays on a core of its own, as if on its own host: left
alone, the system at times puts both on one, where a direct round trip takes half as long and no other does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from broker.config import JoiningConfig, TransportConfig
from broker.driving.connect import connect
from broker.participants.link import LinkConfig
from broker.security.curve import make_curve_keys, with_forwarder
from broker.servers.forwarder import start_forwarder
from broker.servers.mqtt_server import start_mqtt_server
from broker.transports.transport import Transport
from broker.wire import messages
from broker.wire.messages import Envelope, Hello, Share
from scenarios.bench.trip_names import CURVE, DIRECT, FORWARDER, FORWARDER_CURVE, QOS_1
from scenarios.bench.workers import cores, end, fork, on_core
from scenarios.running.processes.child import end_with_parent

_RUN, _HERE, _THERE = "bench", "here", "there"
_NUMBERS = 256
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class RoundTrip:
    """Round trips over one way.

    Attributes:
        way: What the messages travel over.
        median_us: Microseconds there and back, median.
        ratio: To the direct way, median over rounds of blocks.
    """

    way: str
    median_us: float
    ratio: float


def measure_round_trips(blocks: int, trips: int, folder: Path) -> list[RoundTrip]:
    """Median round trips over each way, in alternating blocks.

    Args:
        blocks: Blocks of each way.
        trips: Round trips in a block.
        folder: For sockets, keys and logs.
    """
    with ExitStack() as stack:
        links = _links(folder, stack)
        usable = cores()
        stack.enter_context(on_core(usable[0]))  # with the threads of the transports to come
        ways = {way: stack.enter_context(_pair(*pair, core=usable[-1])) for way, pair in links.items()}
        for pair in ways.values():
            pair.meet()
            pair.trips_us(trips)
        rounds = [{way: pair.trips_us(trips) for way, pair in ways.items()} for _ in range(blocks)]
    medians = [{way: statistics.median(each) for way, each in one.items()} for one in rounds]
    return [
        RoundTrip(
            way,
            statistics.median([us for one in rounds for us in one[way]]),
            statistics.median(one[way] / one[DIRECT] for one in medians),
        )
        for way in ways
    ]


def _links(folder: Path, stack: ExitStack) -> Mapping[str, Sequence[LinkConfig]]:
    names = (_HERE, _THERE)
    peers = {_HERE: (_THERE,), _THERE: (_HERE,)}
    keys = folder / "keys"
    make_curve_keys(keys, with_forwarder(peers))
    plain, through = TransportConfig(), TransportConfig.model_validate({"zeromq": {"mode": "forwarder"}})
    queued = TransportConfig.model_validate({"kind": "mqtt", "mqtt": {"qos": 1}})
    forwarder = start_forwarder(f"ipc://{folder}/forwarder", folder, through, run=_RUN, peers=peers)
    stack.callback(forwarder.close)
    guarded = start_forwarder(
        f"ipc://{folder}/guard",
        folder / "guarded",
        through,
        run=_RUN,
        peers=peers,
        credentials=keys / messages.FORWARDER,
    )
    stack.callback(guarded.close)
    server = start_mqtt_server("auto", folder, queued)
    stack.callback(server.close)

    def links(way: str, transport: TransportConfig, broker: str = "", keys: Path | None = None) -> list[LinkConfig]:
        addresses = {name: f"ipc://{folder}/{way}-{name}" for name in names}
        return [
            LinkConfig(
                run=_RUN,
                name=name,
                peers=(peer,),
                seed=0,
                transport=transport,
                joining=JoiningConfig(),
                addresses=addresses,
                broker=broker,
                credentials=keys / name if keys else None,
            )
            for name, peer in (names, names[::-1])
        ]

    return {
        DIRECT: links("direct", plain),
        CURVE: links("curve", plain, keys=keys),
        FORWARDER: links("forwarder", through, forwarder.address),
        FORWARDER_CURVE: links("guarded", through, guarded.address, keys=keys),
        QOS_1: links("mqtt", queued, server.address),
    }


class _Pair:
    """A transport in this process whose neighbor, in another, sends everything back."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._sent = 0
        self._share = Share.of(0, 0, {"x": np.zeros(_NUMBERS, np.float32)})

    def meet(self) -> None:
        give_up_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < give_up_at:
            self._transport.send(Envelope(_RUN, _HERE, _THERE, self._sent, Hello(0, wants_reply=True)))
            self._transport.wait(0.05)
            if self._transport.poll(0.0):
                return
        msg = f"the neighbor did not answer within {_PATIENCE_S} s"
        raise TimeoutError(msg)

    def trips_us(self, trips: int) -> list[float]:
        return [self._trip_us() for _ in range(trips)]

    def _trip_us(self) -> float:
        began_at = time.perf_counter()
        self._transport.send(Envelope(_RUN, _HERE, _THERE, self._sent, self._share))
        self._sent += 1
        while not any(type(envelope.message) is Share for envelope in self._transport.poll(0.0)):
            self._transport.wait(1.0)
            if time.perf_counter() > began_at + _PATIENCE_S:
                msg = f"a message did not come back within {_PATIENCE_S} s"
                raise TimeoutError(msg)
        return (time.perf_counter() - began_at) * 1e6


@contextmanager
def _pair(here: LinkConfig, there: LinkConfig, *, core: int) -> Iterator[_Pair]:
    processes = fork(_echo, [(there.model_dump_json(), core)])
    transport = connect(here)
    try:
        yield _Pair(transport)
    finally:
        end(processes)
        transport.close(0.0)


def _echo(link_json: str, core: int) -> None:
    end_with_parent()
    link = LinkConfig.model_validate_json(link_json)
    with on_core(core):
        transport, sent = connect(link), 0
        while True:
            transport.wait(1.0)
            for envelope in transport.poll(0.0):
                transport.send(Envelope(_RUN, _THERE, _HERE, sent, envelope.message))
                sent += type(envelope.message) is Share
