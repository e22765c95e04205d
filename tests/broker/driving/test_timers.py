"""Timers: the next one is that of a plain table, and what was set anew is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.driving.timers import Timers

NAMES = st.sampled_from(["environment", "agent-0", "agent-1"])
PUTS = st.tuples(NAMES, st.none() | st.integers(0, 9).map(float))


@given(st.lists(PUTS | st.integers(0, 9).map(float)))
def test_timers_say_what_a_table_of_them_says(done):
    found, table = Timers(), {"agent-2": 9.5, "environment": 80.0, "agent-0": 80.0, "agent-1": 78.0}
    for name, at in table.items():  # agent-2 first, so that those that are set anew stay below the top
        found.put(name, at)
    for at in range(11, 79):  # one more, and all that count for nothing are forgotten
        found.put("agent-1", at)
    assert len(found._heap) == 72
    for each in done:
        if isinstance(each, float):
            assert found.due(each) == {name for name, at in table.items() if at <= each}
        else:
            name, at = each
            found.put(name, at)
            table.pop(name, None)
            table |= {} if at is None else {name: at}
        assert found.next() == min(table.values(), default=None)


def test_timers_that_are_set_anew_again_and_again_fill_no_memory():
    found, most = Timers(), 0
    found.put("environment", 0.5)  # before all others, so that none of them comes to the top
    for message in range(10_000):
        found.put("agent-0", 60.0 + message)
        most = max(most, len(found._heap))
    assert most < 100
    assert found.due(1e9) == {"environment", "agent-0"}
