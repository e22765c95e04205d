"""Which wheels a host gets, and that it installs Foretell from them alone; wheels without anything in them."""

from __future__ import annotations

import shlex
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from broker.errors import UserError
from broker.release import FORETELL
from scenarios.running.bundles.readme import readme
from scenarios.running.bundles.wheels import Board, board_of, wheels_for
from scenarios.running.fleet import HostConfig

PI = Board("aarch64", (3, 13))


def wheel(folder: Path, name: str, tags: str, *needs: str) -> None:
    """A wheel with nothing in it."""
    project, version = name.split("-")
    info = f"{project}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {each}\n" for each in needs)
    with zipfile.ZipFile(folder / f"{name}-{tags}.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{required}")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("cp313-cp313-manylinux_2_27_aarch64.manylinux_2_28_aarch64", True),
        ("cp313-cp313t-manylinux_2_27_aarch64", False),
        ("cp312-cp312-manylinux_2_28_aarch64", False),
        ("cp311-abi3-manylinux_2_28_aarch64", True),
        ("cp314-abi3-manylinux_2_28_aarch64", False),
        ("cp39-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64", True),
        ("cp313-cp313-manylinux_2_28_x86_64", False),
        ("cp313-cp313-manylinux_2_39_aarch64", False),
        ("cp313-cp313-musllinux_1_2_aarch64", False),
        ("cp313-cp313-macosx_11_0_arm64", False),
        ("py3-none-linux_aarch64", True),
        ("none", False),
    ],
)
def test_a_board_takes_what_pip_would_take_there(tags, fits):
    assert PI.takes(f"numpy-2.4.6-{tags}.whl") == fits


def test_a_host_that_says_nothing_is_as_this_one():
    board = board_of(HostConfig(participants=("*",)))
    assert board.python == sys.version_info[:2]
    assert board_of(HostConfig(participants=("*",), machine="aarch64", python_version="3.13")) == PI


def test_wheels_of_other_boards_stay_and_what_is_needed_must_be_there(tmp_path):
    wheel(tmp_path, f"foretell-{FORETELL}", "py3-none-manylinux_2_17_aarch64", "numpy>=2", 'torch; extra == "torch"')
    wheel(tmp_path, f"foretell-{FORETELL}", "py3-none-manylinux_2_17_x86_64", "numpy>=2")
    with pytest.raises(UserError, match=r"expected a wheel of numpy for aarch64 and Python 3\.13 in .* foretell"):
        wheels_for(PI, tmp_path)
    wheel(tmp_path, "numpy-2.4.6", "cp313-cp313-manylinux_2_27_aarch64")
    wheel(tmp_path, "numpy-2.4.6", "cp311-cp311-manylinux_2_27_aarch64")
    assert {path.removeprefix("wheels/") for path in wheels_for(PI, tmp_path)} == {
        f"foretell-{FORETELL}-py3-none-manylinux_2_17_aarch64.whl",
        "numpy-2.4.6-cp313-cp313-manylinux_2_27_aarch64.whl",
    }


def test_a_folder_without_this_foretell_and_what_is_no_wheel_are_refused(tmp_path):
    wheel(tmp_path, "foretell-0.0.9", "py3-none-any")
    with pytest.raises(UserError, match=f"expected a wheel of Foretell {FORETELL} for aarch64"):
        wheels_for(PI, tmp_path)
    (tmp_path / f"foretell-{FORETELL}-py3-none-any.whl").write_text("no archive")
    with pytest.raises(UserError, match=r"py3-none-any\.whl is no wheel: File is not a zip file"):
        wheels_for(PI, tmp_path)


@pytest.mark.processes
def test_the_first_command_of_the_readme_installs_without_an_index(tmp_path):
    if find_spec("pip") is None:
        pytest.skip("pip is not installed")
    (tmp_path / "wheels").mkdir()
    wheel(tmp_path / "wheels", f"foretell-{FORETELL}", "py3-none-any", "needed_there>=1")
    wheel(tmp_path / "wheels", "needed_there-1.0", "py3-none-any")
    host = HostConfig(participants=("*",), python=sys.executable)
    install = readme("pi1", host, "tiny", with_wheels=True).split("```\n")[1].splitlines()[0]
    assert " --no-index --find-links wheels " in install
    words = [*shlex.split(install), "--target", "there", "--quiet", "--disable-pip-version-check"]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert (tmp_path / "there" / "needed_there-1.0.dist-info").is_dir()
