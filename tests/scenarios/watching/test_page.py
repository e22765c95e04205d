"""`foretell watch` in a browser, on a run that goes on: it moves, faults come by mouse, nobody else is asked."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import struct
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from browser import Window, browsing, chromium_path
from limits import LIMIT_S
from pages.page import ROOT, blocks_of
from playwright.sync_api import expect
from runs import TINY, foretell, simulate_here, start, until

from scenarios.results.reader import read_store

pytestmark = [pytest.mark.processes, pytest.mark.long]
expect.set_options(timeout=LIMIT_S * 1000)
SHOWN = shlex.split(blocks_of(ROOT / "docs" / "watch.md")[0].lines[1])
"""The command of the page, and a folder of runs."""
SLOW = 'faults=[{kind="delay",name="slow",messages=["timestep"],delay_s={distribution="constant",value_s=0.03}}]'
"""So that the run leaves the processor to the browser."""
LIVE = (*TINY, "--set", SLOW, "--set", "exchange.patience_s=0.05", "--set", "recovery.checkpoint_every=1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run that goes on, and one that has ended."""
    chromium_path()
    root = tmp_path_factory.mktemp("runs")
    simulate_here(root / "ended", "exchange-quick", "--episodes", "3", "--set", "transport.journal=true", *TINY)
    with start("run", "exchange-quick", "--episodes", "1000000", *LIVE, "--out", str(root / "live")) as process:
        until(lambda: _episodes(root / "live") > 2 or process.poll() is not None, "the beginning of the run")
        assert process.poll() is None, process.stderr.read()
        yield root


@pytest.fixture(scope="module")
def url(runs):
    with start(*SHOWN[1:-1], str(runs)) as process:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, process.stderr.read()
        yield found.group()


@pytest.fixture(scope="module")
def browser():
    chromium_path()
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def window(browser, url, tmp_path_factory):
    """The page of the run that goes on; a picture of it is left behind."""
    opened = Window(browser, url)
    opened.page.get_by_role("link", name="live", exact=True).click()
    opened.page.wait_for_selector(".agents tbody tr")
    yield opened
    opened.page.screenshot(path=tmp_path_factory.mktemp("page") / "live.png")
    opened.close()


@pytest.fixture
def page(window):
    return window.page


@pytest.fixture(scope="module")
def phone(browser, url):
    """A small window, dark; for all that needs another page."""
    opened = Window(browser, url, 390, 844, dark=True)
    yield opened
    opened.close()


def _episodes(run: Path) -> int:
    if not (run / "run.sqlite").exists():
        return 0
    with read_store(run / "run.sqlite") as reader:
        return 0 if reader.is_empty() else reader.count_episodes()


def picture_of(page):
    return page.locator(".network canvas").evaluate("canvas => canvas.toDataURL()")


def click_first_agent(page):
    """The one at the top of the circle."""
    canvas = page.locator(".network canvas")
    width = canvas.bounding_box()["width"]
    canvas.click(position={"x": width / 2, "y": 45})


def edge(page, name):
    return page.locator(".edges tbody tr").filter(has_text=name)


def test_graph_curve_and_tables_move_with_the_run(page):
    before, label = picture_of(page), page.locator(".curve .chart").get_attribute("aria-label")
    first = page.locator(".agents tbody tr").first.inner_text()
    until(lambda: picture_of(page) != before, "another picture of the network")
    until(lambda: page.locator(".curve .chart").get_attribute("aria-label") != label, "another curve")
    until(lambda: page.locator(".agents tbody tr").first.inner_text() != first, "another line of an agent")


def test_the_environment_is_drawn_with_what_was_learned_so_far(page):
    expect(page.locator(".scene .told")).to_contain_text("team return")
    expect(page.locator(".scene header")).to_contain_text("as learned after episode")
    expect(page.get_by_label("Which episodes")).to_be_hidden()
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)"
    assert page.locator(".scene canvas").evaluate(drawn)


