"""What the pages show is so: every command, document and program of README and docs is executed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages.door import Door
from pages.page import PAGES, ROOT, blocks_of, name_of
from pages.story import bare_line, tell_page
from pages.telling import read_stories

STORIES = read_stories()
SHOWING = [name_of(page) for page in PAGES if "results" not in page.parts and blocks_of(page)]
"""Pages of results say what was run once, for hours, and what came of it: test_documents.py checks their commands."""
MOST_LEFT_OUT = 5


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with Door() as made:
        yield made


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in SHOWING if not STORIES.of(name).told_by])
def test_what_a_page_shows_is_so(name: str, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell_page(name, door, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", [name for name in SHOWING if STORIES.of(name).told_by])
def test_a_page_that_needs_more_is_told_by_a_test_or_a_tool_that_there_is(name: str) -> None:
    assert Path(name).name in (ROOT / STORIES.of(name).told_by).read_text(encoding="utf-8")


def test_only_few_lines_are_executed_by_no_test_and_each_has_a_reason() -> None:
    left_out = {(name, line): why for name, telling in STORIES.pages.items() for line, why in telling.left_out.items()}
    assert len(left_out) <= MOST_LEFT_OUT
    for (name, line), why in left_out.items():
        shown = [bare_line(each) for block in blocks_of(ROOT / name) for each in block.lines]
        assert line in shown, f"{name} does not say any more: {line}"
        assert len(why) > 20, f"{name}: {line}"


def test_stories_are_of_pages_that_there_are() -> None:
    assert set(STORIES.pages) <= set(SHOWING)
