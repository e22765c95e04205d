"""Of mosquitto's log the routine is left out, however it is cut into pieces, and refusals are counted to the last."""

from __future__ import annotations

from broker_toys import property_test
from hypothesis import given
from hypothesis import strategies as st

from broker.servers.mqtt_log import Sieve, keep, refusals_in

AT = "2026-01-02T03:04:05: "
ROUTINE = [
    "Received PUBLISH from agent-0 (d0, q0, r0, m0, 'foretell/x/agent-0/agent-1', ... (70 bytes))",
    "Sending PUBLISH to agent-1 (d0, q0, r0, m0, 'foretell/x/agent-0/agent-1', ... (70 bytes))",
    "Received PINGREQ from agent-1",
    "Sending PINGRESP to agent-1",
    "Sending PUBACK to agent-0 (m1, rc0)",
]
KEPT = [
    "agent-2 0 refused in all: 7",
    "\tDenied PUBLISH from agent-0 (QoS 0)",
    "mosquitto version 2.0.11 running",
    "New client connected from 127.0.0.1:40000 as agent-0 (p5, c1, k60, u'agent-0').",
    "Socket error on client agent-0, disconnecting.",
]
REFUSED = [
    "Denied PUBLISH from agent-2 (d0, q0, r0, m0, 'x: Received PUBLISH from y', ... (6 bytes))",
    "Denied PUBLISH from agent-2 (d0, q0, r0, m0, 'foretell/x/agent-0/agent-1', ... (6 bytes))",
    "Client <unknown> disconnected, not authorised.",
]


def text(lines):
    return "".join(f"{AT}{line}\n" for line in lines)


@property_test
@given(st.lists(st.sampled_from([*ROUTINE, *KEPT, *REFUSED]), max_size=40), st.lists(st.integers(1, 60), max_size=80))
def test_routine_is_left_out_and_all_else_kept_however_the_pieces_are_cut(lines, sizes):
    log, kept, sieve = text(lines).encode(), b"", Sieve()
    for size in [*sizes, len(log)]:
        kept += sieve.take(log[:size])
        log = log[size:]
    assert kept.decode() == text([line for line in lines if line not in ROUTINE])
    assert sieve.refused == sum(line in REFUSED for line in lines) == refusals_in(kept.decode())


def sieved(pieces):
    waiting, kept = [*pieces, b""], []
    keep(lambda _: waiting.pop(0), kept.append)
    return b"".join(kept).decode()


def test_of_many_refusals_the_first_are_kept_and_all_are_counted():
    log = sieved([text(REFUSED[:2] * 400).encode()])
    assert refusals_in(log) == 800
    assert len(log.splitlines()) < 60


def test_a_last_line_without_an_end_is_not_lost():
    assert sieved([b"mosquitto: out of memory"]) == "mosquitto: out of memory\n"


def test_a_log_without_refusals_counts_none():
    assert refusals_in(text(KEPT)) == refusals_in("") == 0
