"""Looks the hosts of a run over before it begins: a line for each check, and what to do about a failure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from broker.counting import shown_bytes
from broker.errors import ForetellError
from broker.wire.messages import OBSERVER
from scenarios.document.needs import needs_of
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.running.fleet import Fleet
from scenarios.running.hosts.bundle import Manifest
from scenarios.running.hosts.carrier import Dial
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.fleet_site import clients_of, fleet_plan
from scenarios.running.hosts.frames import Examine
from scenarios.running.hosts.health.examining import Examined

_RUN = "doctor"
_NODE_BYTES, _NEXT_BYTES = 70_000_000, 15_000_000
"""What Foretell itself takes for the first participant of a host, and for each other."""
_DISK_BYTES = 100_000_000
_CLOCK_S = 5.0


@dataclass(frozen=True)
class Check:
    """One line.

    Attributes:
        host: Which.
        what: Was looked at.
        well: Whether it is as it should be.
        said: What was found and, where it is not well, what to do.
    """

    host: str
    what: str
    well: bool
    said: str


def look_over(fleet: Fleet, plan: Plan, folder: RunFolder, dial: Dial, *, held: Manifest | None) -> list[Check]:
    """Every check of every host that can be made from outside of a run.

    Args:
        fleet: The hosts.
        plan: What is to run there.
        folder: For what the hosts say.
        dial: Begins a connection to a host.
        held: The launcher's bundle, where hosts wait with theirs.

    Raises:
        UserError: Somebody lives nowhere or twice, or this host's own address cannot be found.
    """
    fitting, homes = fleet_plan(fleet, plan), fleet.homes(plan.participants)
    clients = clients_of(fleet, fitting, folder, _RUN, dial, held=held, try_for_s=0.0)
    checks: list[Check] = []
    with ExitStack() as stack:
        for client in clients.values():
            client.dial()
            stack.callback(client.close)
        with ThreadPoolExecutor(len(clients)) as pool:
            greeted = list(pool.map(_greeted, clients.values()))
        for client, refusal in zip(clients.values(), greeted, strict=True):
            checks.append(Check(client.name, "reach", not refusal, refusal or "answers"))
            if not refusal:
                checks += _of_host(fleet, fitting, homes, client)
    return checks


def _greeted(client: HostClient) -> str:
    try:
        client.greet()
    except ForetellError as error:
        return str(error).removeprefix(f"host {client.name}").removeprefix(" cannot be used").removeprefix(": ")
    return ""


def _of_host(fleet: Fleet, plan: Plan, homes: Mapping[str, str], client: HostClient) -> Iterator[Check]:
    name, theirs = client.name, [each for each, home in homes.items() if home == client.name]
    addresses = plan.scenario.transport.zeromq.addresses
    place = fleet.hosts[name]
    direct = plan.scenario.transport.kind == "zeromq" and plan.scenario.transport.zeromq.mode == "direct"
    listens = tuple(_listening(addresses[each], place.listen) for each in theirs) if direct else ()
    known = {peer for each in theirs for peer in plan.peers(each)} | {OBSERVER}
    dials = tuple(addresses[peer] for peer in sorted(known))
    asked_at = time.time()
    try:
        found = msgspec.convert(client.ask(Examine(listens, dials)), Examined)
    except ForetellError as error:
        yield Check(name, "look", False, f"{error}")
        return
    half_s = (time.time() - asked_at) / 2
    yield Check(name, "software", not found.missing, _software(found))
    yield _memory(fleet, plan, theirs, name, found)
    enough = found.disk_bytes > _DISK_BYTES
    mend = "" if enough else ": make room, or set the host's `folder`"
    yield Check(name, "disk", enough, f"{shown_bytes(found.disk_bytes)} free{mend}")
    yield clock_check(name, found.clock_s - asked_at - half_s, half_s)
    for what, said, mend in (
        ("ports", found.ports, "end what uses it, or set transport.zeromq.base_port or the host's `listen`"),
        ("names", found.names, "mend the name there, or give an address under `dial`"),
    ):
        wrong = [f"{address}: {why}" for address, why in said.items() if why]
        yield Check(name, what, not wrong, f"{wrong[0]}; {mend}" if wrong else f"{len(said)} of {len(said)}")


def _listening(address: str, listen: str) -> str:
    return address if not listen else f"tcp://{listen}:{address.rpartition(':')[2]}"


def _software(found: Examined) -> str:
    said = (
        f"Python {found.python}, Foretell {found.foretell}, arithmetic {found.arithmetic}, kernels {found.kernels}, "
        f"{found.cores} cores"
    )
    return f"{said}; it lacks {', '.join(found.missing)}: install them there" if found.missing else said


def _memory(fleet: Fleet, plan: Plan, theirs: list[str], name: str, found: Examined) -> Check:
    needs = needs_of(plan)
    needed = _NODE_BYTES + _NEXT_BYTES * (len(theirs) - 1)
    for each in theirs:
        needed += needs.by_participant[each]
    own = fleet.hosts[name].memory_mb
    has = found.memory_bytes if own is None else min(found.memory_bytes, own * 1_000_000)
    mend = "" if needed <= has else ": let fewer participants live there, or make the networks or copies smaller"
    return Check(name, "memory", needed <= has, f"about {shown_bytes(needed)} of {shown_bytes(has)}{mend}")


def clock_check(name: str, ahead_s: float, within_s: float) -> Check:
    """Whether a clock that goes `ahead_s` before this one, give or take `within_s`, is near enough."""
    well = abs(ahead_s) < _CLOCK_S + within_s
    said = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this one"
    mend = "" if well else ": set it there (timedatectl set-ntp true); certificates would not be valid"
    return Check(name, "clock", well, said + mend)
