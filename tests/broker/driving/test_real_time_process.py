"""Participants in real time: as threads, as processes, with exit codes and sentences."""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from broker_toy_process import PongConfig
from broker_toys import LIMIT_S, RUN, Ear, Pong, Toy, envelope, listen_until, make_codec, quick_joining, share
from journal_frames import frames_in
from ports import free_port

from broker.config import Model, TransportConfig
from broker.driving.connect import connect
from broker.driving.driver import Driver
from broker.driving.interruption import Interrupted, Interruption
from broker.driving.process import GAVE_UP, INTERRUPTED, main, take_part
from broker.driving.real_time import run_in_real_time
from broker.driving.slices import reader_of
from broker.errors import PeerLost, UserError
from broker.faults.config import DelayConfig
from broker.faults.delays import Uniform
from broker.own_clock import LONGEST_WAIT_S, OwnClock
from broker.participants.link import LinkConfig
from broker.participants.participant import Report
from broker.transports.transport import Transport
from broker.transports.zeromq.direct import ZeroMQTransport
from broker.wire.messages import OBSERVER, Envelope, Metrics, Stop
from broker.wire.records import (
    ClosedRecord,
    ClosingRecord,
    EdgeRecord,
    EventKind,
    EventRecord,
    FaultCount,
    JoinedRecord,
    StatusRecord,
    unpack,
)

pytestmark = pytest.mark.processes

ROUNDS = 20
JITTER = DelayConfig(kind="delay", delay_s=Uniform(distribution="uniform", low_s=0.0, high_s=0.01))


@pytest.fixture
def folder():
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))
    yield folder
    shutil.rmtree(folder)


def link(name, peer, folder, **settings):
    addresses = {each: f"ipc://{folder}/{each}" for each in (name, peer)} | settings.pop("addresses", {})
    base = {"run": RUN, "name": name, "peers": (peer,), "seed": 5, "transport": TransportConfig()}
    return LinkConfig(**{**base, "joining": quick_joining(), "addresses": addresses, **settings})


def slice_file(folder, link, rounds=ROUNDS):
    path = folder / f"{link.name}.json"
    path.write_text(PongConfig(link=link, rounds=rounds).model_dump_json())
    return path


