"""No fault of any kind touches a message outside its selector or its window."""

from __future__ import annotations

import numpy as np
import pytest
from broker_toys import envelope, make_codec, noticed, property_test
from fault_cases import KINDS, Judge, fault
from hypothesis import given
from hypothesis import strategies as st

from broker.transports.faulty import FaultyTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.wire.messages import MessageName, Share
from broker.wire.records import FaultCount, FaultRecord

NAMES = ("agent-0", "agent-1", "agent-2")
windows = st.none() | st.tuples(st.integers(0, 4), st.integers(1, 3)).map(lambda pair: (pair[0], pair[0] + pair[1]))
SURE = {"probability": 1.0}


@st.composite
def selectors(draw):
    """Settings of a selector, and what they mean, said in another way."""
    settings = {"episodes": draw(windows), "rounds": draw(windows)}
    edge = draw(st.sampled_from([(one, two) for one in NAMES for two in NAMES if one != two]))
    way = draw(st.sampled_from(["edge", "pattern", "agent"]))
    if way == "edge":
        return settings | {"edges": [f"{edge[0]}->{edge[1]}"]}, {edge}
    if way == "pattern":
        return settings | {"source": edge[0], "destination": "agent-*"}, {(edge[0], other) for other in NAMES}
    direction = draw(st.sampled_from(["in", "out", "both"]))
    out, into = {(edge[0], other) for other in NAMES}, {(other, edge[0]) for other in NAMES}
    meant = {"in": into, "out": out, "both": into | out}[direction]
    return settings | {"agents": [edge[0]], "direction": direction}, meant


def content():
    return {"anticipation": np.full((2, 3), 1 / 3, np.float32)}


@property_test
@given(
    st.sampled_from(sorted(KINDS)),
    selectors(),
    st.lists(st.tuples(st.sampled_from(NAMES[1:]), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12),
    st.floats(0, 20),
)
def test_what_lies_outside_arrives_at_once_and_unchanged(kind, selector, messages, began_s):
    settings, meant = selector
    if kind in ("slow-node", "clock-offset"):
        if "direction" in settings:  # a node is slow in what it sends alone, and looks at its clock when it receives
            ends_ = [(settings["agents"][0], other) for other in NAMES]
            meant = set(ends_ if kind == "slow-node" else [edge[::-1] for edge in ends_])
        settings = {key: value for key, value in settings.items() if key != "direction"} | {"messages": ["share"]}
    if kind in ("isolate", "slow-node", "clock-offset") and "agents" not in settings:
        settings = settings | {"agents": ["*"]}
    if "probability" in KINDS[kind]:
        settings = settings | SURE
    config = fault(kind, **settings)
    network = MemoryNetwork()
    ends = {name: MemoryTransport(name, network, make_codec(name, NAMES)) for name in NAMES}
    ear = FaultyTransport(ends["agent-0"], Judge([config], 1))
    ear.poll(began_s)
    outside = set()
    for source, episode, round_ in dict.fromkeys(messages):
        message = envelope(source, "agent-0", Share.of(episode, round_, content()))
        ends[source].send(message)
        inside = all(
            window is None or window[0] <= number < window[1]
            for window, number in ((config.episodes, episode), (config.rounds, round_))
        )
        if not (inside and (source, "agent-0") in meant):
            outside.add((source, episode, round_))
    arrived = ear.poll(began_s + 1.0)
    unchanged = {
        (one.source, one.message.episode, one.message.round)
        for one in arrived
        if one.message.layout == Share.of(0, 0, content()).layout
        and bytes(one.message.data) == content()["anticipation"].tobytes()
    }
    assert outside <= unchanged
    struck = {(line.source, line.episode, line.number) for line in noticed(ear) if isinstance(line, FaultRecord)}
    assert not struck & outside
    examined = sum(line.examined for line in ear.totals() if isinstance(line, FaultCount))
    assert examined <= len(set(messages)) - len(outside)


@pytest.mark.parametrize(
    ("settings", "source", "destination", "touched"),
    [
        ({"edges": ["agent-0->agent-1"]}, "agent-0", "agent-1", True),
        ({"edges": ["agent-0->agent-1"]}, "agent-1", "agent-0", False),
        ({"edges": ["agent-0->agent-1"]}, "agent-0", "agent-10", False),
        ({"edges": ["agent-2->*", "*->agent-1"]}, "agent-0", "agent-1", True),
        ({"edges": ["agent-0->*"], "destination": "agent-2"}, "agent-0", "agent-1", False),
        ({"agents": ["agent-1"], "edges": ["agent-0->*"]}, "agent-0", "agent-2", False),
        ({"agents": ["agent-1"], "direction": "in"}, "agent-0", "agent-1", True),
        ({"agents": ["agent-1"], "direction": "out"}, "agent-0", "agent-1", False),
    ],
)
def test_parts_of_a_selector_must_all_fit(settings, source, destination, touched):
    judge = Judge([fault("drop", **settings)], 0)
    assert bool(judge.examining(source, destination, "share")) == touched


@pytest.mark.parametrize(
    ("settings", "name", "at_s", "inside"),
    [
        ({"episodes": [2, 4]}, ("share", 1, 9), 0.0, False),
        ({"episodes": [2, 4]}, ("share", 2, 9), 0.0, True),
        ({"episodes": [2, 4]}, ("share", 4, 9), 0.0, False),
        ({"rounds": [1, 2]}, ("share", 9, 1), 0.0, True),
        ({"rounds": [1, 2]}, ("share", 9, 2), 0.0, False),
        ({"steps": [1, 2], "messages": ["action"]}, ("action", 9, 1), 0.0, True),
        ({"steps": [1, 2], "messages": ["action"]}, ("action", 9, 0), 0.0, False),
        ({"seconds": [1.5, 2.5]}, ("share", 0, 0), 1.5, True),
        ({"seconds": [1.5, 2.5]}, ("share", 0, 0), 2.5, False),
        ({"seconds": [1.5, 2.5], "episodes": [0, 1]}, ("share", 1, 0), 2.0, False),
    ],
)
def test_a_window_is_open_from_its_first_number_and_shut_at_its_last(settings, name, at_s, inside):
    judge = Judge([fault("drop", **SURE | settings)], 0)
    assert (judge.judge("a", "b", MessageName(*name, 0), at_s)[0] == ()) == inside
