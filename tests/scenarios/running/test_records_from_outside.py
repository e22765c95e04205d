"""Records are checked against the plan and their sender; others are refused and counted, and are used for nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from limits import LIMIT_S
from runs import until

from broker.driving.connect import make_codec, open_transport
from broker.own_clock import OwnClock
from broker.participants.link import LifeConfig
from broker.transports.transport import UNKNOWN, Transport
from broker.wire.messages import ENVIRONMENT, OBSERVER, Envelope, Hello, Metrics, Stop
from broker.wire.records import (
    ClosedRecord,
    ClosingRecord,
    DelayRecord,
    EdgeRecord,
    EndingRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    Fate,
    FateCount,
    FaultCount,
    FaultRecord,
    FinishedRecord,
    JoinedRecord,
    PausedRecord,
    ProcessFaultRecord,
    Record,
    RoundRecord,
    StatusRecord,
    TrafficRecord,
    pack,
)
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.launched.inbox import Inbox
from scenarios.running.launched.speakers import Speakers
from scenarios.running.meeting.addresses import make_addresses

PLAN = make_plan(load_scenario("exchange-quick", {"episodes": 4}))
ONE, OTHER = PLAN.agents[:2]
RETURNS = (1.0,) * len(PLAN.agents)
NAME = ("share", 1, 0, 0)
DIGEST = "0" * 64
NAN, INFINITY = float("nan"), float("inf")

TRUE: list[tuple[str, Record]] = [
    (ENVIRONMENT, EpisodeRecord(0, RETURNS, PLAN.steps, 0)),
    (ENVIRONMENT, PausedRecord(3)),
    (ENVIRONMENT, FinishedRecord(ENVIRONMENT, "")),
    (ENVIRONMENT, ClosingRecord(ENVIRONMENT)),
    (ENVIRONMENT, ClosedRecord(ENVIRONMENT, 0)),
    (ONE, RoundRecord(ONE, 0, 0, 2, 1, {"gain": NAN, "loss": INFINITY})),
    (ONE, FinishedRecord(ONE, DIGEST)),
    (ONE, JoinedRecord(ONE)),
    (ONE, StatusRecord(ONE, "ACTING", "waits")),
    (ONE, EventRecord(ONE, EventKind.REJECTED, OTHER, "[/a] \x00 \ud7ff")),
    (ONE, EdgeRecord(ONE, OTHER, sent=3, sent_bytes=300, dropped=1)),
    (ONE, EdgeRecord(ONE, OBSERVER, sent=3)),
    (ONE, EdgeRecord(UNKNOWN, ONE, rejected=3)),
    (ONE, EventRecord(ONE, EventKind.REJECTED, UNKNOWN, "")),
    (ONE, EdgeRecord(OTHER, ONE, heard=3, late=1, missing=1, rejected=1, lost=1, skipped=1)),
    (ONE, TrafficRecord(EdgeRecord(ONE, OTHER, sent=3))),
    (ONE, FaultRecord("rain", OTHER, ONE, *NAME, (0.5,), Fate.DELAYED)),
    (ONE, EndingRecord(OTHER, ONE, "share", -1, 7, 0, Fate.REJECTED, "a cause")),
    (ONE, DelayRecord(OTHER, ONE, *NAME, 0.5, 0.6)),
    (ONE, FaultCount("rain", OTHER, ONE, 3, 1)),
    (ONE, FateCount(OTHER, ONE, "share", 3)),
]
FORGED: list[tuple[str, Record]] = [
    (ENVIRONMENT, EpisodeRecord(0, RETURNS[1:], 1, 0)),
    (ENVIRONMENT, EpisodeRecord(0, (), 1, 0)),
    (ENVIRONMENT, EpisodeRecord(4, RETURNS, 1, 0)),
    (ENVIRONMENT, EpisodeRecord(0, (NAN, *RETURNS[1:]), 1, 0)),
    (ENVIRONMENT, EpisodeRecord(0, (INFINITY, *RETURNS[1:]), 1, 0)),
    (ENVIRONMENT, EpisodeRecord(0, RETURNS, PLAN.steps * PLAN.scenario.parallel_episodes + 1, 0)),
    (ONE, EpisodeRecord(0, RETURNS, 1, 0)),
    (ONE, PausedRecord(3)),
    (ENVIRONMENT, PausedRecord(4)),
    (ONE, RoundRecord(OTHER, 0, 0, 2, 1, {})),
    (ENVIRONMENT, RoundRecord(ENVIRONMENT, 0, 0, 2, 1, {})),
    (ONE, RoundRecord(ONE, 4, 0, 2, 1, {})),
    (ONE, RoundRecord(ONE, 0, PLAN.scenario.learning.rounds, 2, 1, {})),
    (ONE, RoundRecord(ONE, 0, 0, 3, 1, {})),
    (ONE, RoundRecord(ONE, 0, 0, 1, 2, {})),
    (ONE, FinishedRecord(OTHER, DIGEST)),
    (ONE, ClosingRecord(OTHER)),
    (ONE, ClosedRecord(OTHER, 0)),
    (ONE, FinishedRecord(ONE, "")),
    (ENVIRONMENT, FinishedRecord(ENVIRONMENT, DIGEST)),
    (ONE, JoinedRecord(OTHER)),
    (ONE, StatusRecord(OTHER, "ACTING", "waits")),
    (ONE, EventRecord(OTHER, EventKind.REJECTED, ONE, "")),
    (ONE, EventRecord(ONE, EventKind.GONE, OTHER, "")),
    (ONE, EventRecord(ONE, EventKind.NOTE, "", "")),
    (ONE, EventRecord("launcher", EventKind.NOTE, "", "")),
    (ONE, EventRecord(ONE, EventKind.REJECTED, "nobody", "")),
    (ONE, EdgeRecord(OTHER, ENVIRONMENT, sent=1)),
    (ONE, EdgeRecord(ONE, "nobody", sent=1)),
    (ONE, EdgeRecord(ONE, OTHER, heard=1)),
    (ONE, TrafficRecord(EdgeRecord(OTHER, ONE, sent=1))),
    (ONE, EventRecord(ONE, EventKind.JOINED, "", "")),
    (ONE, EdgeRecord(OTHER, ONE, sent=1)),
    (ONE, FaultRecord("rain", ONE, OTHER, *NAME, (), Fate.DROPPED)),
    (ONE, TrafficRecord(EdgeRecord(ONE, OTHER, heard=3))),
    (ONE, FaultRecord("rain", OTHER, ONE, *NAME, (NAN,), Fate.DELAYED)),
    (ONE, EndingRecord("nobody", ONE, *NAME, Fate.LATE, "")),
    (ONE, DelayRecord(OTHER, ONE, *NAME, 0.5, INFINITY)),
    (ONE, FaultCount("rain", ONE, OTHER, 3, 1)),
    (ONE, FateCount(ONE, OTHER, "share", 3)),
    (ONE, ProcessFaultRecord("crash", "second 1", ONE, "killed")),
]
ODD = [
    [{"type": "episode", "episode": 0, "returns": RETURNS, "steps": 2**64 - 1, "missing_actions": 0}],
    [{"type": "episode", "episode": -1, "returns": RETURNS, "steps": 1, "missing_actions": 0}],
    [{"type": "round", "agent": ONE, "episode": 2**63, "round": 0, "partners": 1, "heard": 1, "losses": {}}],
    [{"type": "edge", "source": ONE, "destination": OTHER, "sent": 2**63}],
    [{"type": "status", "participant": ONE, "phase": "", "waits_for": "x" * 100_000}],
    {"type": "status"},
    17,
]


class Meeting:
    """An observer over real sockets, and participants that say what they like."""

    def __init__(self, root: Path, sockets: Path) -> None:
        addresses = make_addresses(PLAN.participants, PLAN.scenario.transport.zeromq, sockets)
        wiring = Wiring("r", addresses, observed=True, life=LifeConfig(checkpoint_every=1))
        self.folder = RunFolder(root)
        self.observer = Observer(PLAN, self.folder, "run", lambda _: None)
        self.observer.begin_life(-1, "")
        self.inbox = Inbox(PLAN, wiring, self.observer, OwnClock(), LIMIT_S)
        self._links = {name: PLAN.agent(name, wiring).link for name in PLAN.agents}
        self._links[ENVIRONMENT] = PLAN.environment(wiring).link
        self._open: dict[str, tuple[Transport, int]] = {}
        self._finished = False

    def say(self, speaker: str, body: bytes) -> None:
        transport, number = self._open.get(speaker) or (self._opened(speaker), 0)
        self._open[speaker] = (transport, number + 1)
        transport.send(Envelope("r", speaker, OBSERVER, number, Metrics(body)))

    def stopped(self, name: str) -> bool:
        """Whether it has been told that it may go."""
        transport, _ = self._open[name]
        transport.wait(0.01)
        return any(type(envelope.message) is Stop for envelope in transport.poll(0.0))

    def rejected(self) -> int:
        for transport, _ in self._open.values():
            transport.wait(0.0)  # sends what could not be sent before
            transport.poll(0.0)
        self.inbox.take(0.01)
        return sum(each.rejected for each in self.inbox._transport.traffic.values())

    def _opened(self, speaker: str) -> Transport:
        link = self._links[speaker]
        transport = open_transport(link, make_codec(link))
        transport.send(Envelope("r", speaker, OBSERVER, 0, Hello(0, wants_reply=False, identity=link.identity)))
        return transport

    def close(self) -> None:
        for transport, _ in self._open.values():
            transport.close(0.0)
        self.inbox.close()
        self.finish()

    def finish(self) -> None:
        if not self._finished:
            self._finished = True
            self.observer.finish()


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[Meeting]:
    sockets = tempfile.mkdtemp(dir="/tmp", prefix="ft-")  # short: a socket's path has at most 107 bytes
    (tmp_path / "run").mkdir()
    found = Meeting(tmp_path / "run", Path(sockets))
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(sockets)


@pytest.mark.parametrize(("speaker", "record"), TRUE, ids=lambda value: type(value).__name__)
def test_what_a_participant_of_the_plan_has_to_say_is_taken(speaker: str, record: Record) -> None:
    assert Speakers(PLAN, -1).may_say(speaker, record)


@pytest.mark.parametrize(("speaker", "record"), FORGED, ids=lambda value: type(value).__name__)
def test_what_no_participant_of_the_plan_has_to_say_is_refused(speaker: str, record: Record) -> None:
    assert not Speakers(PLAN, -1).may_say(speaker, record)


def test_nobody_says_twice_what_can_be_only_once_or_what_another_life_has_said() -> None:
    speakers = Speakers(PLAN, 0)
    for episode, taken in ((0, False), (1, True), (1, False), (2, True), (1, False)):
        assert speakers.may_say(ENVIRONMENT, EpisodeRecord(episode, RETURNS, 1, 0)) is taken
        assert speakers.may_say(ONE, RoundRecord(ONE, episode, 0, 2, 1, {})) is taken


def test_forged_and_odd_records_end_no_launcher_are_counted_and_leave_nothing_in_the_store(meeting: Meeting) -> None:
    for speaker, record in FORGED:
        meeting.say(speaker, pack([record]))
    for body in ODD:
        meeting.say(ONE, msgspec.msgpack.encode(body))
    meeting.say(ONE, b"\x81" * 100_000)
    meeting.say(ONE, pack([StatusRecord(ONE, "ACTING", "x")]).replace(b"\xa1x", b"\xa1\xff"))
    refused = len(FORGED) + len(ODD) + 2
    until(lambda: meeting.rejected() == refused, "refusing all")
    for speaker, record in TRUE:
        meeting.say(speaker, pack([record]))
    until(lambda: meeting.rejected() >= refused and meeting.observer.progress().episode == 1, "taking the others")
    assert meeting.rejected() == refused
    assert meeting.observer.returns.tolist() == [list(RETURNS)]
    assert meeting.observer.gone == ()
    meeting.finish()
    assert meeting.folder.summary.exists()


def test_a_good_record_is_taken_beside_a_forged_one(meeting: Meeting) -> None:
    meeting.say(ENVIRONMENT, pack([JoinedRecord(ONE), EpisodeRecord(0, RETURNS, 1, 0)]))
    until(lambda: meeting.rejected() == 1, "refusing one")
    assert meeting.observer.progress().episode == 1


def test_who_has_finished_is_let_go_when_all_have_said_their_last_word_and_not_before(meeting: Meeting) -> None:
    for name in PLAN.participants:
        digest = "" if name == ENVIRONMENT else DIGEST
        meeting.say(name, pack([FinishedRecord(name, digest), JoinedRecord("nobody")]))
    until(lambda: meeting.rejected() == len(PLAN.participants), "hearing that all have finished")
    assert not meeting.stopped(ONE)
    for name in PLAN.participants:
        meeting.say(name, pack([ClosingRecord(name), ClosedRecord(name, 0)]))
    until(lambda: meeting.rejected() and meeting.stopped(ONE), "letting them go")


def test_who_has_said_its_last_word_is_watched_no_more_whatever_it_still_says(meeting: Meeting) -> None:
    meeting.say(ONE, pack([ClosingRecord(ONE), FinishedRecord(ONE, DIGEST), JoinedRecord(OTHER), ClosedRecord(ONE, 2)]))
    until(lambda: meeting.rejected() == 1, "hearing its last word")
    meeting.say(ONE, pack([StatusRecord(ONE, "ACTING", ""), JoinedRecord(OTHER)]))
    meeting.say(OTHER, pack([JoinedRecord(ONE)]))
    until(lambda: meeting.rejected() == 2, "hearing another one after it")
    assert meeting.inbox.silent().keys() == {*PLAN.participants} - {ONE}
