"""`foretell play`: frames in the terminal, pictures in files, and a sentence where neither can be."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from limits import LIMIT_S
from PIL import Image
from rich.console import Console
from runs import command

from broker.errors import UserCodeFailed, UserError
from env_service.environments.scene import Mark, Rendering, Scene, Thing, marks_of
from scenarios.commands.main import foretell as commands
from scenarios.commands.policies import play as playing
from scenarios.commands.policies.still import still
from scenarios.document.loading import load_scenario
from scenarios.play.frame import AgentMoment, Frame
from scenarios.trials.quiet_run import try_out

HERE = Path(__file__).parent.parent
TINY = {"episodes": 1, "parallel_episodes": 1, "learning.hidden": [4], "learning.rounds": 1}
FOREIGN = 'name="toy"\nseed=4\ntopology.kind="complete"\n[environment]\nkind="pettingzoo"\nobservation="own"\nsteps=4\n'
Show = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    try_out(load_scenario("exchange-quick", TINY | {"environment.steps": 3}), out)
    return out


def toy(name: str, place: Path, options: dict[str, object]) -> Path:
    (place / "toy.toml").write_text(FOREIGN)
    settings = {"environment.env": name, "environment.file": str(HERE / f"{name}.py"), "environment.options": options}
    try_out(load_scenario(str(place / "toy.toml"), TINY | settings), place / "run")
    return place / "run"


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    """What `foretell play` shows, called in this process: results, and notes."""

    def play(place: Path, *options: str) -> tuple[str, str]:
        capsys.readouterr()
        commands(["play", str(place), *options], standalone_mode=False)
        shown = capsys.readouterr()
        return shown.out, shown.err

    return play


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


# Where there is no terminal


def test_frames_stand_below_one_another_and_nothing_controls_a_terminal(trained: Path, show: Show) -> None:
    shown, notes = show(trained, "--episodes", "2")
    heads = re.findall(r"^episode (\d) of 2, step (\d) of at most 3$", shown, flags=re.MULTILINE)
    assert heads == [(episode, step) for episode in "12" for step in "0123"]
    assert shown.count("exchange-quick: anticipation-sharing, 1 episode learned\n") == 8
    assert "\x1b" not in shown
    assert notes == ""


def test_what_is_shown_is_what_an_evaluation_earns(trained: Path, show: Show, capsys: pytest.CaptureFixture) -> None:
    for options in ([], ["--greedy"], ["--seed", "5"]):
        shown, _ = show(trained, *options)
        last = re.findall(r"team +(?:-?\d+\.\d\d) +(-?\d+\.\d\d)", shown)[-1]
        commands(["evaluate", str(trained), "--episodes", "1", *options], standalone_mode=False)
        assert f"team return  {last}" in capsys.readouterr().out, options


@pytest.mark.parametrize("columns", [20, 34, 50, 80])
def test_no_line_is_wider_than_there_is_room_and_every_return_is_told(columns: int) -> None:
    for scene in (
        grid(),
        Scene("line", 30, (*marks_of(Thing.AGENT, [[1], [15], [30]]), Mark(Thing.PREY, None, (9.5,)))),
    ):
        lines = as_text(scene, columns).split("\n")
        assert max(map(len, lines)) <= columns
        assert all(any(f"{gained:.2f}" in line for line in lines) for gained in (0.0, 10.5, 21.0, 31.5))


def grid(side: int = 3) -> Scene:
    boxes = marks_of([Thing.CLOSED_BOX, Thing.OPEN_BOX, Thing.CLOSED_BOX], [(0, 2), (1, 1), (2, 0)])
    return Scene("grid", side, marks_of(Thing.AGENT, [(0, 0), (1, 1), (1, 1)]) + boxes)


def as_text(scene: Scene | Rendering | None, columns: int, agents: int = 3) -> str:
    moments = tuple(AgentMoment(f"agent-{n}", "right" if n else "left", -5.01, 10.5 * n) for n in range(agents))
    console = Console(file=io.StringIO(), width=columns, markup=False)
    console.print(still(Frame(0, 3, 9, False, moments, scene), "title", 1, columns))
    return console.file.getvalue()


def test_a_grid_is_shown_as_the_task_writes_it_with_the_agents_beside() -> None:
    shown = as_text(grid(), 80).split("\n")
    assert [line[:18].rstrip() for line in shown[2:5]] == ["0     .     [0]", ".     12(1) .", "[2]   .     ."]
    assert re.split(r"  +", shown[3].strip())[-4:] == ["agent-0", "left", "-5.01", "0.00"]
    assert "(the grid takes 59 columns, and here are 30)" in as_text(grid(10), 30).replace("\n", " ").replace("  ", " ")


def test_on_a_line_each_agent_points_where_it_went_and_the_prey_crosses_all() -> None:
    scene = Scene("line", 30, (*marks_of(Thing.AGENT, [[0], [15], [30]]), Mark(Thing.PREY, None, (9.6,))))
    lanes = [line.split()[1] for line in as_text(scene, 80).split("\n") if line.startswith("agent-")]
    assert lanes == [
        "<.........|....................",
        "..........|....>...............",
        "..........|...................>",
    ]


def test_of_very_many_agents_the_first_are_told(tmp_path: Path) -> None:
    shown = as_text(None, 80, agents=30)
    assert "agent-19 " in shown
    assert "agent-20 " not in shown
    assert "and 10 others" in shown


def test_what_an_environment_writes_keeps_its_colors_and_cannot_do_more() -> None:
    shown = still(frame_of("\x1b[31mred\x1b[0m \x1b[2J\x07"), "title", 1, 80)
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(shown)
    assert "\x1b[31mred" in console.file.getvalue() or "red" in console.file.getvalue()
    assert "\x1b[2J" not in console.file.getvalue()
    assert "\x07" not in console.file.getvalue()
    console.print(still(frame_of("\x1b[31mred\x1b[0m"), "title", 1, 80))
    assert "\x1b[31mred" in console.file.getvalue()


def frame_of(text: str) -> Frame:
    return Frame(0, 0, 1, False, (AgentMoment("a", None, 0.0, 0.0),), Rendering(text=text))


# Foreign environments


def test_a_foreign_environment_shows_its_text_and_is_drawn_by_its_pixels(tmp_path: Path, show: Show) -> None:
    run, gif, strip = toy("drawn_toy", tmp_path, {"steps": 2}), tmp_path / "a.gif", tmp_path / "a.png"
    shown, notes = show(run)
    assert re.findall(r"^time (\d)", shown, flags=re.MULTILINE) == ["0", "1", "2"]
    assert notes == ""
    said, _ = show(run, "--gif", str(gif), "--strip", str(strip), "--episodes", "2")
    assert said.split("\n")[:2] == [line for line in said.split("\n") if "team return" in line]
    assert re.findall(r"^picture +(.+)$", said, flags=re.MULTILINE) == [str(gif), str(strip)]
    file = opened(gif)
    assert (file.n_frames, file.size) == (6, (830, 415))
    file.seek(1)
    assert (0, 128, 60) in {color for _, color in file.convert("RGB").getcolors(1 << 20)}
    assert opened(strip).size[0] == 1660


def test_an_environment_that_is_elsewhere_now_is_missed_where_it_was_and_found_where_it_is_said_to_be(
    tmp_path: Path, show: Show
) -> None:
    mine, elsewhere = tmp_path / "mine" / "moved_toy.py", tmp_path / "elsewhere" / "moved_toy.py"
    mine.parent.mkdir()
    mine.write_bytes((HERE / "drawn_toy.py").read_bytes())
    (tmp_path / "toy.toml").write_text(FOREIGN)
    settings = {"environment.env": "moved_toy", "environment.file": str(mine)}
    try_out(load_scenario(str(tmp_path / "toy.toml"), TINY | settings), tmp_path / "run")
    before = show(tmp_path / "run")
    mine.parent.rename(elsewhere.parent)
    sentence = rf"expected the environment at {mine}: No such .*--set environment\.file=FILE"
    with pytest.raises(UserError, match=sentence):
        show(tmp_path / "run")
    assert show(tmp_path / "run", "--set", f"environment.file={elsewhere}") == before
    with pytest.raises(click.BadParameter, match=r"expected a setting of the environment, .* found 'faults'"):
        show(tmp_path / "run", "--set", "faults=[]")


def test_an_environment_that_shows_nothing_is_told_of_and_its_agents_are_shown(tmp_path: Path, show: Show) -> None:
    run = toy("masked_toy", tmp_path, {"by": "info"})
    shown, notes = show(run)
    without = "of itself: expected {} among its render modes, found none"
    assert notes == (f"masked_toy gives no text {without.format('ansi')}. What its agents do is shown\n")
    assert "middle (agent-1)" in shown
    with pytest.raises(UserError, match="masked_toy gives no picture " + without.format("rgb_array")):
        show(run, "--gif", str(tmp_path / "a.gif"))
    assert not (tmp_path / "a.gif").exists()


def test_one_that_gives_pictures_alone_is_said_to_be_drawn(
    tmp_path: Path, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = toy("drawn_toy", tmp_path, {"steps": 2})
    monkeypatch.setattr("scenarios.commands.policies.playing.render_modes", lambda *_: ("human", "rgb_array"))
    monkeypatch.setattr("scenarios.play.acting.render_modes", lambda *_: ("human", "rgb_array"))
    _, notes = show(run)
    assert notes.endswith("found human, rgb_array. What its agents do is shown; --gif FILE draws it\n")


def test_an_environment_that_fails_to_draw_ends_it_with_its_name(tmp_path: Path, show: Show) -> None:
    run = toy("drawn_toy", tmp_path, {"wrong": "nothing"})
    with pytest.raises(UserCodeFailed, match=r"render\(\) at step 0 gave NoneType, expected text"):
        show(run)


# Files


def test_pictures_are_written_and_nothing_is_shown_but_what_was_earned(
    trained: Path, tmp_path: Path, show: Show
) -> None:
    gif, strip = tmp_path / "a.gif", tmp_path / "a.png"
    (tmp_path / "a.gif.new").write_text("mine")
    shown, _ = show(trained, "--gif", str(gif), "--strip", str(strip), "--fps", "10")
    assert re.fullmatch(r"episode 1: team return -0\.09 in 3 steps\npicture +\S+\npicture +\S+\n", shown)
    file = opened(gif)
    assert (file.n_frames, file.info["duration"]) == (4, 100)
    assert opened(strip).format == "PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.gif.new", "a.png"]
    assert (tmp_path / "a.gif.new").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gif", "there"], "there is there already: expected the name of a new file"),
        (["--strip", "link"], "link is there already"),
        (["--gif", "nowhere/a.gif"], "cannot write nowhere/a.gif: there is no folder nowhere"),
        (["--gif", "there/a.gif"], "cannot write there/a.gif: there is no folder there"),
        (["--gif", "/proc/a.gif"], "cannot write /proc/a.gif: No such file or directory"),
        (["--gif", "team.mp4"], "--gif writes a GIF: expected a name that ends in .gif, found team.mp4"),
        (["--strip", "team"], "--strip writes a PNG: expected a name that ends in .png, found team"),
        (["--gif", "a", "--strip", "a"], "--gif and --strip are two files: expected two names, found a twice"),
        (["--strip", "a.png", "--episodes", "9"], "expected at most 8 episodes, found 9 episodes"),
    ],
)
def test_a_picture_that_cannot_be_written_is_one_sentence(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: Show, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(UserError) as caught:
        show(trained, *options)
    assert said in str(caught.value)
    assert (tmp_path / "there").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


def test_without_a_policy_there_is_nothing_to_play(tmp_path: Path, show: Show) -> None:
    with pytest.raises(UserError, match=r"holds no policy: expected policy\.json in it"):
        show(tmp_path)


# A terminal


class Terminal:
    """A command on a terminal of 60 columns."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.mine, theirs = pty.openpty()
        os.set_blocking(self.mine, False)
        self.process = subprocess.Popen(
            command(*arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "60"} | environment,
        )
        os.close(theirs)
        self.shown = ""

    def read_until(self, words: str) -> None:
        until = time.monotonic() + LIMIT_S
        while words not in self.shown:
            assert time.monotonic() < until, self.shown
            try:
                self.shown += os.read(self.mine, 65536).decode()
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                return

    def end(self) -> int:
        self.read_until("what never comes")
        os.close(self.mine)
        return self.process.wait(LIMIT_S)


