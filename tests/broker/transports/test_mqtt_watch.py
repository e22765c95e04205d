"""What a loop looks for on a socket ends with the socket: the next one of the same number is another's."""

from __future__ import annotations

import asyncio
import socket

import pytest

from broker.transports.mqtt.watch import SocketWatch


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


def turn(loop):
    loop.stop()
    loop.run_forever()


def test_a_socket_that_is_closed_while_somebody_wants_to_write_leaves_nothing_in_the_loop(loop):
    seen = []
    watch = SocketWatch(loop, lambda: seen.append("read"), lambda: seen.append("write"))
    numbers = set()
    for _ in range(3):
        mine, other = socket.socketpair()
        numbers.add(mine.fileno())
        watch.begin(mine)
        turn(loop)
        assert not seen
        watch.want_write()
        turn(loop)
        assert seen == ["write"]
        other.send(b"x")
        assert watch.has_news(0)
        turn(loop)
        assert sorted(seen) == ["read", "write", "write"]
        watch.end()
        mine.close()
        other.close()
        seen.clear()
        turn(loop)
        assert not seen
        assert not watch.has_news(0)
    assert len(numbers) == 1  # so the loop would have mixed them up


def test_what_is_wanted_without_a_socket_is_not_looked_for_on_the_next_one(loop):
    seen = []
    watch = SocketWatch(loop, lambda: seen.append("read"), lambda: seen.append("write"))
    watch.want_write()
    mine, other = socket.socketpair()
    with mine, other:
        watch.begin(mine)
        turn(loop)
        assert not seen
        watch.end()
