"""The numbers of an edge: each message is taken once and in order, and what is left out is counted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from broker_toys import envelope, make_codec, noticed, property_test, share
from hypothesis import given
from hypothesis import strategies as st

from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.transports.transport import Traffic
from broker.wire.identity import Identity
from broker.wire.messages import LAST_WILL, Faults, Hello, Metrics
from broker.wire.records import EdgeRecord

FIRST_LIFE = Hello(0, wants_reply=True)
SECOND_LIFE = Hello(1, wants_reply=True)


class Door:
    """The receiving end of the edge from a to b, to which frames are handed as a network might hand them."""

    def __init__(self):
        self.transport = MemoryTransport("b", MemoryNetwork(), make_codec("b", ["a", "c"]))

    def take(self, *numbers, source="a"):
        """Deliver messages with these numbers; returns the numbers of those that were heard."""
        for number in numbers:
            self.deliver(source, share(number), number)
        return self._heard()

    def greet(self, hello, number, source="a"):
        """Deliver a HELLO; returns whether it was heard."""
        self.deliver(source, hello, number)
        return [one.message for one in self.transport.poll(0.0)] == [hello]

    def counted(self, source="a"):
        """How many messages were rejected, and how many are lost."""
        traffic = self.transport.traffic.get(source, Traffic())
        return traffic.rejected, traffic.lost

    def reasons(self):
        return [event.text for event in noticed(self.transport)]

    def deliver(self, source, message, number):
        self.transport.take(make_codec(source, []).encode(envelope(source, "b", message, number)))

    def _heard(self):
        return [one.sequence for one in self.transport.poll(0.0)]


@pytest.fixture
def door():
    return Door()


def test_messages_in_order_are_all_heard_and_nothing_is_counted(door):
    assert door.take(*range(50)) == list(range(50))
    assert door.counted() == (0, 0)
    assert door.transport.totals() == []


def test_a_repeated_message_is_refused_with_a_reason_and_not_heard_twice(door):
    assert door.take(0, 1, 1) == [0, 1]
    assert door.counted() == (1, 0)
    assert door.reasons() == ["message 1 repeated or out of order: expected 2 or later"]


def test_an_older_message_is_refused(door):
    assert door.take(0, 1, 2, 0) == [0, 1, 2]
    assert door.reasons() == ["message 0 repeated or out of order: expected 3 or later"]


def test_numbers_left_out_are_counted_as_lost_once(door):
    assert door.take(0, 3, 4, 9) == [0, 3, 4, 9]
    assert door.counted() == (0, 2 + 4)
    assert door.take(10) == [10]
    assert door.transport.totals() == [EdgeRecord("a", "b", lost=6)]


def test_one_that_comes_after_it_was_counted_as_lost_is_refused_and_not_counted_again(door):
    assert door.take(0, 2, 1, 3) == [0, 2, 3]
    assert door.counted() == (1, 1)


def test_the_edges_of_two_senders_are_numbered_apart(door):
    assert door.take(0, 1, 2) == [0, 1, 2]
    assert door.take(0, 2, source="c") == [0, 2]
    assert (door.counted("a"), door.counted("c")) == ((0, 0), (0, 1))


@pytest.mark.parametrize("message", [share(1), FIRST_LIFE], ids=["share", "hello"])
def test_the_number_of_a_last_will_is_for_wills_alone(door, message):
    assert door.take(0) == [0]
    door.transport.take(make_codec("a", []).encode(envelope("a", "b", message, LAST_WILL)))
    assert door.reasons() == [f"{type(message).__name__} with the number of a last will"]
    assert door.take(1) == [1]


def test_a_last_will_is_heard_and_leaves_the_count_as_it_was(door):
    assert door.take(0, 1) == [0, 1]
    door.transport.take(make_codec("a", []).encode(envelope("a", "b", Metrics(b""), LAST_WILL)))
    assert [type(one.message) for one in door.transport.poll(0.0)] == [Metrics]
    assert door.take(2) == [2]
    assert door.counted() == (0, 0)


def test_a_hello_takes_no_number(door):
    assert door.greet(FIRST_LIFE, 0)
    assert door.take(0) == [0]
    assert door.greet(FIRST_LIFE, 1)
    assert door.take(1) == [1]
    assert door.counted() == (0, 0)


def test_what_a_sender_said_before_it_was_first_heard_by_its_hello_is_not_lost(door):
    assert door.greet(FIRST_LIFE, 70)
    assert door.take(70, 71) == [70, 71]
    assert door.counted() == (0, 0)


def test_what_is_left_out_after_the_first_hello_is_lost(door):
    assert door.greet(FIRST_LIFE, 70)
    assert door.take(72) == [72]
    assert door.counted() == (0, 2)


def test_the_hello_of_a_later_life_starts_the_numbers_anew(door):
    door.greet(FIRST_LIFE, 0)
    assert door.take(*range(5)) == list(range(5))
    assert door.greet(SECOND_LIFE, 0)
    assert door.take(0, 1, 1) == [0, 1]
    assert door.counted() == (1, 0)


def test_the_hello_of_an_earlier_life_is_refused_with_a_reason(door):
    assert door.greet(SECOND_LIFE, 0)
    assert door.take(0, 1) == [0, 1]
    assert not door.greet(FIRST_LIFE, 0)
    assert door.reasons() == ["HELLO of life 0, after one of life 1"]
    assert door.take(0, 2) == [2]


@pytest.mark.parametrize("number", [0, 3, 90])
def test_another_hello_of_the_same_life_is_heard_and_changes_nothing(door, number):
    door.greet(FIRST_LIFE, 0)
    assert door.take(0, 1, 2) == [0, 1, 2]
    assert door.greet(FIRST_LIFE, number)
    assert door.take(2, 3, 5) == [3, 5]
    assert door.counted() == (1, 1)


def test_a_frame_that_is_no_message_takes_no_number_but_leaves_its_own_missing(door):
    frame = make_codec("a", []).encode(envelope("a", "b", share(1), 1))
    assert door.take(0) == [0]
    door.transport.take(frame[:-1])
    assert door.take(2) == [2]
    assert door.counted() == (1, 1)


deliveries = st.integers(0, 30).flatmap(
    lambda last: st.tuples(st.just(last), st.lists(st.integers(0, last), max_size=3 * last + 3))
)


@property_test
@given(deliveries, st.booleans())
def test_whatever_the_network_does_every_number_is_heard_once_lost_once_or_still_to_come(delivery, greeted):
    last, numbers = delivery
    door = Door()
    if greeted:
        door.greet(FIRST_LIFE, 0)
    heard = door.take(*numbers)
    rejected, lost = door.counted()
    assert all(before < after for before, after in pairwise(heard))
    assert set(heard) <= set(numbers)
    still_to_come = last - max(numbers, default=-1)
    assert len(heard) + lost + still_to_come == last + 1
    assert len(heard) + rejected == len(numbers)


def test_a_poll_ends_at_a_change_of_faults_and_the_next_goes_on_behind_it(door):
    messages = [share(0), Faults("[]"), Faults("[]"), share(3), Faults("[]"), share(5)]
    for number, message in enumerate(messages):
        door.deliver("a", message, number)
    polled = [[one.sequence for one in door.transport.poll(0.0)] for _ in range(5)]
    assert polled == [[0, 1], [2], [3, 4], [5], []]
    assert door.take(6, 7) == [6, 7]
    assert door.counted() == (0, 0)


@property_test
@given(st.permutations(range(12)))
def test_of_a_reordered_stretch_those_that_were_not_overtaken_are_heard(order):
    expected = [number for place, number in enumerate(order) if number == max(order[: place + 1])]
    assert Door().take(*order) == expected


def test_what_the_wire_itself_says_to_have_sent_twice_is_taken_once_and_counted_nowhere():
    door = Door()
    frames = [make_codec("a", []).encode(envelope("a", "b", share(number), number)) for number in range(4)]
    for frame in (frames[0], frames[1]):
        door.transport.take(frame)
    for frame in frames:
        door.transport.take_again(frame)
    assert door.take() == [0, 1, 2, 3]
    assert door.counted() == (0, 0)
    door.transport.take_again(b"nonsense")
    assert sum(traffic.rejected for traffic in door.transport.traffic.values()) == 1


@pytest.mark.parametrize("life", [0, 1, 7])
def test_the_hello_of_another_run_is_heard_and_leaves_the_numbers_as_they_are(door, life):
    door.greet(FIRST_LIFE, 0)
    assert door.take(0, 1) == [0, 1]
    assert door.greet(Hello(life, wants_reply=True, identity=Identity("toy-bbbbbbbb", "", "")), 90)
    assert door.counted() == (0, 0)
    assert door.take(1, 2, 3) == [2, 3]
