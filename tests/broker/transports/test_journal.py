"""Journals: what crossed the edges, and nothing lost but a torn tail."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager, nullcontext

import pytest
from broker_toys import Toy, envelope, make_codec, noticed, share
from journal_frames import frames_in

from broker.driving.driver import Driver
from broker.driving.journaled_participant import journaled
from broker.errors import FrameRejected, ProtocolViolation, UserError
from broker.faults import Judge
from broker.participants.checkpoint import State
from broker.participants.participant import Save, Send
from broker.transports.faulty import FaultyTransport
from broker.transports.journal import Closed, Journal, Opened, Polled, Sent, Told, Turn, read_journal
from broker.transports.journaled import JournaledTransport
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
    expected = [Opened, Sent, Polled, Sent, Polled, Closed]
    frames = []

    def say(source, message, sequence):
        spoken = envelope(source.name, "b" if source is a else "a", message, sequence)
        source.send(spoken)
        frames.append(("received" if source is a else "sent", CODEC.encode(spoken)))

    say(b, Hello(0, wants_reply=True), 0)
    say(a, Hello(0, wants_reply=False), 0)
    say(a, share(7, [1.0] * 50), 0)
    assert len(b.poll(1.5)) == 2
    say(b, share(8, [2.0]), 0)
    say(a, Stop("done"), 1)
    b.poll(2.5)
    b.close(0.0)
    return path, expected, frames


def test_a_journal_reads_back_as_what_was_sent_and_received_in_order_and_when_it_was_looked_for(talk):
    path, expected, frames = talk
    entries = list(read_journal(path))
    assert [type(entry) for entry in entries] == expected
    assert frames_in(path) == frames
    assert [entry.now_s for entry in entries if isinstance(entry, Polled)] == [1.5, 2.5]
    on_the_host = [entry.at_s for entry in entries if isinstance(entry, Opened | Polled | Sent)]
    assert on_the_host == sorted(on_the_host)
    assert entries[0].participant == "b"


def test_a_journal_torn_anywhere_gives_all_entries_that_are_whole(talk, tmp_path):
    path, expected, _ = talk
    whole, torn = path.read_bytes(), tmp_path / "torn"
    entries, counts = list(read_journal(path)), []
    for length in range(len(whole) + 1):
        torn.write_bytes(whole[:length])
        read = list(read_journal(torn))
        assert read == entries[: len(read)]
        counts.append(len(read))
    assert counts == sorted(counts)
    assert (counts[0], counts[-2], counts[-1]) == (0, len(expected) - 1, len(expected))


def test_a_journal_with_a_wrong_byte_gives_what_stands_before_it(talk, tmp_path):
    path, _, _ = talk
    whole, spoiled = path.read_bytes(), tmp_path / "spoiled"
    entries = list(read_journal(path))
    for place in range(len(b"foretell journal 1\n"), len(whole)):
        spoiled.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        read = list(read_journal(spoiled))
        assert read == entries[: len(read)] != entries


@pytest.mark.parametrize("content", [b"foretell journal 9\n", b"garbage"])
def test_what_is_no_journal_of_this_version_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError, match="expected a journal that begins with"):
        list(read_journal(tmp_path / "x"))
    with pytest.raises(UserError, match=r"cannot read the journal .*: No such file"):
        list(read_journal(tmp_path / "nowhere"))


def test_a_journal_is_made_anew(talk):
    path, _, _ = talk
    JournaledTransport(MemoryTransport("b", MemoryNetwork(), CODEC), CODEC, path).close(0.0)
    assert frames_in(path) == []


@contextmanager
def files_of_at_most(size):
    """As on a disk that is full."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_journal_on_a_full_disk_is_a_sentence_and_what_was_written_can_be_read(tmp_path):
    path = tmp_path / "b.journal"
    journal = Journal(path, "b")
    for _ in range(10):
        journal.write(Sent(0.0, b"x" * 1000))
    with files_of_at_most(5_000), pytest.raises(UserError, match=f"^cannot write the journal {path}: File too large$"):
        journal.flush()
    with files_of_at_most(5_000):
        journal.close()
    assert len(frames_in(path)) == 4