@contextmanager
def started(*arguments):
    """A toy process; it never outlives the test."""
    command = [sys.executable, str(Path(__file__).parents[1] / "broker_toy_process.py"), *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def end_of(child):
    _, said = child.communicate(timeout=LIMIT_S)
    assert "Traceback" not in said
    return child.returncode, said


def test_two_participants_in_two_threads_finish_their_conversation_under_faults(folder):
    records, pongs, errors = {"a": [], "b": []}, {}, []

    def play(name, peer):
        transport = None
        try:
            transport = connect(link(name, peer, folder, faults=(JITTER,), journal=folder / f"{name}.journal"))
            pongs[name] = Pong(name, peer, ROUNDS, quick_joining())
            run_in_real_time(Driver(RUN, pongs[name], transport, records[name].extend), OwnClock(), Interruption())
        except BaseException as error:
            errors.append(error)
        finally:
            if transport is not None:
                transport.close(LIMIT_S)

    threads = [threading.Thread(target=play, args=names) for names in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * LIMIT_S)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []
    for name, peer in ("ab", "ba"):
        assert sorted(pongs[name].numbers) == list(range(ROUNDS))
        assert FaultCount("delay", peer, name, ROUNDS, ROUNDS, ROUNDS, ROUNDS) in records[name]
        (edge,) = [one for one in records[name] if isinstance(one, EdgeRecord)]
        assert (edge.source, edge.sent, edge.dropped) == (name, ROUNDS, 0)
        assert len(frames_in(folder / f"{name}.journal")) >= 2 * ROUNDS


def test_two_processes_finish_their_conversation_and_end_with_zero(folder):
    paths = [slice_file(folder, link(*names, folder)) for names in ("ab", "ba")]
    with started(paths[0]) as a, started(paths[1]) as b:
        assert (end_of(a)[0], end_of(b)[0]) == (0, 0)


@contextmanager
def listening(name, folder, peer):
    transport = ZeroMQTransport(
        name,
        {each: f"ipc://{folder}/{each}" for each in (name, peer)},
        make_codec(name, [peer]),
        TransportConfig(),
        keys=None,
    )
    try:
        yield Ear(transport)
    finally:
        transport.close(0.0)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_with_130_and_says_what_it_waited_for(folder, sent):
    with listening("b", folder, "a") as ear, started(slice_file(folder, link("a", "b", folder))) as a:
        listen_until(lambda: ear.heard or a.poll() is not None, ear)
        a.send_signal(sent)
        code, said = end_of(a)
    assert code == 130
    assert said.strip() == "interrupted: a in JOINING waits for HELLO from b"


def test_a_peer_that_never_comes_ends_a_process_with_one_and_a_sentence(folder):
    with started(slice_file(folder, link("a", "b", folder, joining=quick_joining(give_up_s=0.1)))) as a:
        code, said = end_of(a)
    assert code == 1
    assert said.startswith("a in JOINING waits for HELLO from b and gave up after joining.give_up_s = 0.1 s.")
    assert len(said.splitlines()) == 1


def test_an_address_in_use_ends_a_process_with_two_and_a_sentence(folder):
    address = f"tcp://127.0.0.1:{free_port()}"
    holder = ZeroMQTransport("a", {"a": address}, make_codec("a", []), TransportConfig(), keys=None)
    try:
        with started(slice_file(folder, link("a", "b", folder, addresses={"a": address}))) as a:
            code, said = end_of(a)
    finally:
        holder.close(0.0)
    assert code == 2
    assert said.startswith(f"a cannot listen on {address}: the address is in use.")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1", ""])
def test_an_address_of_a_peer_that_cannot_be_one_ends_a_process_with_two_and_a_sentence(folder, address):
    with started(slice_file(folder, link("a", "b", folder, addresses={"b": address}))) as a:
        code, said = end_of(a)
    assert code == 2
    assert "b" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("missing", ["a", "b"])
def test_a_missing_address_ends_a_process_with_two_and_a_sentence(folder, missing):
    complete = link("a", "b", folder)
    addresses = {name: address for name, address in complete.addresses.items() if name != missing}
    with started(slice_file(folder, complete.model_copy(update={"addresses": addresses}))) as a:
        code, said = end_of(a)
    assert code == 2
    assert missing in said
    assert len(said.splitlines()) == 1


def test_the_records_of_a_process_reach_its_observer_before_it_ends(folder):
    observed = {"observer": f"ipc://{folder}/observer"}
    codec = make_codec(OBSERVER, ["a", "b"])
    addresses = observed | {name: f"ipc://{folder}/{name}" for name in "ab"}
    ear = Ear(ZeroMQTransport(OBSERVER, addresses, codec, TransportConfig(), keys=None))
    paths = [slice_file(folder, link(*names, folder, addresses=observed, observed=True)) for names in ("ab", "ba")]
    try:
        with started(paths[0]) as a, started(paths[1]) as b:

            def records():
                return [
                    one
                    for each in ear.heard
                    if isinstance(each.message, Metrics)
                    for one in unpack(each.message.records)
                ]

            listen_until(lambda: sum(isinstance(one, EdgeRecord) for one in records()) >= 2, ear)
            assert a.poll() is None, "a participant stays until the observer has everything"
            for name in "ab":
                ear.transport.send(Envelope(RUN, OBSERVER, name, 0, Stop("")))
            listen_until(lambda: a.poll() is not None and b.poll() is not None, ear)
            assert (end_of(a)[0], end_of(b)[0]) == (0, 0)
    finally:
        ear.transport.close(0.0)
    edges = [one for one in records() if isinstance(one, EdgeRecord)]
    assert {(one.source, one.destination, one.sent) for one in edges} >= {("a", "b", ROUNDS), ("b", "a", ROUNDS)}


class Quitter:
    """Reports, counts, and gives up at its first deadline."""

    name, peers, done, awaited = "a", (), False, 1

    def start(self, now):
        return [Report(JoinedRecord("a"))]

    @property
    def deadline(self):
        return 0.0

    def expire(self, now):
        raise PeerLost("b is gone")

    def totals(self):
        return [EdgeRecord("b", "a", missing=3)]


def test_a_participant_that_gives_up_still_hands_over_its_totals(folder):
    records = []
    with listening("a", folder, "b") as ear, pytest.raises(PeerLost):
        run_in_real_time(Driver(RUN, Quitter(), ear.transport, records.extend), OwnClock(), Interruption())
    assert records[0] == JoinedRecord("a")
    assert EdgeRecord("b", "a", missing=3) in records


class Waits:
    """A transport that only writes down how long it was to wait, on a clock that then has passed."""

    def __init__(self, transport, clock):
        self._transport, self._clock, self.waits = transport, clock, []

    def wait(self, timeout_s, awaited=1):
        self.waits.append(timeout_s)
        self._clock[0] += timeout_s

    def __getattr__(self, name):
        return getattr(self._transport, name)


def test_it_waits_until_the_timer_and_looks_at_the_clock_often(folder):
    clock, expired = [100.0], []

    class Sleeper(Quitter):
        @property
        def deadline(self):
            return 100.0 + 2.5 * LONGEST_WAIT_S

        def expire(self, now):
            expired.append(now)
            type(self).done = True
            return []

        def waits_for(self):
            return "sleeper waits"

    with listening("a", folder, "b") as ear:
        waits = Waits(ear.transport, clock)
        run_in_real_time(
            Driver(RUN, Sleeper(), waits, lambda _: None), OwnClock(lambda: clock[0], lambda: 0.0), Interruption()
        )
    whole = LONGEST_WAIT_S
    assert waits.waits == pytest.approx([whole, whole, whole / 2, 0.0])
    assert expired == pytest.approx([100.0 + 2.5 * whole])


class Late:
    """A transport of a process that was busy until its deadline had passed; meanwhile three messages came."""

    due, noticed, journal = None, [], None

    def __init__(self, clock):
        self._clock, self._came, self._arrived = clock, [envelope("b", "a", share(k)) for k in range(3)], []

    def wait(self, _timeout_s, awaited=1):
        self._clock[0] = 200.0
        self._arrived += self._came[:awaited]
        del self._came[:awaited]

    def poll(self, _now):
        arrived, self._arrived = self._arrived, []
        return arrived

    def totals(self):
        return []


def test_what_came_in_time_is_heard_before_a_deadline_expires_even_if_the_process_was_late():
    clock, toy = [100.0], Toy("a", enough=4, deadlines=[101.0])
    toy.expire = lambda now: toy.expired.append((now, len(toy.heard))) or toy.heard.append(None) or []
    computing = OwnClock(lambda: clock[0], lambda: clock[0])
    run_in_real_time(Driver(RUN, toy, Late(clock), lambda _: None), computing, Interruption())
    assert toy.expired == [(200.0, 3)]


class Stopped:
    """A transport of a process that is stopped for an hour in its first wait; a peer, let go on later, then speaks."""

    due, noticed, journal = None, [], None

    def __init__(self, host):
        self._host, self._arrived = host, []

    def wait(self, timeout_s, awaited=1):
        self._host.passed_s += 3600.0 if self._host.passed_s < 1.0 else max(timeout_s, 0.001)
        if self._host.passed_s > 3601.0:
            self._arrived.append(envelope("b", "a", share(1)))

    def poll(self, _now):
        arrived, self._arrived = self._arrived, []
        return arrived

    def totals(self):
        return []


class StoppedHost:
    """Its seconds; nothing is computed meanwhile."""

    passed_s = 0.0


def test_a_participant_that_was_stopped_has_as_much_patience_left_as_before_and_gives_a_sign_at_once():
    host, toy, records = StoppedHost(), Toy("a", enough=1, deadlines=[0.3]), []
    clock = OwnClock(lambda: host.passed_s, lambda: 0.0)
    run_in_real_time(Driver(RUN, toy, Stopped(host), records.extend), clock, Interruption())
    assert toy.expired == []
    assert len(toy.heard) == 1
    assert isinstance(records[0], StatusRecord)


def test_a_deadline_that_a_stop_did_not_use_up_expires_all_the_same_when_nobody_speaks():
    host, toy = StoppedHost(), Toy("a", enough=1, deadlines=[0.3])
    toy.expire = lambda now: toy.expired.append(host.passed_s) or toy.heard.append(None) or []
    transport = Stopped(host)
    transport.poll = lambda _now: []
    run_in_real_time(
        Driver(RUN, toy, transport, lambda _: None), OwnClock(lambda: host.passed_s, lambda: 0.0), Interruption()
    )
    (expired_at,) = toy.expired
    assert 3601.0 < expired_at < 3605.0


class Slice(Model):
    """A small slice."""

    count: int
    inner: dict[str, int] = {}


@pytest.fixture
def command_line(monkeypatch, caplog, folder):
    """Calls `main` with a file of the given text and returns its exit code and what it said."""
    caplog.set_level(logging.INFO)

    def call(text=None, arguments=None, run=lambda _: 0):
        path = folder / "slice.json"
        if text is not None:
            path.write_bytes(text)
        monkeypatch.setattr(sys, "argv", ["program", *([str(path)] if arguments is None else arguments)])
        caplog.clear()
        code = main("program", reader_of(Slice), run)
        return code, caplog.messages

    return call


def test_a_good_slice_is_handed_over_and_the_exit_code_is_that_of_the_run(command_line):
    got = []
    assert command_line(b'{"count": 3}', run=lambda one: got.append(one) or 7) == (7, [])
    assert got == [Slice(count=3)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "the slice is wrong: document: Invalid JSON"),
        (b"{", "the slice is wrong: document: Invalid JSON"),
        (b"[]", "the slice is wrong: document: "),
        (b"{}", "the slice is wrong: count: Field required"),
        (b'{"count": "many"}', "the slice is wrong: count: "),
        (b'{"count": 1, "extra": 2}', "the slice is wrong: extra: "),
        (b'{"count": 1, "inner": {"x": "y"}}', "the slice is wrong: inner.x: "),
        (b'{"count": "\xff"}', "cannot read the slice: "),
    ],
)
def test_a_wrong_slice_ends_with_two_and_a_sentence_that_names_the_place(command_line, text, sentence):
    code, said = command_line(text, run=lambda _: pytest.fail("a wrong slice was run"))
    assert code == 2
    assert len(said) == 1
    assert said[0].startswith(sentence)


