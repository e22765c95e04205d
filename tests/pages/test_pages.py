"""What the pages show is so: every command, scenario and program of README and docs is executed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages.door import Door
from pages.page import PAGES, ROOT, blocks_of, name_of
from pages.story import Story
from pages.telling import read_stories

pytestmark = pytest.mark.processes

STORIES = read_stories()
TOLD = [page for page in PAGES if "results" not in page.parts and blocks_of(page)]
"""Pages of results say what was run once, for hours, and what came of it: test_documents.py checks their commands."""


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with tempfile.TemporaryDirectory(prefix="ft") as root, Door(Path(root)) as made:
        yield made


@pytest.mark.long
@pytest.mark.parametrize("name", [name_of(page) for page in TOLD])
def test_what_a_page_shows_is_so(name: str, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telling = STORIES.of(name)
    if telling.told_by:
        assert name.split("/")[-1] in (ROOT / telling.told_by).read_text(encoding="utf-8")
        return
    site, folder = tmp_path / "site", tmp_path / "page"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    story = Story(folder, telling, STORIES.always, site)
    story.furnish(door)
    monkeypatch.chdir(folder)
    story.tell(blocks_of(ROOT / name))