def test_episodes_of_a_run_with_a_journal_are_drawn_as_they_were_played(browser, url):
    opened = Window(browser, url)
    page = opened.page
    page.get_by_role("link", name="ended", exact=True).click()
    expect(page.locator(".scene header")).to_contain_text("as learned in the end")
    page.get_by_label("Which episodes").select_option("played")
    expect(page.locator(".scene header")).to_contain_text("episode 2 as it was played")
    page.get_by_label("Episode", exact=True).fill("1")
    page.get_by_label("Episode", exact=True).press("Enter")
    expect(page.locator(".scene header")).to_contain_text("episode 1 as it was played")
    page.get_by_label("Episode", exact=True).fill("9")
    page.get_by_label("Episode", exact=True).press("Enter")
    expect(page.locator(".scene .told")).to_contain_text("episode 9 was not played to its end in")
    page.get_by_role("button", name="Newest episode").click()
    expect(page.locator(".scene header")).to_contain_text("episode 2 as it was played")
    expect(page.locator(".scene .told")).to_contain_text("team return")
    opened.close()


def test_a_partition_is_added_and_healed_with_the_mouse_and_stands_in_the_ledger(page, runs, tmp_path):
    store = runs / "live/run.sqlite"
    button = page.get_by_role("button", name="Add fault")
    expect(button).to_be_disabled()
    click_first_agent(page)
    expect(page.locator(".faults .target")).to_have_text("agent-0 | all others")
    button.click()
    expect(page.locator('[data-fault="partition-1"].active')).to_be_visible()
    with read_store(store) as reader:
        (live,) = reader.live_faults()
    assert (live.name, live.healed_after) == ("partition-1", None)
    expect(edge(page, "agent-0 → agent-1")).to_contain_text("cut")
    expect(page.locator('[data-fault="partition-1"]')).not_to_contain_text("struck 0")
    with read_store(store) as reader:
        assert reader.changes_by_fault()["partition-1"] > 0
    page.screenshot(path=tmp_path / "partition.png")
    page.get_by_role("button", name="Heal partition-1").click()
    expect(page.locator('[data-fault="partition-1"]:not(.active)')).to_contain_text("healed after")
    expect(edge(page, "agent-0 → agent-1")).not_to_contain_text("cut")
    page.locator(".network canvas").press("Escape")


def test_a_fault_is_changed_into_one_with_another_name_and_what_cannot_be_is_one_sentence(page, runs):
    page.get_by_role("button", name="Drop", exact=True).click()
    page.get_by_label("probability").fill("0.1")
    page.get_by_role("button", name="Add fault").click()
    page.get_by_role("button", name="Edit drop-1").click()
    page.get_by_label("probability").fill("1.5")
    page.get_by_role("button", name="Change drop-1").click()
    expect(page.locator(".faults .said.bad")).to_contain_text("probability")
    page.get_by_label("probability").fill("0.2")
    page.get_by_role("button", name="Change drop-1").click()
    expect(page.locator('[data-fault="drop-2"].active')).to_contain_text("0.2")
    expect(page.locator('[data-fault="drop-1"]:not(.active)')).to_be_visible()
    page.get_by_role("button", name="Heal drop-2").click()
    expect(page.locator('[data-fault="drop-2"]:not(.active)')).to_be_visible()
    with read_store(runs / "live/run.sqlite") as reader:
        assert {fault.name for fault in reader.live_faults() if fault.name.startswith("drop")} == {"drop-1", "drop-2"}


def test_agents_are_selected_with_the_keyboard(page):
    page.get_by_role("button", name="Partition").click()
    canvas = page.locator(".network canvas")
    canvas.focus()
    for key in ("ArrowRight", "Enter"):
        canvas.press(key)
    expect(page.locator(".faults .target")).to_have_text("agent-1 | all others")
    canvas.press("Escape")
    expect(page.locator(".faults .target")).to_contain_text("Select agents")


def test_two_runs_are_compared(phone, tmp_path):
    page = phone.page
    for run in ("live", "ended"):
        page.get_by_label(f"Compare {run}").check()
    page.get_by_role("link", name="Compare two").click()
    expect(page.locator(".differences tbody")).to_contain_text("exchange.patience_s")
    expect(page.locator(".figures tbody")).to_contain_text("complete, 3 of 3 episodes")
    expect(page.locator(".curve canvas")).to_be_visible()
    page.screenshot(path=tmp_path / "compare.png")
    assert (phone.errors, phone.asked) == ([], {"127.0.0.1"})


