"""The driver: numbers what is sent, counts what is refused, hands every record over once."""

from __future__ import annotations

import pytest
from broker_toys import RUN, Toy, envelope, make_codec, share

from broker.driving.driver import Driver
from broker.errors import PeerLost, ProtocolViolation
from broker.faults import Judge
from broker.faults.config import DropConfig
from broker.participants.participant import Refit, Report, Send
from broker.transports.faulty import FaultyTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.transports.transport import Transport
from broker.wire.messages import Faults, Hello, Share, Stop
from broker.wire.records import (
    ClosedRecord,
    ClosingRecord,
    EdgeRecord,
    EndingRecord,
    EventRecord,
    JoinedRecord,
    RoundRecord,
    TrafficRecord,
)

JOINED = Report(JoinedRecord("a"))


class Script(Transport):
    """A transport that gives what it was told to and keeps what it was handed."""

    def __init__(self, due=None):
        super().__init__("a")
        self.inbox, self.sent, self.due = [], [], due

    def send_all(self, envelopes):
        self.sent += envelopes

    def poll(self, now):
        inbox, self.inbox = self.inbox, []
        return inbox

    def wait(self, timeout_s):
        pass

    def close(self, linger_s):
        pass


def drive(toy, due=None):
    batches = []
    driver = Driver(RUN, toy, Script(due), batches.append)
    return driver, driver.transport, batches


def test_every_edge_counts_its_own_messages_and_hello_takes_no_number():
    hello = Hello(0, wants_reply=True)
    says = [
        Send("b", hello),
        Send("b", share(0)),
        Send("c", hello),
        Send("b", hello),
        Send("b", share(1)),
        Send("c", Stop("")),
    ]
    driver, transport, _ = drive(Toy("a", says=says))
    driver.start(0.0)
    assert all((one.run, one.source) == (RUN, "a") for one in transport.sent)
    numbered = [(one.destination, one.sequence) for one in transport.sent if not isinstance(one.message, Hello)]
    assert numbered == [("b", 0), ("b", 1), ("c", 0)]


def test_commands_are_carried_out_in_the_order_given():
    toy = Toy("a", answer=lambda *_: [Send("b", share(number)) for number in range(3)])
    driver, transport, _ = drive(toy)
    transport.inbox = [envelope("b", "a", Stop(""))]
    driver.wake(1.0)
    assert [one.message.round for one in transport.sent] == [0, 1, 2]


def test_a_violation_is_counted_against_its_source_and_the_rest_is_still_heard():
    def answer(_source, message, _now):
        if message.round == 1:
            raise ProtocolViolation("round 1 is over")
        return []

    toy = Toy("a", answer=answer, enough=9)
    driver, transport, batches = drive(toy)
    transport.inbox = [envelope("b", "a", share(number)) for number in range(3)]
    driver.wake(0.0)
    assert [message.round for _, _, message in toy.heard] == [0, 2]
    ending = EndingRecord("b", "a", "share", 0, 1, 0, "rejected", "round 1 is over")
    assert batches == [[EventRecord("a", "rejected", "b", "round 1 is over"), ending]]
    driver.finish()
    assert batches[1:] == [[ClosingRecord("a"), EdgeRecord("b", "a", rejected=1), ClosedRecord("a", 1)]]


@pytest.mark.parametrize("before", [[], [DropConfig(kind="drop", probability=0.0)]], ids=["none before", "others"])
def test_what_comes_behind_a_change_of_faults_meets_it_although_one_poll_brings_both(before):
    def answer(_source, message, _now):
        return [Refit("[]")] if isinstance(message, Faults) else []

    def refit(transport, _faults):
        judge = Judge([DropConfig(kind="drop", probability=1.0)], 0)
        if isinstance(transport, FaultyTransport):
            transport.refit(judge)
            return transport
        return FaultyTransport(transport, judge)

    network, toy = MemoryNetwork(), Toy("a", answer=answer)
    peer = MemoryTransport("b", network, make_codec("b", []))
    transport = MemoryTransport("a", network, make_codec("a", ["b"]))
    driver = Driver(RUN, toy, FaultyTransport(transport, Judge(before, 0)) if before else transport, list, refit=refit)
    peer.send_all([envelope("b", "a", message, n) for n, message in enumerate([share(0), Faults(""), share(2)])])
    driver.wake(0.0)
    assert [type(message) for _, _, message in toy.heard] == [Share, Faults]


def test_what_comes_behind_faults_that_nobody_may_tell_is_heard_at_once():
    def answer(_source, message, _now):
        if isinstance(message, Faults):
            raise ProtocolViolation("which never sends one here")
        return []

    toy = Toy("a", answer=answer)
    transport = MemoryTransport("a", MemoryNetwork(), make_codec("a", ["b"]))
    for number, message in enumerate([Faults(""), share(1)]):
        transport.take(make_codec("b", []).encode(envelope("b", "a", message, number)))
    Driver(RUN, toy, transport, list).wake(0.0)
    assert [message.round for _, _, message in toy.heard] == [1]