def test_a_missing_file_ends_with_two_and_names_it(command_line):
    code, said = command_line(None)
    assert code == 2
    assert "slice.json" in said[0]


@pytest.mark.parametrize("arguments", [["one", "two"], ["--help"], ["-h"]])
def test_a_wrong_call_ends_with_the_usage(command_line, arguments):
    code, said = command_line(arguments=arguments)
    assert code == 2
    assert said[0].startswith("usage: program [SLICE.json]")


def test_a_mistake_of_the_user_found_by_the_run_ends_with_two(command_line):
    def refuse(_):
        raise UserError("no such algorithm")

    assert command_line(b'{"count": 1}', run=refuse) == (2, ["no such algorithm"])


def test_a_slice_comes_from_standard_input_when_no_file_is_named(command_line, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"count": 3}'))
    assert command_line(arguments=[], run=lambda one: one.count) == (3, [])


class Listening(Transport):
    """Keeps what is sent, and lets everybody go."""

    def __init__(self):
        super().__init__("a")
        self.sent = []

    def send_all(self, envelopes):
        self.sent += envelopes

    def poll(self, now):
        return [envelope(OBSERVER, "a", Stop(""))]

    def wait(self, timeout_s, awaited=1):
        pass

    def close(self, linger_s):
        self.linger_s = linger_s


