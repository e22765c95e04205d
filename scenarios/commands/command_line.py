"""The words that start this program as a process; handed to rooms below, which know no commands."""

from __future__ import annotations

import sys

FORETELL = (sys.executable, "-m", "scenarios.commands.main")