def test_a_lost_peer_ends_the_drive():
    def give_up(*_):
        raise PeerLost("b is gone")

    driver, transport, _ = drive(Toy("a", answer=give_up))
    transport.inbox = [envelope("b", "a", share())]
    with pytest.raises(PeerLost, match="b is gone"):
        driver.wake(0.0)


@pytest.mark.parametrize(
    ("deadline", "due", "timer"),
    [
        (None, None, None),
        (2.0, None, 2.0),
        (None, 3.0, 3.0),
        (2.0, 3.0, 2.0),
        (3.0, 2.0, 2.0),
        (0.0, 1.0, 0.0),
        (1.0, 0.0, 0.0),
    ],
)
def test_the_timer_is_whatever_comes_first(deadline, due, timer):
    driver, _, _ = drive(Toy("a", deadlines=[] if deadline is None else [deadline]), due)
    assert driver.timer() == timer
    driver.wake(-1.0)
    assert driver.timer() == timer


def test_the_timer_goes_on_to_the_next_deadline_when_one_has_expired():
    driver, _, _ = drive(Toy("a", deadlines=[1.0, 5.0]), due=9.0)
    driver.wake(1.0)
    assert driver.timer() == 5.0


def test_a_deadline_expires_when_it_has_passed_and_not_before():
    toy = Toy("a", deadlines=[1.0])
    driver, _, _ = drive(toy)
    driver.wake(0.999)
    assert toy.expired == []
    driver.wake(1.0)
    assert toy.expired == [1.0]


def test_what_arrives_is_heard_before_a_deadline_that_has_passed():
    toy = Toy("a", deadlines=[1.0])
    driver, transport, _ = drive(toy)
    toy.answer = lambda *_: toy.deadlines.clear() or []
    transport.inbox = [envelope("b", "a", share())]
    driver.wake(5.0)
    assert toy.expired == []


def test_records_are_handed_over_once_and_at_most_once_a_wake():
    toy = Toy("a", says=[JOINED], answer=lambda *_: [JOINED, JOINED], enough=9)
    driver, transport, batches = drive(toy)
    driver.start(0.0)
    assert batches == [[JOINED.record]]
    driver.wake(0.0)
    assert len(batches) == 1
    transport.inbox = [envelope("b", "a", share())] * 2
    driver.wake(0.0)
    assert batches[1:] == [[JOINED.record] * 4]


def test_what_the_end_of_the_work_brings_is_said_with_the_account_and_again_as_often_as_asked():
    toy = Toy("a", answer=lambda *_: [JOINED, Send("b", Stop(""))], enough=1)
    driver, transport, batches = drive(toy)
    transport.inbox = [envelope("b", "a", share())]
    driver.wake(0.0)
    assert batches == []
    driver.finish()
    driver.finish_again()
    assert batches == [[ClosingRecord("a"), JOINED.record, ClosedRecord("a", 1)]] * 2
    stops = [each for each in transport.sent if type(each.message) is Stop]
    assert [(each.destination, each.sequence) for each in stops] == [("b", 0), ("b", 1)]


def test_finish_hands_over_the_totals_of_the_participant_and_of_the_transport_and_then_the_last_word():
    toy = Toy("a")
    toy.totals = lambda: [EdgeRecord("b", "a", heard=3)]
    driver, transport, batches = drive(toy)
    transport.traffic["b"].sent, transport.traffic["b"].sent_bytes = 1, 10
    transport.reject("b", "no")
    driver.finish()
    assert batches == [
        [
            ClosingRecord("a"),
            EdgeRecord("b", "a", heard=3),
            EdgeRecord("a", "b", sent=1, sent_bytes=10),
            EdgeRecord("b", "a", rejected=1),
            EventRecord("a", "rejected", "b", "no"),
            ClosedRecord("a", 4),
        ]
    ]


def test_who_may_die_unreplaced_tells_with_every_round_what_it_has_counted_on_its_edges():
    closed, sent = RoundRecord("a", 0, 0, 1, 1, {}), EdgeRecord("a", "b", sent=3, sent_bytes=30)
    for tells, told in ((True, [TrafficRecord(sent)]), (False, [])):
        batches, transport = [], Script()
        transport.traffic["b"].sent, transport.traffic["b"].sent_bytes = 3, 30
        toy = Toy("a", says=[Report(closed)], enough=1)
        Driver(RUN, toy, transport, batches.append, tells_at_once=tells).start(0.0)
        assert batches == [[closed, *told]]
