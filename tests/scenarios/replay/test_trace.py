"""A run as other programs show it."""

from __future__ import annotations

import json
import sys
from collections import Counter

import numpy as np
import pytest
from replay_cases import AGENTS, JOURNALED, ROUGH, journaled
from runs import start
from trace_format import problems

from broker.errors import UserError
from broker.transports.journal import Closed, Journal, Opened, Polled, Sent, Turn, read_journal
from broker.wire.codec import read_written
from broker.wire.messages import Envelope, MessageName, Share, Stop
from scenarios.commands.main import foretell as commands
from scenarios.replay.journals import LifeJournal
from scenarios.replay.tracing.clock_offsets import Offset, offsets_from
from scenarios.replay.tracing.passages import Passages, with_taken
from scenarios.replay.tracing.trace import write_trace

EVERYBODY = ("environment", *AGENTS)


@pytest.fixture(scope="module")
def rough(tmp_path_factory):
    """A run with faults, for tests that only look at it."""
    return journaled(tmp_path_factory.mktemp("rough") / "run", ROUGH)


def chrome(run, tmp_path):
    """The trace of a run, and its events by phase."""
    commands(["trace", str(run), "--format", "chrome", "--out", str(tmp_path / "t.json")], standalone_mode=False)
    trace = json.loads((tmp_path / "t.json").read_text())
    return trace, {kind: [each for each in trace["traceEvents"] if each["ph"] == kind] for kind in "XsfiM"}


def entries_of(run, participant):
    return list(read_journal(run / "journal" / f"{participant}.journal"))


def test_a_trace_is_as_the_format_asks_and_has_an_arrow_for_each_message_that_was_taken(tmp_path, rough, capsys):
    trace, events = chrome(rough, tmp_path)
    assert problems(trace) == []
    lanes = {each["tid"]: each["args"]["name"] for each in events["M"] if each["name"] == "thread_name"}
    assert lanes == dict(enumerate((*AGENTS, "environment"), 1))
    taken = Counter(
        (turn.source, name)
        for name in EVERYBODY
        for turn in entries_of(rough, name)
        if isinstance(turn, Turn) and turn.call == "receive" and turn.source != "observer"
    )
    begins = {each["id"]: each["tid"] for each in events["s"]}
    arrows = Counter((lanes[begins[each["id"]]], lanes[each["tid"]]) for each in events["f"])
    assert arrows == taken
    assert f", {sum(taken.values())} arrows, " in capsys.readouterr().out


def test_a_trace_shows_phases_computing_and_what_faults_did(tmp_path, rough):
    _, events = chrome(rough, tmp_path)
    phases = [each["name"] for each in events["X"] if each["cat"] == "phase" and each["tid"] == 2]
    assert phases == ["JOINING", *["ACTING", "SHARING"] * 3, "LEAVING", "DONE"]
    turns = [entry for entry in entries_of(rough, "agent-0") if isinstance(entry, Turn) and entry.name is not None]
    longest = max(turns, key=lambda turn: turn.computed_s)
    name = f"{longest.kind} {longest.name.episode}/{longest.name.number}"  # neighbors call theirs the same
    calls = [each for each in events["X"] if each["cat"] == "call" and each["tid"] == 1 and each["name"] == name]
    assert pytest.approx(longest.computed_s * 1e6, abs=0.01) in [each["dur"] for each in calls]
    assert {each["name"].split(":")[0] for each in events["i"]} >= {"drop", "nan", "duplicate", "delay", "rejected"}
    assert all(each["tid"] in (1, 2, 3, 4) for each in events["i"])


@pytest.mark.processes
def test_a_run_of_processes_with_a_kill_has_all_lives_in_its_lanes_and_the_strike_among_its_marks(tmp_path):
    crash = 'faults=[{kind="crash",participants=["agent-1"],at_episodes=[2]},{kind="drop",probability=0.1}]'
    settings = ("recovery.checkpoint_every=1", "exchange.patience_s=0.1", crash)
    out, assignments = tmp_path / "run", [word for setting in settings for word in ("--set", setting)]
    with start("run", *JOURNALED, "--episodes", "4", *assignments, "--out", str(out)) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    trace, events = chrome(out, tmp_path)
    assert problems(trace) == []
    phases = [each["name"] for each in events["X"] if each["cat"] == "phase" and each["tid"] == 2]
    assert phases.count("JOINING") == 2
    (strike,) = (each for each in events["i"] if each["cat"] == "strike")
    assert strike["name"].startswith("crash: killed with -9")
    joined = [each["ts"] for each in events["X"] if each["name"] == "JOINING"]
    assert min(joined) < strike["ts"] < max(joined)


