"""What a way to run is."""

from __future__ import annotations

from collections.abc import Callable

from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer

Substrate = Callable[[Plan, RunFolder, Observer, Callable[[], bool]], None]
