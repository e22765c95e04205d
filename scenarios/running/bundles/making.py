"""Makes the bundles of a run: one for each host, one for the launcher; all of them, or none."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec

from agent_node.policy_files import place_of_policy
from broker.addresses import parse_address
from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.files import sync_tree
from broker.participants.seal import sealed
from broker.release import FORETELL
from broker.run_name import new_run_name
from broker.security.curve import make_curve_keys
from broker.security.mqtt_access import BROKER
from broker.wire.messages import ENVIRONMENT, FORWARDER, OBSERVER
from scenarios.document.plan import Plan
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring
from scenarios.results.temporary import temporary_folder
from scenarios.running.bundles.readme import readme
from scenarios.running.bundles.unit import unit, unit_name
from scenarios.running.bundles.wheels import board_of, wheels_for
from scenarios.running.fleet import LAUNCHER, Fleet, HostConfig
from scenarios.running.hosts.belongings import belongings, contents, told_there
from scenarios.running.hosts.bundle import CONTROL, DOCUMENT, HOSTS, KEYS, MANIFEST, SLICES, Manifest
from scenarios.running.hosts.fleet_site import fleet_plan, listens_of
from scenarios.running.housing import housing
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.meeting.keys import given_keys, make_keys, needs_keys, run_of_keys
from scenarios.running.meeting.running_broker import given_addresses

Also = Callable[[str, Mapping[str, Mapping[str, bytes]]], Mapping[str, bytes]]


def make_bundles(
    plan: Plan, fleet: Fleet, out: Path, *, wheels: Path | None = None, also: Also = lambda _, __: {}
) -> str:
    """Write a folder for each host of a fleet, and one for the launcher.

    Args:
        plan: What is to run.
        fleet: The hosts.
        out: A new folder for them.
        wheels: A folder of wheels from which each host gets those that fit it; None: hosts install from an index.
        also: From the run's name and all files by host, what lies beside the folders: content by name.

    Returns:
        Name of the run that they are for.

    Raises:
        UserError: Somebody lives nowhere or twice, a host does not say where it waits for its launcher, or something
            cannot be read or written.
    """
    housed = housing("socket", fleet, plan.participants)
    if out.exists() and any(out.iterdir()):
        msg = f"expected a new folder for bundles, found {out} with files in it. Choose another --out, or remove it"
        raise UserError(msg)
    whole = out.absolute()
    beside = whole.with_name(f".{whole.name}-{secrets.token_hex(4)}")
    try:
        with temporary_folder() as keys:
            maker = _Maker(plan, fleet, keys)
            files = {LAUNCHER: maker.of_launcher(housed.model_dump_json(indent=1))}
            files |= {name: maker.of_host(name, wheels) for name in fleet.hosts}
        beside_them = also(maker.run, files)
        beside.mkdir(mode=0o700, parents=True)
        for host, theirs in files.items():
            _write(beside / host, theirs)
        _write(beside, beside_them)
        sync_tree(beside)
        beside.replace(whole)
    except OSError as error:
        msg = f"cannot make bundles in {out}: {error.strerror}{f': {error.filename}' if error.filename else ''}"
        raise UserError(msg) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return maker.run


class _Maker:
    """What all bundles of a set have in common."""

    def __init__(self, plan: Plan, fleet: Fleet, folder: Path) -> None:
        self._plan, self._fleet = fleet_plan(fleet, plan), fleet
        self._scenario = _kept_beside(plan.scenario)
        self._homes = fleet.homes(plan.participants)
        transport = self._plan.scenario.transport
        self.run, self._keys = new_run_name(plan.scenario.name), None
        if needs_keys(transport):
            self._keys = given_keys(transport.security.keys) if transport.security.keys else folder / "keys"
            if not transport.security.keys:
                make_keys(self._plan, self._keys, self.run)
            self.run = run_of_keys(self._keys)
        self._control = folder / CONTROL
        make_curve_keys(self._control, dict.fromkeys(fleet.hosts, (LAUNCHER,)) | {LAUNCHER: tuple(fleet.hosts)})

    def of_launcher(self, hosts_json: str) -> dict[str, bytes]:
        """The launcher's files: it sees what everybody does, and starts what stands between them."""
        found = self._own(LAUNCHER, self._plan.participants)
        found |= {DOCUMENT: self._scenario.to_toml().encode(), HOSTS: hosts_json.encode()}
        if self._keys is not None:
            for name in (OBSERVER, BROKER, FORWARDER):
                found |= contents(self._keys / name, f"{KEYS}/{name}")
        return found | self._manifest(LAUNCHER, (), "", found)

    def of_host(self, name: str, wheels: Path | None) -> dict[str, bytes]:
        """The files of one host."""
        host = self._fleet.hosts[name]
        theirs = tuple(each for each, home in self._homes.items() if home == name)
        found = self._own(name, theirs)
        found |= {f"{SLICES}/{each}.json": content for each, content in self._slices(theirs)}
        found[unit_name(name)] = unit(name, host, self.run).encode()
        if wheels is not None:
            found |= wheels_for(board_of(host), wheels)
        found["README.md"] = readme(name, host, self.run, with_wheels=wheels is not None).encode()
        return found | self._manifest(name, theirs, listens_for_launcher(host), found)

    def _own(self, host: str, participants: tuple[str, ...]) -> dict[str, bytes]:
        """What whoever takes part needs: code and policy, keys of participants, and its own for the connection."""
        config, keys = self._plan.scenario.initial_policy, None if host == LAUNCHER else self._keys
        policy = Path() if config is None else place_of_policy(config.path)
        found = belongings(self._plan.scenario, participants, policy=policy, keys=keys)
        return found | contents(self._control / host, CONTROL)

    def _manifest(
        self, host: str, participants: tuple[str, ...], listen: str, files: Mapping[str, bytes]
    ) -> dict[str, bytes]:
        """What says which bundle this is, and the digests of its other files."""
        made = Manifest(
            run=self.run,
            host=host,
            document=self._scenario.digest,
            version=FORETELL,
            arithmetic=ARITHMETIC,
            participants=participants,
            listen=listen,
            files={path: sha256(files[path]).hexdigest() for path in sorted(files)},
        )
        return {MANIFEST: msgspec.json.format(msgspec.json.encode(made), indent=1)}

    def _slices(self, participants: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        addresses = make_addresses(self._plan.participants, self._plan.scenario.transport.zeromq, Path())
        wiring = Wiring(
            self.run,
            addresses,
            name=self.run,
            broker=next(iter(given_addresses(self._plan)), ""),
            observed=True,
            keys=None if self._keys is None else Path(KEYS),
            listens=listens_of(self._fleet, self._homes, addresses),
        )
        for name in participants:
            told = self._plan.environment(wiring) if name == ENVIRONMENT else self._plan.agent(name, wiring)
            yield name, sealed(told_there(told.model_dump_json())).encode()


def listens_for_launcher(host: HostConfig) -> str:
    """Where a host waits for its launcher, which may dial another address."""
    at = parse_address(host.control, "tcp")
    return str(replace(at, host=host.listen) if host.listen else at)


def _kept_beside(scenario: Scenario) -> Scenario:
    """The document whose places are beside it, and whose keys are those of its launcher."""
    security = scenario.transport.security.model_copy(update={"keys": None})
    transport = scenario.transport.model_copy(update={"security": security})
    moved = told_there(scenario.model_copy(update={"transport": transport}).model_dump_json(exclude_none=True))
    return Scenario.model_validate_json(moved)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files for their owner's eyes alone."""
    for path, content in files.items():
        place = folder / path
        for parent in reversed(place.relative_to(folder).parents):
            (folder / parent).mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
