"""What lies in /tmp: nobody's folder is trusted but our own, and what killed processes left is cleared away."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from limits import LIMIT_S

from broker.errors import UserError
from scenarios.commands.check import write_slices
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.temporary import own_folder, temporary_folder

HOLDER = """
from scenarios.results.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "socket").touch()
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, for this test."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def dangling(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def file(folder: Path) -> None:
    folder.touch()


@pytest.mark.parametrize("prepare", [link, dangling, open_to_all, file])
def test_slices_are_not_written_where_their_sockets_would_lie_in_a_folder_that_is_not_ours_alone(tmp, prepare):
    plan = make_plan(load_scenario("exchange-quick", {}))
    prepare(tmp / "foretell-exchange-quick")
    with pytest.raises(UserError, match=r"expected a folder of yours that nobody else can write to, found .*quick"):
        write_slices(plan, tmp / "slices")


def test_a_folder_of_somebody_else_is_refused_and_ones_own_is_taken_again(tmp, monkeypatch):
    own_folder(tmp / "own")
    own_folder(tmp / "own")
    assert (tmp / "own").stat().st_mode & 0o077 == 0
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UserError, match="user"):
        own_folder(tmp / "own")


@pytest.mark.processes
def test_what_a_killed_process_left_is_removed_by_the_next_and_what_another_uses_is_not(tmp):
    command = [sys.executable, "-P", "-c", HOLDER]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as busy,
    ):
        left, used = (Path(each.stdout.readline().strip()) for each in (killed, busy))
        killed.kill()
        killed.wait(LIMIT_S)
        assert (left / "socket").exists()
        with temporary_folder() as folder:
            assert folder.stat().st_mode & 0o077 == 0
            assert not left.exists()
            assert (used / "socket").exists()
        busy.communicate("\n", timeout=LIMIT_S)
    assert list(tmp.iterdir()) == []


def test_links_and_folders_of_slices_are_never_removed(tmp):
    (tmp / "precious").mkdir()
    (tmp / "foretell_link").symlink_to(tmp / "precious")
    (tmp / "foretell-slices").mkdir()
    with temporary_folder():
        pass
    assert sorted(path.name for path in tmp.iterdir()) == ["foretell-slices", "foretell_link", "precious"]