class Asked(Listening):
    """A signal asks its participant to end as it waits, and again as it tells what it has counted."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def wait(self, timeout_s, awaited=1):
        os.kill(os.getpid(), self.number)

    def totals(self):
        os.kill(os.getpid(), self.number)
        return super().totals()


class Deaf(Asked):
    """Somebody's code swallows what the signal raises."""

    def wait(self, timeout_s, awaited=1):
        with suppress(Interrupted):
            super().wait(timeout_s, awaited)

    def poll(self, now):
        return []


@pytest.fixture
def interruption():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    found = Interruption()
    found.listen()
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_is_asked_to_end_tells_first_what_it_has_counted_and_lets_that_leave(folder, interruption, number):
    transport = Asked(number)
    transport.traffic["b"].sent = 3
    told = link("a", "b", folder, observed=True)
    assert take_part(lambda _: Toy("a"), told, lambda _: transport, interruption) == INTERRUPTED
    said = [record for one in transport.sent for record in unpack(one.message.records)]
    assert said == [ClosingRecord("a"), EdgeRecord("a", "b", sent=3), ClosedRecord("a", 1)]
    assert transport.linger_s > 0


def test_who_is_asked_to_end_ends_although_somebodys_code_swallows_it(folder, interruption):
    transport = Deaf(signal.SIGTERM)
    told = link("a", "b", folder, observed=True)
    assert take_part(lambda _: Toy("a", enough=1), told, lambda _: transport, interruption) == INTERRUPTED
    assert type(unpack(transport.sent[-1].message.records)[-1]) is ClosedRecord


