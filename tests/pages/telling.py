"""How each page is told: what stories.toml says."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import Field

from broker.config import Model

STORIES = Path(__file__).with_name("stories.toml")


class Telling(Model):
    """What a test does otherwise than a reader of the page would."""

    before: list[str] = Field(default_factory=list, description="Lines of what a reader has done on other pages.")
    files: dict[str, str] = Field(default_factory=dict, description="What lies in the folder, from the repository.")
    instead: dict[str, str] = Field(default_factory=dict, description="Text that is replaced, mostly by less work.")
    exactly: list[str] = Field(default_factory=list, description="Lines that are executed as they stand.")
    ends: dict[str, int] = Field(default_factory=dict, description="How lines end that do not end with 0.")
    says: dict[str, str] = Field(default_factory=dict, description="What a line says besides what the page shows.")
    holds: list[str] = Field(default_factory=list, description="What is true of the page's Python at its end.")
    equal: list[list[str]] = Field(default_factory=list, description="Folders of runs with the same digests.")
    differ: list[list[str]] = Field(default_factory=list, description="Folders of runs with other curves.")
    shown_by: str = Field(default="", description="The committed summary that the page's output is from.")
    left_out: dict[str, str] = Field(default_factory=dict, description="Lines that no test can execute, and why.")
    beside: str = Field(default="", description="A line that goes on while the page is told.")
    told_by: str = Field(default="", description="The test, or the tool of its results, that tells the page instead.")


class Stories(Model):
    """The whole file."""

    always: dict[str, str]
    pages: dict[str, Telling]

    def of(self, page: str) -> Telling:
        """How a page is told; as it stands, where nothing is said of it."""
        return self.pages.get(page, Telling())


def read_stories() -> Stories:
    """The stories as they stand."""
    return Stories.model_validate(tomllib.loads(STORIES.read_text(encoding="utf-8")))
