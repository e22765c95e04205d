"""What a participant has counted up to now, told to a collector on its own host. It crosses no edge of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from broker.wire.records import EDGE_COUNTS, Count, EdgeRecord, Text

_EDGES_AT_ONCE = 64
"""So that what is told at once stays far below what a socket takes."""


class BarrierTime(msgspec.Struct, frozen=True):
    """How long a participant has waited for its peers at one kind of barrier.

    Attributes:
        times: How often the barrier has closed.
        seconds: How long it was open, all together, on the participant's clock.
    """

    times: Count
    seconds: float


class Counters(msgspec.Struct, frozen=True):
    """What one participant has counted since the run began, or a part of it.

    Attributes:
        run: Name of the run, with its id.
        participant: Who.
        edges: What it has counted of edges, as one of their ends.
        queued: By peer, messages that wait to leave.
        barriers: By what it waited for: `action`, `ready`, `share`.
    """

    run: Text
    participant: Text
    edges: tuple[EdgeRecord, ...]
    queued: dict[Text, Count]
    barriers: dict[Text, BarrierTime]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Counters)


def packed_counters(counters: Counters) -> Iterator[bytes]:
    """The counters in parts, each as bytes."""
    edges = counters.edges
    for begin in range(0, max(len(edges), 1), _EDGES_AT_ONCE):
        yield _ENCODER.encode(msgspec.structs.replace(counters, edges=edges[begin : begin + _EDGES_AT_ONCE]))


def unpacked_counters(body: bytes) -> Counters:
    """A part of somebody's counters.

    Raises:
        msgspec.DecodeError: It is none.
    """
    return _DECODER.decode(body)


def summed_edges(records: Iterable[object]) -> tuple[EdgeRecord, ...]:
    """One record for each edge of which something was counted, the sum of all of its records; others are left out."""
    sums: dict[tuple[str, str], list[int]] = {}
    for record in records:
        if type(record) is EdgeRecord:
            found = sums.setdefault((record.source, record.destination), [0] * len(EDGE_COUNTS))
            for place, name in enumerate(EDGE_COUNTS):
                found[place] += getattr(record, name)
    return tuple(EdgeRecord(*edge, *counts) for edge, counts in sums.items())
