"""One suite for every way messages travel, bare and in each wrapping: what a participant may rely on."""

from __future__ import annotations

import shutil
import tempfile
import threading

import numpy as np
import pytest
from broker_toys import envelope, listen_until, noticed
from substrates import BETWEEN, WITH_MARKS, WRAPS, Substrate, meet, say

from broker.errors import FrameRejected
from broker.wire.messages import Hello, Share, Stop

PEERS = {"a": ("b", "c"), "b": ("a", "c"), "c": ("a", "b")}
ON_EVERY_WAY = pytest.mark.parametrize("kind", WITH_MARKS)
IN_EVERY_WRAPPING = pytest.mark.parametrize("wrap", WRAPS)


@pytest.fixture
def make(kind, wrap):
    made, folders = [], []

    def open_substrate(**settings):
        folder = tempfile.mkdtemp(dir="/tmp", prefix="ft-")
        folders.append(folder)
        made.append(Substrate(kind, wrap, folder, PEERS, **settings))
        return made[-1]

    yield open_substrate
    for each in made:
        each.close()
    for folder in folders:
        shutil.rmtree(folder)


def texts(ear):
    return [one.message.reason for one in ear.heard if isinstance(one.message, Stop)]


@ON_EVERY_WAY
@IN_EVERY_WRAPPING
def test_messages_arrive_on_their_edge_whole_in_order_with_source_and_number(make):
    run = make()
    a, b = run.open("a", "b"), run.open("b", "a")
    meet(a, b)
    values = np.arange(100_000, dtype=np.float32)
    a.transport.send(envelope("a", "b", Share.of(0, 0, {"x": values})))
    for number in range(1, 50):
        say(a, "b", str(number), number)
        say(b, "a", str(number), number - 1)
    listen_until(lambda: len(texts(a)) == len(texts(b)) == 49, a, b)
    shares = [one for one in b.heard if isinstance(one.message, Share)]
    assert len(shares) == 1
    assert np.array_equal(shares[0].message.arrays["x"], values)
    for ear, source, first in ((b, "a", 0), (a, "b", 0)):
        heard = [one for one in ear.heard if not isinstance(one.message, Hello)]
        assert [one.source for one in heard] == [source] * len(heard)
        assert [one.sequence for one in heard] == list(range(first, first + len(heard)))
    assert a.transport.traffic["b"].sent == 50
    assert b.transport.traffic["a"].lost == b.transport.traffic["a"].rejected == 0


@ON_EVERY_WAY
@pytest.mark.parametrize("wrap", ["bare"])
def test_nobody_hears_what_is_said_to_another(make):
    run = make()
    a, b, c = run.open("a", "b", "c"), run.open("b", "a", "c"), run.open("c", "a", "b")
    meet(a, b, c)
    say(a, "b", "for b")
    say(a, "c", "for c")
    say(c, "b", "from c")
    listen_until(lambda: len(texts(b)) == 2 and texts(c), a, b, c)
    assert sorted(texts(b)) == ["for b", "from c"]
    assert texts(c) == ["for c"]
    assert texts(a) == []


@ON_EVERY_WAY
@IN_EVERY_WRAPPING
def test_a_message_beyond_the_limit_is_refused_at_home_and_harms_no_other(make):
    run = make(max_message_bytes=4096)
    a, b = run.open("a", "b"), run.open("b", "a")
    meet(a, b)
    with pytest.raises(FrameRejected, match="max_message_bytes"):
        say(a, "b", "x" * 5000, 0)
    say(a, "b", "x" * 3000, 0)
    listen_until(lambda: texts(b), a, b)
    assert texts(b) == ["x" * 3000]
    assert a.transport.traffic["b"].sent == 1


@ON_EVERY_WAY
@IN_EVERY_WRAPPING
def test_of_messages_handed_over_together_those_before_one_too_large_are_sent_and_none_behind_it(make):
    run = make(max_message_bytes=4096)
    a, b, c = run.open("a", "b", "c"), run.open("b", "a", "c"), run.open("c", "a", "b")
    meet(a, b, c)
    messages = [("b", "before"), ("c", "before"), ("b", "x" * 5000), ("c", "behind"), ("b", "behind")]
    with pytest.raises(FrameRejected, match="max_message_bytes"):
        a.transport.send_all([envelope("a", peer, Stop(text)) for peer, text in messages])
    listen_until(lambda: texts(b) and texts(c), a, b, c)
    say(a, "b", "later", 1)
    say(a, "c", "later", 1)
    listen_until(lambda: "later" in texts(b) and "later" in texts(c), a, b, c)
    assert texts(b) == texts(c) == ["before", "later"]
    assert [a.transport.traffic[peer].sent for peer in "bc"] == [2, 2]
    assert [ear.transport.traffic["a"].lost for ear in (b, c)] == [0, 0]


