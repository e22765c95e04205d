"""Edges by the bytes with which their frames begin: those of a participant, or all that a forwarder serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from broker.run_name import ID_LENGTH, means_every_run
from broker.wire.messages import VERSION, Envelope

_TWO_EMPTY_NAMES = 2
"""Their bytes."""


class KnownEdge(NamedTuple):
    """An edge of a run.

    Attributes:
        source: Who sends.
        destination: Who receives.
        run_id: Of which run, where several are served at once; else empty.
    """

    source: str
    destination: str
    run_id: bytes = b""


class KnownEdges:
    """Some edges, in one run or in every run of its scenario.

    Attributes:
        longest: Bytes of the longest beginning; 0 where there is no edge.

    Args:
        run: Name of the run, or what `every_run` gives.
        edges: Source and destination of each.
    """

    def __init__(self, run: str, edges: Iterable[tuple[str, str]]) -> None:
        self._edges = {edge_prefix(run, *edge): KnownEdge(*edge) for edge in edges}
        self._lengths = sorted({len(prefix) for prefix in self._edges})
        self.longest = max(self._lengths, default=0)
        end = len(edge_prefix(run, "", "")) - _TWO_EMPTY_NAMES
        self._id = slice(end - ID_LENGTH, end) if means_every_run(run) else None
        self._any_id = run[-ID_LENGTH:].encode()

    def of_frame(self, frame: bytes) -> KnownEdge | None:
        """The edge on which a frame travels, if it is one of these."""
        for length in self._lengths:
            edge = self.beginning(frame[:length])
            if edge is not None:
                return edge
        return None

    def beginning(self, prefix: bytes) -> KnownEdge | None:
        """The edge whose frames all begin with exactly these bytes, if it is one of these."""
        if self._id is None:
            return self._edges.get(prefix)
        edge = self._edges.get(prefix[: self._id.start] + self._any_id + prefix[self._id.stop :])
        return None if edge is None else edge._replace(run_id=prefix[self._id])


def edge_prefix(run: str, source: str, destination: str) -> bytes:
    """The bytes with which every frame of an edge begins."""
    length = len(Envelope.__struct_fields__) + 1
    return bytes([0x90 + length]) + b"".join(map(msgspec.msgpack.encode, (VERSION, run, source, destination)))
