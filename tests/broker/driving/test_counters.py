"""What a participant tells of its counters while it works, and what it is asked for."""

from __future__ import annotations

from broker.driving.driver import Driver
from broker.participants.barrier_times import BarrierTimes
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.wire.codec import Codec
from broker.wire.counters import BarrierTime, Counters, packed_counters, summed_edges, unpacked_counters
from broker.wire.records import EdgeRecord, FinishedRecord, StatusRecord


class Waits:
    """A participant that has counted something."""

    name, peers, awaited, deadline, done = "a", ("b",), 1, None, False

    class phase:  # noqa: N801
        value = "WAITS"

    def __init__(self) -> None:
        self.barriers = BarrierTimes()

    def totals(self) -> list[EdgeRecord]:
        return [EdgeRecord("b", "a", heard=2), EdgeRecord("b", "a", heard=3, late=1)]

    def waits_for(self) -> str:
        return "a waits for b"


def test_counters_are_told_with_each_sign_of_life_and_at_the_end_and_to_nobody_where_nobody_asks() -> None:
    told: list[Counters] = []
    for tell in (told.append, None):
        participant, records = Waits(), []
        participant.barriers.add("share", 0.25)
        participant.barriers.add("share", 0.5)
        transport = MemoryTransport("a", MemoryNetwork(), Codec("r", 1 << 20))
        driver = Driver("r", participant, transport, records.extend, tell_counters=tell)  # type: ignore[arg-type]
        driver.show_status()
        driver.finish()
        assert type(records[0]) is StatusRecord
    edges = (EdgeRecord("b", "a", heard=5, late=1),)
    assert told == [Counters("r", "a", edges, {}, {"share": BarrierTime(2, 0.75)})] * 2


def test_many_edges_are_told_in_parts_that_any_socket_takes() -> None:
    edges = tuple(EdgeRecord("environment", f"agent-{number}", sent=1 << 40) for number in range(1000))
    parts = list(packed_counters(Counters("r", "environment", edges, {}, {})))
    assert max(map(len, parts)) < 16_384
    assert tuple(edge for part in parts for edge in unpacked_counters(part).edges) == edges
    assert len(list(packed_counters(Counters("r", "a", (), {}, {})))) == 1


def test_edges_are_summed_and_other_records_left_out() -> None:
    records = [EdgeRecord("a", "b", sent=1), FinishedRecord("a", ""), EdgeRecord("a", "b", sent=2, dropped=3)]
    assert summed_edges(records) == (EdgeRecord("a", "b", sent=3, dropped=3),)