@ON_EVERY_WAY
@pytest.mark.parametrize("wrap", ["bare"])
def test_a_replayed_message_is_counted_as_rejected_and_not_heard_again(make):
    run = make()
    a, b = run.open("a", "b"), run.open("b", "a")
    meet(a, b)
    for text, number in (("first", 0), ("second", 1), ("first again", 0), ("second again", 1), ("third", 2)):
        say(a, "b", text, number)
    listen_until(lambda: "third" in texts(b), a, b)
    assert texts(b) == ["first", "second", "third"]
    assert b.transport.traffic["a"].rejected == 2
    assert any("repeated or out of order" in event.text for event in noticed(b.transport))


@ON_EVERY_WAY
@pytest.mark.parametrize("wrap", ["bare"])
def test_who_comes_late_is_heard_and_hears_and_a_direct_sender_loses_nothing_in_silence(make, kind):
    run = make()
    a = run.open("a", "b")
    for number in range(5):
        say(a, "b", str(number))
    a.listen()
    b = run.open("b", "a")
    meet(a, b)
    say(a, "b", "last")
    listen_until(lambda: "last" in texts(b), a, b)
    unheard = 6 - len(texts(b))
    assert a.transport.traffic["b"].sent + a.transport.traffic["b"].dropped == 6
    assert texts(b) == [*map(str, range(unheard, 5)), "last"]
    assert b.transport.traffic["a"].lost in (unheard, 0), "what came before its first HELLO is not missed by it"
    assert a.transport.traffic["b"].dropped >= unheard or kind in BETWEEN, "a direct sender knows what was not taken"


@ON_EVERY_WAY
@pytest.mark.parametrize("wrap", ["bare"])
def test_what_a_slow_reader_misses_is_counted_on_one_side_or_the_other(make):
    run = make(queue_messages=8)
    a, b = run.open("a", "b"), run.open("b", "a")
    meet(a, b)
    count, body = 400, "x" * 20_000
    for _ in range(count):
        say(a, "b", body)
        a.transport.wait(0.0)
    traffic = a.transport.traffic["b"]
    assert traffic.sent + traffic.dropped == count

    def last_arrived():
        say(a, "b", "last")
        return "last" in texts(b)

    listen_until(last_arrived, a, b)
    numbers = [one.sequence for one in b.heard if isinstance(one.message, Stop)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + b.transport.traffic["a"].lost == numbers[-1] + 1


@ON_EVERY_WAY
@pytest.mark.parametrize("wrap", ["bare", "journaled"])
def test_a_peer_that_is_gone_and_comes_back_is_heard_in_its_new_life(make):
    run = make()
    a, b = run.open("a", "b"), run.open("b", "a")
    meet(a, b)
    say(b, "a", "first life", 0)
    listen_until(lambda: texts(a), a, b)
    run.leave(b)
    for number in range(3):
        say(a, "b", f"unheard {number}", number)
        a.listen()
    b = run.open("b", "a")
    a.heard.clear()
    meet(a, b, lives={"a": 0, "b": 1})
    say(b, "a", "second life", 1)
    say(a, "b", "welcome", 3)
    listen_until(lambda: texts(a) and "welcome" in texts(b), a, b)
    assert texts(a) == ["second life"]


@ON_EVERY_WAY
@IN_EVERY_WRAPPING
def test_closing_leaves_no_thread_and_the_others_go_on(make):
    run = make()
    before = threading.active_count()
    a, b, c = run.open("a", "b", "c"), run.open("b", "a", "c"), run.open("c", "a", "b")
    meet(a, b, c)
    say(c, "a", "goodbye")
    if run.forgets_farewells:
        listen_until(lambda: "goodbye" in texts(a), a, b, c)
    run.leave(c, linger_s=5.0)
    listen_until(lambda: "goodbye" in texts(a), a, b)
    say(a, "b", "still here")
    listen_until(lambda: "still here" in texts(b), a, b)
    run.leave(a)
    run.leave(b)
    assert threading.active_count() <= before


@pytest.mark.processes
@pytest.mark.parametrize("kind", BETWEEN)
@IN_EVERY_WRAPPING
def test_after_a_restart_of_what_stands_between_all_go_on_and_losses_are_counted(make):
    run = make()
    a, b = run.open("a", "b"), run.open("b", "a")
    meet(a, b)
    say(a, "b", "before")
    listen_until(lambda: "before" in texts(b), a, b)
    run.restart_between()

    def both_heard():
        say(a, "b", "after")
        say(b, "a", "after")
        return "after" in texts(a) and "after" in texts(b)

    listen_until(both_heard, a, b)
    for ear, peer in ((a, "b"), (b, "a")):
        numbers = [one.sequence for one in ear.heard if isinstance(one.message, Stop)]
        assert len(numbers) + ear.transport.traffic[peer].lost == numbers[-1] + 1
