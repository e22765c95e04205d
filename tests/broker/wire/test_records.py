"""Records from outside: what no participant of ours says is refused whole."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from broker.wire.records import EndingRecord, EventKind, EventRecord, Fate, FaultRecord, FinishedRecord, pack, unpack

RECORDS = [
    *(EventRecord("agent-0", kind, "agent-1", "A sentence.") for kind in EventKind),
    *(EndingRecord("agent-0", "agent-1", "share", 4, 2, 0, fate, "a cause") for fate in Fate),
    FaultRecord("rain", "agent-0", "agent-1", "action", 4, 2, 0, (0.5,), Fate.DELAYED),
]


def test_records_come_back_as_they_were():
    assert unpack(pack(RECORDS)) == RECORDS


@pytest.mark.parametrize("record", RECORDS[-2:], ids=lambda record: type(record).__name__)
def test_a_fate_that_no_message_has_is_refused(record):
    body = msgspec.msgpack.encode([FinishedRecord("agent-0", ""), msgspec.structs.replace(record, fate="eaten")])
    with pytest.raises(msgspec.DecodeError, match="eaten"):
        unpack(body)


def test_a_kind_of_event_that_nobody_knows_is_refused():
    body = pack([FinishedRecord("agent-0", ""), EventRecord("agent-0", "promoted", "", "A sentence.")])
    with pytest.raises(msgspec.DecodeError, match="promoted"):
        unpack(body)


MANY = 1 << 21
LONG = {
    "returns": b"\xdd" + MANY.to_bytes(4) + bytes(MANY),
    "losses": b"\xdf" + (MANY // 4).to_bytes(4) + b"".join(b"\xa2" + n.to_bytes(2) + b"\0" for n in range(0x3000)),
}


@pytest.mark.parametrize("body", LONG.values(), ids=LONG)
def test_refusing_a_long_record_takes_no_more_memory_than_the_record(body):
    kind = "episode" if body[0] == 0xDD else "round"
    field = b"\xa7returns" if kind == "episode" else b"\xa6losses"
    record = b"\x91\x82\xa4type" + msgspec.msgpack.encode(kind) + field + body
    tracemalloc.start()
    try:
        with pytest.raises(msgspec.DecodeError):
            unpack(record)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
