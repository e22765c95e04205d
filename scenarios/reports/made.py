"""How the results on a page were made. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Made:
    """How results were made.

    Attributes:
        command: That makes them again.
        versions: Of what computes, by name.
    """

    command: str
    versions: Mapping[str, str]

    def told(self, *elsewhere: str) -> str:
        """The command and the versions, in Markdown.

        Args:
            elsewhere: What stands in other files, sentences.
        """
        return f"{self.command_told}\n\n{' '.join((self.versions_told, *elsewhere))}"

    @property
    def command_told(self) -> str:
        """The command, as a block."""
        return f"```\n{self.command}\n```"

    @property
    def versions_told(self) -> str:
        """The versions, a sentence."""
        return f"Versions: {', '.join(f'{name} {version}' for name, version in self.versions.items())}."
