"""The words that start this program as a process; handed to rooms below, which know no commands."""

from __future__ import annotations

from broker.isolated import isolated_module

FORETELL = tuple(isolated_module("scenarios.commands.main"))
