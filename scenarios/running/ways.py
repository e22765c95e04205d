"""The ways to run by the names of their commands; each is imported when it is asked for."""

from __future__ import annotations

from typing import Literal, get_args

from broker.errors import UserError
from scenarios.running.substrate import Way

WayName = Literal["simulate", "run"]


def way_called(name: WayName) -> Way:
    """In this process and virtual time, or as processes of this host in real time."""
    if name == "simulate":
        from scenarios.running.simulated.simulate import simulated  # noqa: PLC0415 - all participants come with it

        return simulated
    from scenarios.running.launched.launch import launched  # noqa: PLC0415
    from scenarios.running.processes.forked_nodes import ForkedNodes  # noqa: PLC0415

    return launched(ForkedNodes)


def way_named(name: str) -> WayName:
    """The name of a way, from text.

    Raises:
        UserError: No way is called so.
    """
    for way in get_args(WayName):
        if way == name:
            found: WayName = way
            return found
    msg = f"expected one of {', '.join(get_args(WayName))}, found {name!r}"
    raise UserError(msg)
