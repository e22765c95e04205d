"""Which Foretell this is."""

from __future__ import annotations

from importlib.metadata import version

FORETELL = version("foretell")
