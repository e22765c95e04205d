"""Journals: what crossed the edges, and nothing lost but a torn tail."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from broker_toys import envelope, make_codec, noticed, share

from broker.errors import FrameRejected
from broker.transports.journaled import Entry, JournaledTransport, read_journal
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.wire.messages import Hello, Stop
from broker.wire.records import EdgeRecord, EventRecord

CODEC = make_codec("reader", [])


@pytest.fixture
def talk(tmp_path):
    """A journal of `b` that heard three messages and sent two, with what should stand in it."""
    network = MemoryNetwork()
    a = MemoryTransport("a", network, make_codec("a", ["b"]))
    path = tmp_path / "journals" / "b.journal"
    b = JournaledTransport(MemoryTransport("b", network, make_codec("b", ["a"])), make_codec("b", []), path)
    expected = []

    def say(source, time_s, message, sequence):
        spoken = envelope(source.name, "b" if source is a else "a", message, sequence)
        source.send(spoken)
        expected.append(Entry(time_s, "received" if source is a else "sent", CODEC.encode(spoken)))

    say(b, 0.0, Hello(0, wants_reply=True), 0)
    say(a, 1.5, Hello(0, wants_reply=False), 0)
    say(a, 1.5, share(7, [1.0] * 50), 0)
    assert len(b.poll(1.5)) == 2
    say(b, 1.5, share(8, [2.0]), 0)
    say(a, 2.5, Stop("done"), 1)
    b.poll(2.5)
    b.close(0.0)
    return path, expected


def test_a_journal_reads_back_as_what_was_sent_and_received_in_order_and_on_time(talk):
    path, expected = talk
    assert list(read_journal(path)) == expected


def test_the_frames_of_a_journal_are_those_of_the_wire(talk):
    path, _ = talk
    codec = make_codec("b", ["a"])
    codec.allow("b", "a")
    read = [codec.decode(entry.frame) for entry in read_journal(path)]
    assert [(one.source, one.destination, one.sequence) for one in read] == [
        ("b", "a", 0),
        ("a", "b", 0),
        ("a", "b", 0),
        ("b", "a", 0),
        ("a", "b", 1),
    ]
    assert read[2].message.arrays["x"].tolist() == [1.0] * 50


def test_a_journal_torn_anywhere_gives_all_entries_that_are_whole(talk, tmp_path):
    path, expected = talk
    whole, torn = path.read_bytes(), tmp_path / "torn"
    counts = []
    for length in range(len(whole) + 1):
        torn.write_bytes(whole[:length])
        read = list(read_journal(torn))
        assert read == expected[: len(read)]
        counts.append(len(read))
    assert counts == sorted(counts)
    assert (counts[0], counts[-2], counts[-1]) == (0, len(expected) - 1, len(expected))


def test_a_journal_is_made_anew(talk):
    path, _ = talk
    JournaledTransport(MemoryTransport("b", MemoryNetwork(), CODEC), CODEC, path).close(0.0)
    assert list(read_journal(path)) == []


class CountingBatches(MemoryTransport):
    """Keeps how many envelopes each call hands over."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.batches = []

    def send_all(self, envelopes):
        self.batches.append(len(envelopes))
        super().send_all(envelopes)


@pytest.mark.parametrize(("longest", "sent"), [(10, 3), (5000, 1)])
def test_a_journal_hands_over_together_what_it_is_handed_together_and_shows_what_was_sent(tmp_path, longest, sent):
    network, codec = MemoryNetwork(), make_codec("b", [], max_bytes=4096)
    inner = CountingBatches("b", network, codec)
    network.join("a")
    journaled = JournaledTransport(inner, codec, tmp_path / "b.journal")
    envelopes = [envelope("b", "a", Stop("x" * length)) for length in (1, longest, 1)]
    with nullcontext() if sent == len(envelopes) else pytest.raises(FrameRejected):
        journaled.send_all(envelopes)
    journaled.close(0.0)
    assert inner.batches == [3]
    assert [entry.frame for entry in read_journal(tmp_path / "b.journal")] == list(map(codec.write, envelopes[:sent]))


def test_a_journal_hides_nothing_of_what_the_inner_transport_counts(tmp_path):
    network = MemoryNetwork()
    inner = MemoryTransport("b", network, make_codec("b", ["a"]))
    outer = JournaledTransport(inner, make_codec("b", []), tmp_path / "b.journal")
    network.join("a")
    network.deliver("b", b"garbage")
    assert outer.poll(0.0) == []
    outer.reject("a", "no")
    outer.send(envelope("b", "a", share()))
    assert [type(record) for record in noticed(outer)] == [EventRecord, EventRecord]
    assert {(r.source, r.sent, r.rejected) for r in outer.totals()} == {("b", 1, 0), ("a", 0, 1), ("unknown", 0, 1)}
    assert all(isinstance(record, EdgeRecord) for record in outer.totals())
    assert outer.due is None
    outer.close(0.0)
    assert next(read_journal(tmp_path / "b.journal")).direction == "sent"
