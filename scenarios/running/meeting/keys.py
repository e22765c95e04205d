"""Who may take part in a run: whether it needs keys, and making them, a whole set or none.

FOLDER/made-for says for whom the set in a folder was made; it is empty until the last of its files is on the disk.
FOLDER/<who>/run says for which run, by its name: topics bear it, and permissions are for these topics alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from broker.addresses import IPC, Address, parse_address
from broker.config import TransportConfig
from broker.errors import UserError
from broker.files import sync, sync_tree, write_whole
from broker.text_files import read_file
from broker.wire.messages import FORWARDER, OBSERVER
from scenarios.document.plan import Plan

_HERE = "this host"
_MADE_FOR, _UNFINISHED = "made-for", ""
_MOST_BYTES = 1 << 12
_RUN = "run"


def needs_keys(config: TransportConfig) -> bool:
    """Whether a run shall be secured: where nothing is said, as soon as an address lies beyond this host."""
    if config.security.mode != "auto":
        return config.security.mode == "on"
    if config.kind == "mqtt" and config.mqtt.username:
        return False  # the broker has accounts of its own
    return any(address.is_beyond_this_host for address in _addresses(config))


def own_keys(plan: Plan, folder: Path, run: str) -> Path:
    """The folder of keys that a run makes for itself: those that are there already when it is resumed, else new ones.

    Where the run's broker is dialled under another address than before, its certificate alone is made anew.

    Args:
        plan: What runs.
        folder: Where they are, or where to make them.
        run: Its name.

    Raises:
        UserError: The folder holds something else, or cannot be read or written.
    """
    if _made_for(folder) != _digest(plan, run):
        make_keys(plan, folder, run)
        return folder
    from broker.security.mqtt_access import renew_certificate  # noqa: PLC0415 - as below

    try:
        renew_certificate(folder, run, _hosts(plan.scenario.transport))
    except OSError as error:
        raise _unwritten(folder, error) from None
    return folder


def given_keys(folder: Path) -> Path:
    """The folder of keys that a scenario names.

    Raises:
        UserError: They were never made to the end.
    """
    if _made_for(folder) == _UNFINISHED:
        msg = f"expected a whole set of keys in {folder}, found one that was cut while it was made: make it anew with "
        msg += f"`foretell keys --out {folder}`"
        raise UserError(msg)
    return folder


def run_of_keys(folder: Path) -> str:
    """Name of the run that keys were made for; all of a folder are for one, and any of them is enough to know it.

    Raises:
        UserError: They do not say it, or are of several sets.
    """
    try:
        found = {path.read_text(encoding="ascii").strip() for path in sorted(folder.glob(f"*/{_RUN}"))}
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read for which run the keys in {folder} are: {error}"
        raise UserError(msg) from None
    if len(found) != 1:
        said = f"keys for the runs {' and '.join(sorted(found))}" if found else "none that say for which run they are"
        msg = f"expected keys of one `foretell keys` in {folder}, found {said}: copy those of one set, or make new ones"
        raise UserError(msg)
    return found.pop()


def make_keys(plan: Plan, folder: Path, run: str) -> None:
    """Make the keys and passwords of every participant of a run, of its observer and of what stands between them.

    What is left of a set that was cut while it was made is removed: it serves nobody.

    Args:
        plan: Its graph says who may speak to whom.
        folder: Gets a folder for each.
        run: Name of the run, with its id.

    Raises:
        UserError: The folder holds keys already, or cannot be written.
    """
    from broker.security.curve import make_curve_keys, with_forwarder  # noqa: PLC0415 - runs without keys need no cryptography
    from broker.security.mqtt_access import make_mqtt_access  # noqa: PLC0415

    try:
        if folder.exists() and _made_for(folder) != _UNFINISHED and any(folder.iterdir()):
            msg = f"expected an empty folder for keys, found {folder} with files in it. Choose another, or remove it."
            raise UserError(msg)
        with _whole_or_unfinished(_digest(plan, run), folder):
            peers = everybodys_peers(plan)
            make_mqtt_access(folder, run, peers, _hosts(plan.scenario.transport))
            make_curve_keys(folder, with_forwarder(peers))
            for own in [path for path in folder.iterdir() if path.is_dir()]:
                (own / _RUN).write_text(f"{run}\n", encoding="ascii")
    except OSError as error:
        raise _unwritten(folder, error) from None


def _unwritten(folder: Path, error: OSError) -> UserError:
    return UserError(f"cannot write keys to {folder}: {error.strerror}")


@contextmanager
def _whole_or_unfinished(made_for: str, folder: Path) -> Iterator[None]:
    """Call what is in a folder unfinished until all that is written there meanwhile is on the disk."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _MADE_FOR).touch()
    sync(folder)
    for left in [path for path in folder.iterdir() if path.is_dir()]:
        shutil.rmtree(left)
    yield
    sync_tree(folder)
    write_whole(folder / _MADE_FOR, made_for.encode())
    sync(folder)