@pytest.mark.processes
def test_on_a_terminal_frames_are_drawn_over_one_another_in_color(trained: Path) -> None:
    terminal = Terminal("play", str(trained), "--fps", "50")
    assert terminal.end() == 0
    assert 1 <= terminal.shown.count("step 3 of at most 3") <= 2
    assert terminal.shown.count("\x1b[2K\x1b[1A") >= 3 * 5
    assert "\x1b[36m" in terminal.shown
    assert terminal.shown.rstrip().endswith("\x1b[?25h")


@pytest.mark.processes
def test_ctrl_c_and_the_end_of_a_terminal_end_it_and_give_the_cursor_back_and_who_wants_no_color_sees_none(
    trained: Path,
) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        terminal = Terminal("play", str(trained), "--episodes", "1000", "--fps", "0.1", NO_COLOR="1")
        terminal.read_until("step 0")
        os.killpg(terminal.process.pid, number)
        assert terminal.end() == 130
        assert "\x1b[?25h" in terminal.shown
        assert "foretell: interrupted" in terminal.shown
        assert "Traceback" not in terminal.shown
        assert "\x1b[3" not in terminal.shown


@pytest.mark.processes
def test_it_ends_when_nobody_reads_any_more(trained: Path) -> None:
    ended = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *command("play", str(trained), "--episodes", "1000000")],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.stdout == "exchange-quick: anticipation-sharing, 1 episode learned\n"
    assert ended.stderr == ""


def test_however_slowly_frames_follow_each_other_a_user_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(for_s: float) -> None:
        slept.append(for_s)
        assert len(slept) < 3, "it goes on sleeping"

    monkeypatch.setattr(playing.time, "sleep", sleep)
    playing._wait(10.0, lambda: len(slept) == 2)
    assert slept == [playing._LONGEST_SLEEP_S] * 2
