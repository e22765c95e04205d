"""The memory transport: frames as on a wire, in order, refused and counted as on a wire."""

from __future__ import annotations

import pytest
from broker_toys import RUN, envelope, make_codec, noticed, share
from journal_frames import frames_in

from broker.config import JoiningConfig, TransportConfig
from broker.driving.connect import connect
from broker.errors import FrameRejected, ScenarioError
from broker.participants.link import LinkConfig
from broker.transports.journaled import JournaledTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.transports.transport import UNKNOWN
from broker.wire.messages import Envelope, Hello, Stop
from broker.wire.records import EdgeRecord, EventRecord


def pair(**limits):
    network = MemoryNetwork()
    a, b = (MemoryTransport(name, network, make_codec(name, ["a", "b"], **limits)) for name in "ab")
    return network, a, b


def test_messages_arrive_in_the_order_sent_and_only_once():
    _, a, b = pair()
    for number in range(5):
        a.send(envelope("a", "b", share(number), number))
    assert [one.message.round for one in b.poll(0.0)] == [0, 1, 2, 3, 4]
    assert b.poll(0.0) == []
    assert a.poll(0.0) == []


def test_who_was_written_to_first_is_told_first_and_once_per_filling():
    network, a, b = pair()
    b.send(envelope("b", "a", share()))
    a.send(envelope("a", "b", share()))
    b.send(envelope("b", "a", share()))
    assert [network.next_with_mail() for _ in range(3)] == ["a", "b", None]
    a.poll(0.0)
    b.send(envelope("b", "a", share()))
    assert network.next_with_mail() == "a"


def test_bytes_sent_are_those_of_the_frames_and_hello_is_not_counted():
    _, a, _ = pair()
    messages = [Hello(0, wants_reply=True), share(0, [1.0] * 100), Stop("done")]
    for number, message in enumerate(messages):
        a.send(envelope("a", "b", message, number))
    codec = make_codec("a", [])
    sizes = [len(codec.encode(envelope("a", "b", message, i))) for i, message in enumerate(messages)]
    assert a.totals() == [EdgeRecord("a", "b", sent=2, sent_bytes=sum(sizes[1:]))]


def test_what_is_sent_to_nobody_is_counted_as_dropped():
    _, a, _ = pair()
    a.send(envelope("a", "c", share()))
    assert a.totals() == [EdgeRecord("a", "c", dropped=1)]


def test_a_message_beyond_the_limit_is_refused_at_its_sender():
    _, a, b = pair(max_bytes=1000)
    with pytest.raises(FrameRejected, match="max_message_bytes = 1000"):
        a.send(envelope("a", "b", share(0, [1.0] * 1000)))
    assert a.totals() == b.poll(0.0) == []


def test_foreign_frames_are_rejected_with_a_reason_and_the_others_arrive():
    network, a, b = pair()
    a.send(envelope("a", "b", share(1)))
    frame = make_codec("a", []).encode(envelope("a", "b", share(2)))
    foreign = make_codec("a", [], run="other").encode(Envelope("other", "a", "b", 0, share()))
    for junk in (b"", b"garbage", frame[:-1], foreign):
        network.deliver("b", junk)
    a.send(envelope("a", "b", share(3)))
    assert [one.message.round for one in b.poll(0.0)] == [1, 3]
    assert b.totals() == [EdgeRecord("a", "b", rejected=1, lost=1), EdgeRecord(UNKNOWN, "b", rejected=3)]
    events = noticed(b)
    assert [(event.participant, event.kind, event.peer) for event in events] == [
        ("b", "rejected", UNKNOWN),
        ("b", "rejected", UNKNOWN),
        ("b", "rejected", "a"),
        ("b", "rejected", UNKNOWN),
    ]
    assert all(event.text for event in events)
    assert "other/a/b" in events[3].text


def test_a_flood_of_bad_frames_is_counted_in_full_and_told_in_part_for_each_edge():
    network, _, b = pair()
    frame = make_codec("a", []).encode(envelope("a", "b", share()))
    for _ in range(100):
        network.deliver("b", b"garbage")
        network.deliver("b", frame + b"!")
    assert b.poll(0.0) == []
    told = [event.peer for event in noticed(b) if isinstance(event, EventRecord)]
    assert {peer: told.count(peer) for peer in told} == {UNKNOWN: 20, "a": 20}
    assert b.totals() == [EdgeRecord("a", "b", rejected=100), EdgeRecord(UNKNOWN, "b", rejected=100)]


def link(**settings):
    settings = {"run": RUN, "name": "b", "peers": ("a",), "seed": 0} | settings
    return LinkConfig(transport=TransportConfig(), joining=JoiningConfig(), **settings)


def test_connect_hears_its_peers_and_nobody_else():
    network = MemoryNetwork()
    transport = connect(link(), network)
    for source in ("a", "c"):
        network.deliver("b", make_codec(source, []).encode(envelope(source, "b", share())))
    assert [one.source for one in transport.poll(0.0)] == ["a"]
    assert [event.peer for event in noticed(transport)] == [UNKNOWN]


def test_connect_puts_faults_around_the_journal_so_that_a_lost_message_is_still_written_down(tmp_path):
    fault = {"kind": "drop", "probability": 1.0}
    network, journal = MemoryNetwork(), tmp_path / "deep" / "b.journal"
    transport = connect(link(faults=(fault,), journal=journal), network)
    lost = make_codec("a", []).encode(envelope("a", "b", share()))
    network.deliver("b", lost)
    assert transport.poll(0.0) == []
    transport.close(0.0)
    assert frames_in(journal) == [("received", lost)]
    assert isinstance(connect(link(), MemoryNetwork()), MemoryTransport)


def test_connect_refuses_two_faults_of_one_name_and_leaves_nothing_open(tmp_path, monkeypatch):
    opened = []

    class Watched(JournaledTransport):
        def __init__(self, *settings):
            super().__init__(*settings)
            opened.append(self._journal._file)

    monkeypatch.setattr("broker.driving.connect.JournaledTransport", Watched)
    fault = {"kind": "drop", "probability": 1.0}
    try:
        with pytest.raises(ScenarioError, match=r"faults\[1\]\.name"):
            connect(link(faults=(fault, fault), journal=tmp_path / "b.journal"), MemoryNetwork())
        assert all(file.closed for file in opened)
    finally:
        for file in opened:
            file.close()
