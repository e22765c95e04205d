"""What is given to strangers: versions agree, and the wheel has all that it needs and nothing else.

`make release` does the rest, which takes minutes and downloads: it installs wheel and source as a stranger would.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from broker.release import EXTRAS, FORETELL
from scenarios.document.loading import catalogue_names

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", folder, ROOT], check=True, capture_output=True)
    (made,) = folder.glob("foretell-*.whl")
    return made


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as opened:
        return Parser().parsestr(opened.read(f"foretell-{FORETELL}.dist-info/METADATA").decode())


def release() -> ModuleType:
    """tools/release.py."""
    spec = spec_from_file_location("release", ROOT / "tools" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_citation_and_the_newest_section_of_the_changelog_are_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [FORETELL]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0]
    assert newest == FORETELL


def test_the_newest_section_of_the_changelog_can_be_read_at_once() -> None:
    section = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert re.findall(r"^### (.*)$", section, re.MULTILINE) == ["New", "What changes for you", "Mended"]
    assert len(section.splitlines()) <= 80


@pytest.mark.processes
def test_the_wheel_holds_the_catalogue_and_the_types(wheel: Path) -> None:
    assert wheel.name.startswith(f"foretell-{FORETELL}-")
    names = zipfile.ZipFile(wheel).namelist()
    for name in catalogue_names():
        assert f"scenarios/catalogue/{name}.toml" in names
    for package in ("agent_node", "broker", "env_service", "scenarios"):
        assert f"{package}/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "tools/"))]


@pytest.mark.processes
def test_the_wheel_says_what_it_is_and_which_extras_there_are(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("foretell", FORETELL)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert set(EXTRAS.values()) <= set(metadata.get_all("Provides-Extra", []))
    required = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert not [each for each in required if each.startswith(("torch", "scipy", "matplotlib"))]


@pytest.mark.processes
def test_twine_takes_the_wheel(wheel: Path) -> None:
    pytest.importorskip("twine")
    words = [sys.executable, "-m", "twine", "check", "--strict", str(wheel)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_release_compares_with_two_digests_that_the_first_run_shows() -> None:
    assert len(release().shown()) == 2