def test_why_a_run_cannot_be_shown_stays_while_the_other_goes_on(browser, url):
    parts = urlsplit(url)
    opened = Window(browser, url)
    opened.page.goto(f"{parts.scheme}://{parts.netloc}/compare?a=none&b=live")
    expect(opened.page.locator(".figures tbody")).to_contain_text("goes on")
    expect(opened.page.get_by_role("alert")).to_contain_text("Run A: ")
    expect(opened.page.get_by_role("alert")).to_contain_text("no run 'none'")
    opened.close()


def test_on_a_phone_nothing_sticks_out_and_dark_is_dark(phone, url, tmp_path):
    page = phone.page
    page.goto(url)
    page.get_by_role("link", name="ended", exact=True).click()
    page.wait_for_selector(".agents tbody tr")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    dark = "getComputedStyle(document.body).backgroundColor"
    assert max(map(int, re.findall(r"\d+", page.evaluate(dark)))) < 40
    expect(page.locator(".heading .state")).to_have_text("complete")
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    page.get_by_role("button", name="Light or dark").click()
    assert min(map(int, re.findall(r"\d+", page.evaluate(dark)))) > 200


def test_nothing_is_asked_of_anybody_but_this_host(window):
    assert window.asked == {"127.0.0.1"}
    assert window.errors == []


def answered(url, **headers):
    """The status, and the headers."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=LIMIT_S)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers


POLL = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"


@pytest.mark.parametrize("path", ["/", "/run/live", "/assets/watch.css", POLL])
@pytest.mark.parametrize("token", ["", "token=wrong"])
def test_without_the_token_nothing_is_shown(url, path, token):
    parts = urlsplit(url)
    status, headers = answered(f"http://{parts.netloc}{path}{'&' if '?' in path else '?'}{token}")
    assert status == 403
    assert "set-cookie" not in headers


def test_the_browsers_command_line_has_no_token_but_a_file_for_this_user_alone_that_leads_to_the_page(
    browser, tmp_path
):
    simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "1", *TINY)
    command, told = tmp_path / "browser", tmp_path / "told"
    command.write_text(f'#!/bin/sh\necho "$@" > {told}.new\nmv {told}.new {told}\n')
    command.chmod(0o700)
    with start("watch", str(tmp_path / "run"), "--open", BROWSER=str(command)) as process:
        until(told.exists, "the browser")
        address = told.read_text().strip()
        token = process.stdout.readline().strip().partition("token=")[2]
        assert token
        assert token not in address
        page = Path(url2pathname(urlsplit(address).path))
        assert [each.stat().st_mode & 0o777 for each in (page, page.parent)] == [0o600, 0o700]
        opened = Window(browser, address)
        expect(opened.page.locator(".agents tbody tr").first).to_be_visible()
        assert token not in opened.page.url
        opened.close()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert not page.parent.exists()


def test_a_socket_is_opened_with_the_cookie_and_from_this_page_alone(url):
    parts = urlsplit(url)
    cookie = f"foretell-{parts.port}={parts.query.removeprefix('token=')}"
    wanted = f"http://{parts.netloc}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert answered(wanted, **upgrade)[0] == 403
    assert answered(wanted, **upgrade, Cookie=cookie, Origin="http://127.0.0.1:1")[0] == 403
    assert answered(wanted, **upgrade, Cookie=cookie, Origin=f"http://{parts.netloc}")[0] == 101
    status, headers = answered(f"http://{parts.netloc}/", Cookie=cookie)
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]


def test_only_this_host_can_connect(url):
    port = urlsplit(url).port
    here = struct.unpack("<I", socket.inet_aton("127.0.0.1"))[0]
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {address for _, address, _, state, *_ in sockets if state == "0A" and address.endswith(f":{port:04X}")}
    assert listening == {f"{here:08X}:{port:04X}"}


def test_a_run_that_is_not_there_is_one_sentence(phone, url, tmp_path):
    phone.page.goto(f"{url.partition('/?')[0]}/run/nowhere")
    expect(phone.page.get_by_role("alert")).to_contain_text("holds no run 'nowhere'")
    done = foretell("watch", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stderr) == (
        2,
        f"foretell: expected the folder of a run, or one that holds runs, found {tmp_path / 'nowhere'}\n",
    )
