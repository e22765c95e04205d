"""Parts of the page that need no browser: what it is told, when anybody looks, and what a user's wish becomes."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace

import numpy as np
import pytest
import uvicorn
from limits import LIMIT_S
from runs import TINY, simulate_here

from broker.errors import UserError
from scenarios.watching.page import feed as feeding
from scenarios.watching.page import patient_protocol, site, wishes
from scenarios.watching.page.door import Door
from scenarios.watching.page.feed import RunFeed
from scenarios.watching.page.patient_protocol import PatientProtocol
from scenarios.watching.page.payload import MOST_POINTS, changes, whole
from scenarios.watching.run_list import RunList
from scenarios.watching.seen import RunState
from scenarios.watching.watched_run import WatchedRun


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("told") / "run"
    simulate_here(root, "exchange-quick", "--episodes", "3", *TINY)
    return WatchedRun(root)


@pytest.mark.parametrize("origin", [b"http://[", b"http://[::1", b"null", b"http://elsewhere"])
def test_a_page_that_is_none_of_ours_is_refused_whatever_it_says_it_is(origin):
    sent = []

    async def app(*_):
        pytest.fail("it was let in")

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8000"), (b"origin", origin), (b"cookie", b"foretell-8000=secret")]
    scope = {"type": "http", "headers": headers, "query_string": b"token=secret"}
    asyncio.run(Door(app, "secret", 8000)(scope, app, send))
    assert sent[0]["status"] == 403


@pytest.mark.parametrize(("path", "led_to"), [("/", "/"), ("/run", "/run"), ("//elsewhere/a b", "/elsewhere/a%20b")])
def test_who_has_the_token_is_led_to_this_page_and_to_no_other_host(path, led_to):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"host", b"127.0.0.1:8000")], "query_string": b"token=secret", "path": path}
    asyncio.run(Door(send, "secret", 8000)(scope, send, send))
    assert dict(sent[0]["headers"])[b"location"] == led_to.encode()


NOT_UTF_8 = "bytes\udcff\udc80"


def as_json(payload):
    return json.loads(json.dumps(payload, ensure_ascii=False).encode())


@pytest.mark.parametrize("below", ["", NOT_UTF_8])
def test_a_browser_can_be_told_of_runs_whose_folders_have_names_that_are_no_text(run, tmp_path, below):
    above = tmp_path / NOT_UTF_8
    shutil.copytree(run.folder.root, above / below / NOT_UTF_8)
    (above / "none").mkdir()
    for name in ("run.sqlite", "scenario.toml"):
        (above / "none" / name).write_text("no store" * 100)
    listed = as_json([site._line(line) for line in RunList(above).look()])
    path = next(line["path"] for line in listed if line["path"] != "none")
    assert path == "/".join(["bytes\\udcff\\udc80"] * (2 if below else 1))
    assert all(line["problem"] for line in listed if line["path"] == "none")
    found = RunList(above).run(path)
    assert found.folder.root == above / below / NOT_UTF_8
    told = as_json(whole(found.look()))
    assert told["fixed"]["root"].endswith(f"/{path}")


def test_a_problem_with_a_run_whose_name_is_no_text_reaches_the_browser(run, tmp_path):
    root = shutil.copytree(run.folder.root, tmp_path / NOT_UTF_8)
    feed = RunFeed(WatchedRun(root))
    (root / "run.sqlite").write_text("no store" * 100)

    async def look():
        told = asyncio.get_running_loop().create_future()
        number = feed.join(told.set_result)
        try:
            return await asyncio.wait_for(told, LIMIT_S)
        finally:
            feed.leave(number)

    assert "bytes\\udcff\\udc80" in as_json(asyncio.run(look()))["problem"]


def test_only_what_has_changed_is_told(run):
    seen = run.look()
    assert changes(seen, seen) is None
    agent = replace(seen.agents[1], phase="SHARING")
    later = replace(seen, agents=(seen.agents[0], agent, seen.agents[2]), team=np.append(seen.team, 7.0))
    told = changes(seen, later)
    assert told is not None
    assert told.keys() == {"head", "agents", "curve"}
    assert [place for place, _ in told["agents"]] == [1]
    assert told["curve"] == {"window": 1, "from": 2, "values": [round(float(seen.team[2]), 4), 7.0]}


def test_settings_are_those_that_were_played_and_told_again_where_a_fault_was_added_while_the_run_went_on(
    run, tmp_path
):
    root = shutil.copytree(run.folder.root, tmp_path / "copy")
    before, storm = WatchedRun(root).look(), '{"kind": "drop", "name": "storm", "probability": 0.5}'
    with closing(sqlite3.connect(root / "run.sqlite")) as store, store:
        store.execute("INSERT INTO live_faults VALUES ('storm', ?, -1, 0)", (storm,))
    after = WatchedRun(root).look()
    told = changes(before, after)
    assert told is not None
    assert told["settings"] == whole(after)["settings"] != whole(before)["settings"]
    assert "storm" in told["settings"]["faults"]


def test_all_is_told_again_where_another_life_began_or_the_run_ended(run):
    seen = run.look()
    for before in (replace(seen, life=seen.life - 1), replace(seen, state=RunState.GOES_ON)):
        assert changes(before, seen) == whole(seen)


def test_a_long_curve_is_told_in_windows_and_again_where_these_grow(run):
    seen = run.look()
    before = replace(seen, team=np.arange(float(MOST_POINTS)))
    later = replace(seen, team=np.arange(MOST_POINTS + 1.0))
    told = changes(before, later)
    assert told is not None
    assert (told["curve"]["window"], told["curve"]["from"]) == (2, 0)
    assert len(told["curve"]["values"]) == MOST_POINTS // 2 + 1


def test_nobody_looks_at_a_run_that_nobody_watches(run, monkeypatch):
    monkeypatch.setattr(feeding, "LOOK_EVERY_S", 0.001)
    looks, told = [], []

    loop, enough = asyncio.new_event_loop(), asyncio.Event()

    class Counted:
        def look(self):
            looks.append(None)
            if len(looks) == 5:
                loop.call_soon_threadsafe(enough.set)
            return run.look()

    async def watch():
        feed = RunFeed(Counted())
        assert not looks
        both = [feed.join(told.append) for _ in range(2)]
        await enough.wait()
        for number in both:
            feed.leave(number)
        _, going_on = await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=LIMIT_S)
        assert not going_on

    with closing(loop):
        loop.run_until_complete(watch())
    assert told == [whole(run.look())] * 2


@pytest.mark.parametrize(
    ("asked", "settings"),
    [
        (
            {"what": "add", "kind": "partition", "settings": {"groups": [["agent-0"]]}},
            ['kind="partition"', 'name="partition-2"', 'groups=[["agent-0"]]'],
        ),
        (
            {"what": "add", "kind": "delay", "settings": {"delay_s": "0.2"}},
            ['kind="delay"', 'name="delay-1"', 'delay_s={distribution="constant", value_s=0.2}'],
        ),
        (
            {"what": "add", "kind": "delay", "settings": {"delay_s": '{distribution="uniform", low_s=0, high_s=1}'}},
            ['kind="delay"', 'name="delay-1"', 'delay_s={distribution="uniform", low_s=0, high_s=1}'],
        ),
        (
            {"what": "add", "text": 'kind="duplicate" probability=0.5  edges=["a -> b", "c"] '},
            ['kind="duplicate"', "probability=0.5", 'edges=["a -> b", "c"]', 'name="duplicate-1"'],
        ),
        ({"what": "add", "text": "kind=drop name=mine"}, ["kind=drop", "name=mine"]),
    ],
)
def test_a_wish_becomes_settings_with_a_name_that_is_free(monkeypatch, tmp_path, asked, settings):
    monkeypatch.setattr(wishes, "add", lambda root, given: f"{root}: {given}")
    assert wishes.carry_out(tmp_path, asked, ["partition-1"]) == f"{tmp_path}: {settings}"


def test_a_fault_is_healed_only_after_its_successor_was_added(monkeypatch, tmp_path):
    done = []

    def refuse(*_):
        raise UserError("probability: expected at most 1")

    monkeypatch.setattr(wishes, "heal", lambda _, name: done.append(name) or "healed")
    edit = {"what": "edit", "name": "drop-1", "kind": "drop", "settings": {"probability": "0.2"}}
    monkeypatch.setattr(wishes, "add", refuse)
    with pytest.raises(UserError, match="expected at most 1"):
        wishes.carry_out(tmp_path, edit, ["drop-1"])
    assert done == []
    monkeypatch.setattr(wishes, "add", lambda _, given: "added")
    assert wishes.carry_out(tmp_path, edit, ["drop-1"]) == "added; healed"
    assert done == ["drop-1"]


@pytest.mark.parametrize("asked", [{}, {"what": "shout"}, {"what": 3}, {"what": "add", "more": 1}])
def test_a_wish_that_makes_no_sense_is_one_sentence(tmp_path, asked):
    with pytest.raises(UserError, match="the page asked for something odd"):
        wishes.carry_out(tmp_path, asked, [])


# Who only connects


async def slow_answer(scope, receive, send):
    """Answers once it was asked to go on."""
    assert scope["type"] == "http"
    await receive()
    await slow_answer.may_go_on.wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(("most", "patience_s", "kept"), [(4, LIMIT_S, 3), (100, 0.01, 0)])
def test_who_only_connects_keeps_nobody_out_and_who_waits_for_an_answer_gets_it(monkeypatch, most, patience_s, kept):
    monkeypatch.setattr(patient_protocol, "MOST_CONNECTIONS", most)
    monkeypatch.setattr(patient_protocol, "PATIENCE_S", patience_s)
    slow_answer.may_go_on = asyncio.Event()
    config = uvicorn.Config(slow_answer, log_level="error", http=PatientProtocol, lifespan="off")
    server = uvicorn.Server(config)

    async def play():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            place = listener.getsockname()
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            reading, writing = await asyncio.open_connection(*place)
            writing.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            others = [await asyncio.open_connection(*place) for _ in range(9)]
            others[0][1].write(b"GET / HTTP/1.1\r\n")
            for each, _ in others[kept:]:
                await until_closed(each)
            slow_answer.may_go_on.set()
            assert await reading.readline() == b"HTTP/1.1 200 OK\r\n"
            await until_closed(reading)
            for _, each in [(reading, writing), *others]:
                each.close()
            server.should_exit = True
            await serving

    asyncio.run(asyncio.wait_for(play(), LIMIT_S))


async def until_closed(reading):
    with suppress(ConnectionResetError):
        while await reading.read(1000):
            pass
