"""Records from outside: what no participant of ours says is refused whole."""

from __future__ import annotations

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
