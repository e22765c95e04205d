"""The ways to run by the names of their commands; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from broker.errors import UserError
from broker.participants.link import TraceConfig
from scenarios.running.fleet import Fleet
from scenarios.running.housing import Housing
from scenarios.running.substrate import Way
from scenarios.telemetry.asked import NOTHING_ASKED, AskedOfNodes

if TYPE_CHECKING:
    from scenarios.running.hosts.bundle import Manifest
    from scenarios.running.hosts.carrier import Dial

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
        lambda plan, folder, observer: fleet_site(
            housed.reached, plan, folder, observer.run_name, dial, held=held, look=lambda: None
        ),
        partial(fleet_plan, housed.reached),
        trace,
    )


def way_for(name: WayName, housed: Housing | None, asked: AskedOfNodes) -> Way:
    """How a run goes that lives on this host alone, or over the hosts of its own."""
    return way_called(name, asked) if housed is None else way_over(housed, asked.trace)


def is_processes_here(name: WayName, housed: Housing | None) -> bool:
    """Whether each of its participants is a process of this host."""
    return name == "run" and housed is None


@dataclass(frozen=True)
class DialledHosts:
    """The hosts of a run, to be dialled.

    Attributes:
        fleet: They, at the addresses that they have now.
        dial: Begins a connection to one.
        held: The launcher's bundle, where hosts wait with theirs.
    """

    fleet: Fleet
    dial: Dial
    held: Manifest | None


@contextmanager
def hosts_of(housed: Housing) -> Iterator[DialledHosts]:
    """The hosts themselves, without a run on them.

    Raises:
        UserError: The launcher's bundle is damaged, or no Ray cluster answers, or it has not the nodes that are wanted.
    """
    if housed.is_on_ray:
        from scenarios.running.cluster.connected import connected  # noqa: PLC0415
        from scenarios.running.cluster.ray_hosts import RayHosts  # noqa: PLC0415

        with connected(housed.carrier) as cluster:
            placed = RayHosts(cluster, housed.fleet)
            yield DialledHosts(placed.fleet(), placed.dial, None)
        return
    from scenarios.running.hosts.dialling import dial_of  # noqa: PLC0415

    yield DialledHosts(housed.reached, *dial_of(housed))


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