def _made_for(folder: Path) -> str | None:
    """For whom the keys in a folder were made; None where it does not say, as in those that were copied to a host."""
    try:
        return read_file(folder / _MADE_FOR, _MOST_BYTES).decode("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        msg = f"cannot read the keys in {folder}: {error.strerror}"
        raise UserError(msg) from None


def _digest(plan: Plan, run: str) -> str:
    """SHA-256 of all that keys and passwords are made from; where somebody is has no part in them."""
    return sha256(json.dumps([run, everybodys_peers(plan)]).encode()).hexdigest()


@contextmanager
def used_alone(folder: Path | None) -> Iterator[None]:
    """Keep other runs of this host from keys: a set's topics and permissions are for one run at a time.

    Raises:
        UserError: Another run uses them.
    """
    if folder is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"another run uses the keys in {folder}: wait for its end, or make others with `foretell keys`"
            raise UserError(msg) from None
        except OSError:
            pass  # of a file system without locks: participants notice each other by their HELLO
        yield
    finally:
        os.close(lock)


def describe_keys(plan: Plan, folder: Path) -> str:
    """Which folders of `folder` belong on which host, by the addresses in the scenario."""
    addresses = plan.scenario.transport.zeromq.addresses
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    for name in (*plan.participants, OBSERVER):
        address = addresses.get(name, "")
        hosts[_parsed(address).host if address.startswith("tcp://") else _HERE].append(name)
    width = max(map(len, hosts))
    lines = [f"keys of {run_of_keys(folder)}: {folder}/", "copy to each host its own folders and no others:"]
    lines += [f"  {host:{width}}  {', '.join(names)}" for host, names in hosts.items()]
    lines.append(f"the MQTT broker's host takes {folder}/broker, the forwarder's {folder}/{FORWARDER}")
    return "\n".join(lines)


def everybodys_peers(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Whom each participant sends to and hears from, the observer included."""
    return {name: (OBSERVER, *plan.peers(name)) for name in plan.participants} | {OBSERVER: plan.participants}


def _addresses(config: TransportConfig) -> list[Address]:
    """Where the run's participants connect to; a broker or forwarder of its own stands where everybody listens."""
    zeromq = config.zeromq
    listening = [Address("tcp", zeromq.host, zeromq.base_port)] if zeromq.scheme == "tcp" else []
    if config.kind == "mqtt":
        return [_parsed(address) for address in config.mqtt.addresses] or listening
    if zeromq.mode == "forwarder":
        return [_parsed(zeromq.forwarder)] if zeromq.forwarder else listening
    return [*map(_parsed, zeromq.addresses.values()), *listening]


def _hosts(config: TransportConfig) -> list[str]:
    return sorted({address.host for address in _addresses(config) if address.scheme != IPC})


def _parsed(address: str) -> Address:
    return parse_address(address, "tcp", "ipc", "mqtt", "mqtts")
