"""What waits in front of a way that takes nothing now: in order, bounded, and each loss counted."""

from __future__ import annotations

import pytest
from broker_toys import envelope, make_codec, share

from broker.transports.queueing import OutEdge, QueueingTransport
from broker.wire.messages import Hello, Stop

LIMIT = 3


class Lane(QueueingTransport[OutEdge]):
    """A transport that takes frames while it is `open`, and keeps what has left."""

    def __init__(self, *peers):
        super().__init__("a", make_codec("a", peers))
        self._edges = {peer: OutEdge(LIMIT, self.traffic[peer]) for peer in peers}
        self.open, self.left, self.refused = True, [], []

    def _leave(self, edge, frame, kind):
        if self.open:
            self.left.append((frame, kind))
        return self.open

    def _hello_refused(self, edge, hello):
        self.refused.append(hello)

    def reopen(self):
        self.open = True
        self._flush_stuck()

    def wait(self, timeout_s, awaited=1): ...

    def close(self, linger_s): ...


def say(lane, peer, *texts):
    envelopes = [envelope("a", peer, Stop(text)) for text in texts]
    lane.send_all(envelopes)
    return [lane.codec.write(each) for each in envelopes]


def frames(lane):
    return [frame for frame, _ in lane.left]


def counts(lane, peer="b"):
    traffic = lane.traffic[peer]
    return traffic.sent, traffic.dropped


def test_what_is_not_taken_leaves_later_in_order_and_behind_nothing_that_came_after_it():
    lane = Lane("b")
    lane.open = False
    waiting = say(lane, "b", "one", "two")
    lane.open = True
    waiting += say(lane, "b", "three")
    assert frames(lane) == []
    lane.reopen()
    assert frames(lane) == waiting
    waiting += say(lane, "b", "four")
    assert frames(lane) == waiting
    assert counts(lane) == (4, 0)
    assert lane.traffic["b"].sent_bytes == sum(map(len, frames(lane)))


def test_a_full_queue_refuses_what_is_newest_and_no_other_edge():
    lane = Lane("b", "c")
    lane.open = False
    kept = say(lane, "b", *"12345")[:LIMIT]
    kept += say(lane, "c", "1")
    assert (counts(lane, "b"), counts(lane, "c")) == ((3, 2), (1, 0))
    lane.reopen()
    assert frames(lane) == kept


def test_hello_neither_waits_nor_counts_nor_overtakes():
    lane, hello = Lane("b"), Hello(0, wants_reply=True)
    lane.send(envelope("a", "b", hello))
    assert [kind for _, kind in lane.left] == [Hello]
    lane.open = False
    say(lane, "b", "waits")
    lane.open = True
    lane.send(envelope("a", "b", hello))
    lane.reopen()
    assert lane.refused == [hello]
    assert [kind for _, kind in lane.left] == [Hello, Stop]
    assert counts(lane) == (1, 0)


def test_what_waits_for_the_dead_is_given_up_and_counted_as_dropped():
    lane = Lane("b", "c")
    say(lane, "b", "left")
    lane.open = False
    say(lane, "b", "waits", "waits")
    kept = say(lane, "c", "waits")
    lane.forget("b")
    assert (counts(lane, "b"), counts(lane, "c")) == ((1, 2), (1, 0))
    assert lane.traffic["b"].sent_bytes == len(frames(lane)[0])
    lane.left.clear()
    lane.reopen()
    assert frames(lane) == kept


@pytest.mark.parametrize("message", [share(), Stop("x")], ids=lambda message: type(message).__name__)
def test_a_frame_that_waited_is_still_known_by_its_message(message):
    lane = Lane("b")
    lane.open = False
    lane.send(envelope("a", "b", message))
    lane.reopen()
    assert [kind for _, kind in lane.left] == [type(message)]
