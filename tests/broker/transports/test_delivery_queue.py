"""Messages held until they are due come out in one order only."""

from __future__ import annotations

from broker_toys import property_test
from hypothesis import given
from hypothesis import strategies as st

from broker.transports.delivery import DeliveryQueue

# Few different times, so that many are equal.
times = st.sampled_from([0.0, 0.1, 0.1 + 1e-16, 0.3, 1.0, 1e9]) | st.floats(0, 10)


@property_test
@given(st.lists(times, max_size=40))
def test_items_come_out_by_time_and_then_in_the_order_they_went_in(dues):
    queue = DeliveryQueue()
    for item, due in enumerate(dues):
        queue.push(due, item)
    assert len(queue) == len(dues)
    assert queue.pop_due(float("inf")) == sorted(range(len(dues)), key=lambda item: (dues[item], item))
    assert len(queue) == 0


@property_test
@given(st.lists(st.tuples(st.booleans(), times), max_size=40))
def test_pushing_and_popping_in_turns_equals_a_sorted_list(steps):
    queue, held = DeliveryQueue(), []
    for item, (push, time) in enumerate(steps):
        if push:
            queue.push(time, item)
            held.append((time, item))
        else:
            due = sorted(entry for entry in held if entry[0] <= time)
            held = [entry for entry in held if entry[0] > time]
            assert queue.pop_due(time) == [item for _, item in due]
        assert queue.due() == min((due for due, _ in held), default=None)


def test_items_need_no_order_of_their_own():
    queue = DeliveryQueue()
    first, second = {"no": "order"}, {"of": "dicts"}
    queue.push(1.0, first)
    queue.push(1.0, second)
    assert queue.pop_due(1.0) == [first, second]


def test_nothing_comes_out_before_its_time():
    queue = DeliveryQueue()
    queue.push(2.0, "later")
    assert queue.pop_due(1.999999) == []
    assert queue.pop_due(2.0) == ["later"]
    assert queue.due() is None