def test_what_is_older_than_half_a_second_is_in_the_file(tmp_path):
    now = [0.0]
    journal = Journal(tmp_path / "b.journal", "b", clock=lambda: now[0])
    journal.write(Sent(0.0, b"early"))
    journal.flush_if_due(0.4)
    assert frames_in(tmp_path / "b.journal") == []
    journal.flush_if_due(0.6)
    assert frames_in(tmp_path / "b.journal") == [("sent", b"early")]
    journal.close()


class Teller(Toy):
    """A toy that knows what it was told."""

    def told(self):
        return '{"like": "this"}'


def test_a_participant_s_calls_stand_in_the_journal_with_their_messages_and_how_long_they_took(tmp_path):
    network, path = MemoryNetwork(), tmp_path / "b.journal"
    inner = MemoryTransport("b", network, make_codec("b", ["a"]))
    transport = JournaledTransport(inner, make_codec("b", []), path)

    def answer(source, message, _now):
        if isinstance(message, Stop):
            raise ProtocolViolation("not yet")
        return [Send("a", share(9))] if isinstance(message, Hello) else []

    toy = journaled(Teller("b", enough=2, deadlines=[3.0], answer=answer), transport)
    driver = Driver("test", toy, transport, lambda _: None)
    a = MemoryTransport("a", network, make_codec("a", ["b"]))
    driver.start(1.0)
    for message in (Hello(0, wants_reply=False), share(4, episode=2), Stop("")):
        a.send(envelope("a", "b", message))
    driver.deliver(2.0)
    driver.wake(3.0)
    transport.close(0.0)
    entries = list(read_journal(path))
    assert Told('{"like": "this"}') in entries
    turns = [entry for entry in entries if isinstance(entry, Turn)]
    assert [(turn.call, turn.now_s, turn.source, turn.kind) for turn in turns] == [
        ("start", 1.0, "", ""),
        ("receive", 2.0, "a", "hello"),
        ("receive", 2.0, "a", "share"),
        ("receive", 2.0, "a", "stop"),
        ("expire", 3.0, "", ""),
    ]
    assert turns[2].name == ("share", 2, 4, 0)
    assert {turn.phase for turn in turns} == {"AT PLAY"}
    assert all(turn.computed_s >= 0 for turn in turns)
    assert (toy.done, toy.deadline, toy.awaited) == (True, None, 1)
    places = {type(entry): place for place, entry in enumerate(entries)}
    assert places[Told] < places[Polled]
    assert entries.index(turns[1]) < next(n for n, entry in enumerate(entries) if isinstance(entry, Sent))


def test_what_a_checkpoint_knows_stands_in_the_file_before_it_is_written(tmp_path):
    path, network = tmp_path / "b.journal", MemoryNetwork()
    transport = JournaledTransport(MemoryTransport("b", network, CODEC), CODEC, path)
    toy = Teller("b", deadlines=[1.0, 2.0])
    toy.expire = lambda now: [Send("a", share(1)), *([Save(0, State(), due=True)] if now == 2.0 else [])]
    driver = Driver("test", journaled(toy, transport), transport, lambda _: None)
    driver.expire(1.0)
    assert list(read_journal(path)) == []
    driver.expire(2.0)
    assert [type(entry) for entry in read_journal(path)] == [Opened, Told, Turn, Sent, Turn, Sent]
    driver.transport.close(0.0)


def test_a_participant_without_a_journal_is_left_as_it_is():
    toy = Teller("b")
    assert journaled(toy, MemoryTransport("b", MemoryNetwork(), CODEC)) is toy


def test_faults_around_a_journal_hide_it_from_nobody(tmp_path):
    inner = JournaledTransport(MemoryTransport("b", MemoryNetwork(), CODEC), CODEC, tmp_path / "b.journal")
    assert FaultyTransport(inner, Judge((), 1)).journal is inner.journal
    inner.close(0.0)


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
    outer = JournaledTransport(inner, codec, tmp_path / "b.journal")
    envelopes = [envelope("b", "a", Stop("x" * length)) for length in (1, longest, 1)]
    with nullcontext() if sent == len(envelopes) else pytest.raises(FrameRejected):
        outer.send_all(envelopes)
    outer.close(0.0)
    assert inner.batches == [3]
    expected = [("sent", codec.write(each)) for each in envelopes[:sent]]
    assert frames_in(tmp_path / "b.journal") == expected


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
    assert [direction for direction, _ in frames_in(tmp_path / "b.journal")] == ["sent"]