def test_who_gave_up_and_is_asked_to_end_has_given_up(folder, interruption):
    def give_up(*_):
        raise PeerLost("b is silent")

    transport, toy = Listening(), Toy("a", enough=1, deadlines=[0.0])
    toy.expire = give_up
    transport.close = lambda _: os.kill(os.getpid(), signal.SIGTERM)
    assert take_part(lambda _: toy, link("a", "b", folder), lambda _: transport, interruption) == GAVE_UP


def test_who_hangs_as_it_ends_is_ended_by_asking_again(folder, interruption):
    transport = Asked(signal.SIGTERM)
    transport.close = lambda _: os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted):
        take_part(lambda _: Toy("a", enough=1), link("a", "b", folder), lambda _: transport, interruption)


def test_who_is_asked_to_end_while_it_tells_what_it_has_counted_ends_after_that(interruption):
    told = []

    def tell():
        with interruption.held():
            os.kill(os.getpid(), signal.SIGTERM)
            told.append("all of it")

    with pytest.raises(Interrupted):
        tell()
    assert told == ["all of it"]


@pytest.mark.parametrize("max_bytes", [4096, 16 << 20])
def test_many_records_go_to_the_observer_some_at_a_time_for_who_takes_no_long_messages(folder, max_bytes):
    records = [EventRecord("a", EventKind.NOTE, "", f"{number}: {'x' * 100}") for number in range(500)]
    toy, transport = Toy("a", says=[Report(record) for record in records]), Listening()
    told = link("a", "b", folder, observed=True, transport=TransportConfig(max_message_bytes=max_bytes))
    assert take_part(lambda _: toy, told, lambda _: transport, Interruption()) == 0
    metrics = [one for one in transport.sent if type(one.message) is Metrics]
    assert [record for one in metrics for record in unpack(one.message.records)] == [
        ClosingRecord("a"),
        *records,
        ClosedRecord("a", len(records)),
    ]
    assert [one.sequence for one in metrics] == list(range(len(metrics)))
    assert max(len(one.message.records) for one in metrics) <= min(8192, max_bytes // 2)
