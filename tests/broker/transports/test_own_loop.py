"""The loop of an MQTT connection runs while somebody waits, and is left alone while reading needs none."""

from __future__ import annotations

import asyncio

import pytest
from broker_toys import LIMIT_S

from broker.transports.mqtt.own_loop import OwnLoop


class Wire:
    """Is read without the loop while it is well; `stop` is called at the reading that is the last one."""

    def __init__(self):
        self.is_well, self.asked, self.last, self.stop = True, [], 3, None

    def can_publish(self):
        return self.is_well

    def read_within(self, timeout_s):
        self.asked.append(timeout_s)
        if len(self.asked) == self.last:
            self.stop()


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def loop(wire):
    loop = OwnLoop(lambda: wire)
    wire.stop = loop.stop
    yield loop
    loop.end_work()
    loop.close()


async def for_ever():
    await asyncio.Event().wait()


def test_while_all_is_well_it_is_read_without_the_loop_which_has_one_turn_in_a_second(loop, wire):
    turns = []

    async def count():
        while True:
            turns.append(len(wire.asked))
            await asyncio.sleep(0)

    loop.start(count(), "count")
    loop.run(LIMIT_S)
    assert turns == [0]
    assert all(0 < asked_s <= 1.0 for asked_s in wire.asked)


def test_until_there_is_something_to_read_the_work_goes_on(loop, wire):
    wire.is_well = False

    async def make_well():
        await asyncio.sleep(0)
        wire.is_well = True
        loop.stop()

    loop.start(make_well(), "make well")
    loop.run(LIMIT_S)
    assert wire.asked == []
    loop.run(LIMIT_S)
    assert len(wire.asked) == wire.last


@pytest.mark.parametrize("in_a_callback", [False, True])
def test_where_its_work_fails_so_does_who_waits(loop, wire, in_a_callback):
    wire.is_well = False

    def fail():
        raise RuntimeError("it failed")

    async def work():
        if not in_a_callback:
            fail()
        asyncio.get_running_loop().call_soon(fail)
        await for_ever()

    loop.start(work(), "work")
    with pytest.raises(RuntimeError, match="it failed"):
        loop.run(None)


def test_who_waits_for_so_long_is_let_go_whether_it_is_read_or_not(loop, wire):
    wire.is_well = False
    loop.run(0.01)
    loop.run(0.0)
    assert wire.asked == []


def test_work_that_misses_being_cancelled_is_cancelled_again(loop, wire):
    cancelled = []

    async def stubborn():
        for _ in range(2):
            try:
                await for_ever()
            except asyncio.CancelledError:
                cancelled.append(True)

    loop.start(stubborn(), "stubborn")
    loop.turn()
    loop.end_work()
    assert cancelled == [True, True]
