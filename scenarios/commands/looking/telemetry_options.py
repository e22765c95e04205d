"""The options of commands that run something: what is told to others meanwhile. None of them changes the run."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from scenarios.telemetry.wish import TelemetryWish
from scenarios.telemetry.writer import TOOLS

_Command = TypeVar("_Command", bound=Callable[..., None])

_METRICS = click.option(
    "--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus there; without HOST on loopback alone."
)
_SINKS = click.option(
    "--sink", "sinks", multiple=True, type=click.Choice(TOOLS), help="Show the curves there, too; repeatable."
)
_SPANS = click.option("--spans", is_flag=True, help="Make spans of episodes and rounds, for OpenTelemetry.")


def with_telemetry(*, spans: bool = True) -> Callable[[_Command], _Command]:
    """Options that a command takes together as `wish`, a `TelemetryWish`.

    Args:
        spans: Whether spans are among them.
    """

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def called(*, metrics: str | None, sinks: tuple[str, ...], spans: bool = False, **others: Any) -> None:
            command(wish=TelemetryWish(metrics, tuple(dict.fromkeys(sinks)), spans), **others)

        for option in (*((_SPANS,) if spans else ()), _SINKS, _METRICS):
            called = option(called)
        return called  # type: ignore[return-value]  # it takes what it took, and the options

    return decorate
