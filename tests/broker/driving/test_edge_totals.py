"""What a participant tells of its edges while it works: what has changed, a few at a time."""

from __future__ import annotations

from broker.driving.edge_totals import MOST_EDGES, EdgeTotals
from broker.wire.messages import OBSERVER
from broker.wire.records import EdgeRecord, FaultCount, TrafficRecord


def test_totals_of_an_edge_are_added_up_and_told_again_only_when_they_change():
    told = EdgeTotals()
    counted = [EdgeRecord("a", "b", heard=3), EdgeRecord("a", "b", heard=4, lost=1), FaultCount("rain", "a", "b", 1, 1)]
    assert told.changed(counted) == [TrafficRecord(EdgeRecord("a", "b", heard=7, lost=1))]
    assert told.changed(counted) == []
    assert told.changed([EdgeRecord("a", "b", heard=8)]) == [TrafficRecord(EdgeRecord("a", "b", heard=8))]


def test_telling_is_no_news_itself():
    assert EdgeTotals().changed([EdgeRecord("a", OBSERVER, sent=9), EdgeRecord(OBSERVER, "a", rejected=1)]) == []


def test_of_many_edges_each_has_its_turn():
    told, heard = EdgeTotals(), []
    for sign in range(4):
        counted = [EdgeRecord("a", f"b{number}", sent=sign + 1) for number in range(2 * MOST_EDGES)]
        found = told.changed(counted)
        assert len(found) == MOST_EDGES
        heard.append({record.edge.destination for record in found})
    assert heard[0].isdisjoint(heard[1])
    assert heard[0] == heard[2]
    assert heard[1] == heard[3]
