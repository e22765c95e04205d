"""The ways to run by the names of their commands; each is imported when it is asked for."""

from __future__ import annotations

from functools import partial
from typing import Literal, get_args

from broker.errors import UserError
from broker.participants.link import TraceConfig
from scenarios.running.housing import Housing
from scenarios.running.substrate import Way
from scenarios.telemetry.asked import NOTHING_ASKED, AskedOfNodes

WayName = Literal["simulate", "run"]


def way_called(name: WayName, asked: AskedOfNodes = NOTHING_ASKED) -> Way:
    """In this process and virtual time, or as processes of this host in real time, which are asked for something."""
    if name == "simulate":
        from scenarios.running.simulated.simulate import simulated  # noqa: PLC0415 - all participants come with it

        return simulated
    from scenarios.running.launched.launch import launched  # noqa: PLC0415
    from scenarios.running.processes.this_host import this_host  # noqa: PLC0415

    return launched(partial(this_host, counters=asked.counters), trace=asked.trace)


def way_over(housed: Housing, trace: TraceConfig | None = None) -> Way:
    """As processes of other hosts, whose spans are in a trace; on Ray they make none."""
    if housed.is_on_ray:
        from scenarios.running.cluster.ray_hosts import on_ray  # noqa: PLC0415

        return on_ray(housed.carrier, housed.fleet)
    from scenarios.running.hosts.dialling import dial_of  # noqa: PLC0415
    from scenarios.running.hosts.fleet_site import fleet_plan, fleet_site  # noqa: PLC0415
    from scenarios.running.launched.launch import launched  # noqa: PLC0415

    dial, held = dial_of(housed)
    return launched(
        lambda plan, folder, observer: fleet_site(housed.fleet, plan, folder, observer.run_name, dial, held=held),
        partial(fleet_plan, housed.fleet),
        trace,
    )


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
