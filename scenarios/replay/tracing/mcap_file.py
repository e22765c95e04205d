"""The messages of a run as an MCAP file, for Foxglove and others: a channel for each edge, arrays included.

A channel is called `/agent-0/agent-1`; a message of it is JSON, logged when it had arrived and published when it was
sent. What a fault did to it afterwards is not seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from broker.counting import counted
from broker.errors import UserError
from broker.wire.messages import Envelope, Message, name_of
from scenarios.replay.journals import LifeJournal
from scenarios.replay.tracing.passages import Passages, passage_of

if TYPE_CHECKING:
    from mcap.writer import Writer

_NUMBER = {"type": "integer"}
_ARRAY = {
    "type": "object",
    "properties": {
        "dtype": {"type": "string"},
        "shape": {"type": "array", "items": _NUMBER},
        "data": {"type": "array", "items": {"type": "number"}},
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string"},
        "episode": _NUMBER,
        "number": _NUMBER,
        "attempt": _NUMBER,
        "arrays": {"type": "object", "additionalProperties": _ARRAY},
    },
}


def write_mcap(journals: Sequence[LifeJournal], file: BinaryIO) -> str:
    """Write the messages of a run; says how many there are.

    Args:
        journals: All of the run.
        file: Where to.

    Raises:
        UserError: The library `mcap` is not installed.
    """
    try:
        from mcap.writer import Writer  # noqa: PLC0415 - an optional dependency
    except ImportError:
        msg = "expected the library mcap: pip install 'foretell[mcap]', or use --format chrome"
        raise UserError(msg) from None
    writer = Writer(file)
    writer.start("", "foretell")
    edges = _Edges(writer, Passages(journals))
    for journal in journals:
        for arrived_at_s, envelope in journal.arrivals():
            edges.add(envelope, journal.opened.clock, arrived_at_s)
    writer.finish()
    return f"{counted(edges.messages, 'message')}, in {counted(len(edges.channels), 'channel')}"


class _Edges:
    """The channels of a file.

    Attributes:
        channels: By source and destination.
        messages: How many have been written.
    """

    def __init__(self, writer: Writer, passages: Passages) -> None:
        self.channels: dict[tuple[str, str], int] = {}
        self.messages = 0
        self._writer, self._passages = writer, passages
        self._encode = msgspec.json.Encoder().encode
        self._schema = writer.register_schema("foretell.Message", "jsonschema", self._encode(_SCHEMA))

    def add(self, envelope: Envelope, clock: str, arrived_at_s: float) -> None:
        """Write a message that had arrived at a moment of its receiver's clock."""
        edge = envelope.source, envelope.destination
        if edge not in self.channels:
            self.channels[edge] = self._writer.register_channel(f"/{edge[0]}/{edge[1]}", "json", self._schema)
        arrived_s = self._passages.at(clock, arrived_at_s)
        sent_s = self._passages.sent_at(passage_of(envelope), arrived_s)
        self._writer.add_message(
            channel_id=self.channels[edge],
            log_time=self._ns(arrived_s),
            publish_time=self._ns(arrived_s if sent_s is None else sent_s),
            sequence=envelope.sequence % (1 << 32),  # a life's own; which life is known by the time
            data=self._encode(_body(envelope.message)),
        )
        self.messages += 1

    def _ns(self, at_s: float) -> int:
        return round(self._passages.date(at_s) * 1e9)


def _body(message: Message) -> dict[str, object]:
    name = name_of(message)
    if name is None:
        return {"kind": type(message).__name__.lower()}
    arrays = {
        each: {"dtype": str(array.dtype), "shape": array.shape, "data": array.reshape(-1).tolist()}
        for each, array in message.arrays.items()  # type: ignore[union-attr]  # all with a name have them
    }
    return {**name._asdict(), "arrays": arrays}