def test_an_mcap_file_read_back_has_a_channel_for_each_edge_and_the_arrays_that_crossed_it(tmp_path, rough):
    reader = pytest.importorskip("mcap.reader")
    write_trace(rough, "mcap", tmp_path / "t.mcap")
    found, times = {}, []
    with (tmp_path / "t.mcap").open("rb") as file:
        for schema, channel, message in reader.make_reader(file).iter_messages():
            assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
            found.setdefault(channel.topic, []).append(json.loads(message.data))
            times.append((message.publish_time, message.log_time))
    assert all(published <= logged for published, logged in times)
    expected = {}
    for name in EVERYBODY:
        for entry in entries_of(rough, name):
            for frame in entry.frames if isinstance(entry, Polled) else ():
                envelope = read_written(frame)
                expected.setdefault(f"/{envelope.source}/{name}", []).append(envelope.message)
    assert {topic: len(messages) for topic, messages in found.items()} == {
        topic: len(messages) for topic, messages in expected.items()
    }
    for topic, messages in expected.items():
        for read, message in zip(found[topic], messages, strict=True):
            arrays = {
                name: np.array(each["data"], each["dtype"]).reshape(each["shape"])
                for name, each in read.get("arrays", {}).items()
            }
            wanted = getattr(message, "arrays", {})
            assert list(arrays) == list(wanted)
            assert all(
                (arrays[name].dtype, arrays[name].tobytes()) == (wanted[name].dtype, wanted[name].tobytes())
                for name in wanted
            )


def test_without_the_library_there_is_a_sentence_and_no_half_file(tmp_path, rough, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcap.writer", None)
    with pytest.raises(UserError, match=r"expected the library mcap: pip install 'foretell\[mcap\]'"):
        write_trace(rough, "mcap", tmp_path / "t.mcap")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"cannot write .*: No such file"):
        write_trace(rough, "chrome", tmp_path / "nowhere" / "t.json")


def test_of_the_files_beside_a_trace_none_is_touched(tmp_path, rough):
    own = tmp_path / "t.json.new"
    own.write_text("mine")
    write_trace(rough, "chrome", tmp_path / "t.json")
    assert own.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json", "t.json.new"]


def test_clocks_are_brought_together_by_the_shortest_ways_there_and_back():
    # b is 5 s ahead; the shortest way from a to b takes 0.25 s, back 0.75 s
    assert offsets_from("a", frozenset("ab"), {("a", "b"): 5.25, ("b", "a"): -4.25}) == {
        "a": Offset(0.0, 0.0),
        "b": Offset(4.75, 0.5),
    }
    assert offsets_from("a", frozenset("ab"), {("a", "b"): 5.25})["b"] == Offset(0.0, float("inf"))


def written(tmp_path, name, clock, *entries):
    """A journal of one's own."""
    path = tmp_path / f"{name}.journal"
    journal = Journal(path, name)
    for entry in entries:
        journal.write(entry)
    journal.close()
    return LifeJournal(name, 0, path, Opened(name, "", 1, clock, 0.0, 1000.0))


def frame(source, destination, sequence, message):
    from broker.wire.codec import Codec

    return Codec("run", 1 << 20).write(Envelope("run", source, destination, sequence, message))


def test_a_message_between_two_hosts_is_placed_on_the_clock_of_the_environment(tmp_path):
    there, back = frame("environment", "agent-0", 0, Stop("")), frame("agent-0", "environment", 0, Stop(""))
    environment = written(tmp_path, "environment", "a", Sent(1.0, there), Polled(0.0, 2.0, [back]))
    agent = written(tmp_path, "agent-0", "b", Polled(0.0, 11.25, [there]), Sent(11.5, back))
    passages = Passages([agent, environment])
    assert passages.offsets["b"] == Offset(pytest.approx(9.875), pytest.approx(0.375))
    assert passages.at("b", 11.25) == pytest.approx(1.375)
    assert passages.date(1.0) == 1001.0


def test_each_copy_of_a_message_that_faults_held_or_doubled_is_known_again(tmp_path):
    name = MessageName("share", 0, 1, 0)
    share = frame("agent-1", "agent-0", 3, Share.of(0, 1, {"x": np.zeros(2, np.float32)}))
    stops = [frame("agent-1", "agent-0", number, Stop("")) for number in (4, 5)]
    call = ("receive", 0.0, 1.0, 0.0, "ACTING", "agent-1")
    journal = written(
        *(tmp_path, "agent-0", "a"),
        *(Polled(0.0, 1.0, [share, stops[0]]), Turn(*call, "stop"), Turn(*call, "share", name)),
        *(Polled(0.0, 2.0, [stops[1]]), Turn(*call, "stop"), Turn(*call, "share", name), Turn(*call, "gone")),
    )
    taken = [found for entry, found in with_taken(journal.entries()) if isinstance(entry, Turn)]
    assert [None if each is None else (each.passage.sequence, each.arrived_at_s) for each in taken] == [
        *[(4, 1.0), (3, 1.0), (5, 2.0), (3, 1.0)],
        None,
    ]
    assert isinstance(list(journal.entries())[-1], Closed)
