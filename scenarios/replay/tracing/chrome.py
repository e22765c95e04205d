"""A run as a trace of Chrome's format, for ui.perfetto.dev: a lane for each participant, an arrow for each message.

    {"displayTimeUnit": "ms", "otherData": {...}, "traceEvents": [
        {"ph": "X", "name": "SHARING", ...}      a phase, and in it each call, as long as it computed, and each sending
        {"ph": "s", "id": 7, ...}                an arrow begins at a sending ...
        {"ph": "f", "id": 7, "bp": "e", ...}     ... and ends at the call that took the message
        {"ph": "i", "name": "drop: ...", ...}    a fault, an ending or a strike

Times are those of the host, in microseconds, whatever time participants were told: a simulation is shown as it
computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, BinaryIO

import msgspec

from broker.counting import counted
from broker.transports.journal import Turn
from scenarios.replay.journals import LifeJournal
from scenarios.replay.tracing.lanes import Slice, calls_and_sendings, phases
from scenarios.replay.tracing.marks import TraceMark, marks_of
from scenarios.replay.tracing.passages import Passages, with_taken
from scenarios.results.reader import RunReader

Event = dict[str, Any]
_PROCESS = 1


def write_chrome(journals: Sequence[LifeJournal], store: RunReader, file: BinaryIO) -> str:
    """Write the trace of a run; says what is in it.

    Args:
        journals: All of the run.
        store: Its store, open.
        file: Where to.
    """
    trace = _Trace(journals, store)
    encode = msgspec.json.Encoder().encode
    file.write(b'{"displayTimeUnit":"ms","otherData":' + encode(trace.about()) + b',"traceEvents":[\n')
    separator = b""
    for event in trace.events():
        file.write(separator + encode(event))
        separator = b",\n"
    file.write(b"\n]}\n")
    told = (counted(count, what) for what, count in trace.counts.items())
    return f"{', '.join(told)}, in {counted(len(trace.lanes), 'lane')}"


class _Trace:
    """All events of a trace.

    Attributes:
        lanes: The number of each participant's lane.
        counts: How many slices, arrows and marks there have been.
    """

    def __init__(self, journals: Sequence[LifeJournal], store: RunReader) -> None:
        self._journals, self._store = journals, store
        self._passages = Passages(journals)
        self._began_s = min(self._passages.at(each.opened.clock, each.opened.at_s) for each in journals)
        self.lanes = {name: lane for lane, name in enumerate(dict.fromkeys(each.participant for each in journals), 1)}
        self.counts = {"slice": 0, "arrow": 0, "mark": 0}

    def about(self) -> Mapping[str, str]:
        """How the clocks of several hosts were brought together."""
        offsets = self._passages.offsets
        if len(offsets) == 1:
            return {}
        return {
            f"clock {clock}": f"ahead {each.ahead_s * 1e3:.3f} ms, within {each.within_s * 1e3:.3f} ms"
            if isfinite(each.within_s)
            else "not known: no messages both ways"
            for clock, each in offsets.items()
        }

    def events(self) -> Iterator[Event]:
        """All of them."""
        names = self._store.agent_names()
        yield _meta("process_name", 0, name=self._store.run_name() or "run")
        for participant, lane in self.lanes.items():
            yield _meta("thread_name", lane, name=names.tell(participant))
            yield _meta("thread_sort_index", lane, sort_index=lane)
        for journal in self._journals:
            for each in (*phases(journal), *calls_and_sendings(journal)):
                yield self._slice(each, journal)
            yield from self._arrows(journal)
        for mark in marks_of(self._journals, self._store, self._passages):
            yield self._mark(mark)

    def _slice(self, part: Slice, journal: LifeJournal) -> Event:
        self.counts["slice"] += 1
        at_s, clock = part.at_s, journal.opened.clock
        began, ended = (self._us(self._passages.at(clock, each)) for each in (at_s, at_s + part.took_s))
        event = self._event("X", part.about, part.name, began, journal.participant)
        return event | {"dur": round(ended - began, 3), "args": part.details}

    def _arrows(self, journal: LifeJournal) -> Iterator[Event]:
        """An arrow for each call with a message that somebody wrote down when sending it."""
        for entry, taken in with_taken(journal.entries()):
            if type(entry) is not Turn or taken is None:
                continue
            arrived_at_s = self._passages.at(journal.opened.clock, taken.arrived_at_s)
            sent_at_s = self._passages.sent_at(taken.passage, arrived_at_s)
            if sent_at_s is None:
                continue
            self.counts["arrow"] += 1
            name, number = taken.passage.kind, {"id": self.counts["arrow"]}
            taken_at_s = self._passages.at(journal.opened.clock, entry.at_s)
            yield self._event("s", "message", name, self._us(sent_at_s), taken.passage.source) | number
            ends = self._event("f", "message", name, self._us(taken_at_s), journal.participant)
            yield ends | number | {"bp": "e"}

    def _mark(self, mark: TraceMark) -> Event:
        self.counts["mark"] += 1
        lane = mark.participant in self.lanes
        event = self._event("i", mark.about, mark.name, self._us(mark.at_s), mark.participant)
        return event | {"s": "t" if lane else "g"}

    def _event(self, kind: str, about: str, name: str, at_us: float, participant: str) -> Event:
        lane = self.lanes.get(participant, 0)
        return {"ph": kind, "cat": about, "name": name, "ts": at_us, "pid": _PROCESS, "tid": lane}

    def _us(self, at_s: float) -> float:
        return round((at_s - self._began_s) * 1e6, 3)


def _meta(kind: str, lane: int, **about: object) -> Event:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": lane, "args": about}
