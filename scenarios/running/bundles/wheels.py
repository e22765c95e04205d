"""The wheels that a host installs Foretell from, without an index: those of a folder that fit its board."""

from __future__ import annotations

import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from itertools import product
from pathlib import Path

from broker.errors import UserError
from broker.release import FORETELL
from scenarios.running.fleet import HostConfig

WHEELS = "wheels"
NEWEST_GLIBC = 36
"""Of Debian bookworm, which Raspberry Pi OS is made from: 2.36."""
_NAME = "foretell"
_PARTS = 5
_MANYLINUX = re.compile(r"manylinux_2_(\d+)_(\w+)")
_OLD = {"manylinux1": "manylinux_2_5", "manylinux2010": "manylinux_2_12", "manylinux2014": "manylinux_2_17"}
_REQUIRED = re.compile(r"([A-Za-z0-9][\w.-]*)")


@dataclass(frozen=True)
class Board:
    """What runs on a host, as far as wheels depend on it.

    Attributes:
        machine: x86_64 or aarch64.
        python: Its version, such as (3, 13).
    """

    machine: str
    python: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.machine} and Python {self.python[0]}.{self.python[1]}"

    def takes(self, wheel: str) -> bool:
        """Whether a wheel, by its file name, can be installed there."""
        parts = wheel.removesuffix(".whl").split("-")
        if len(parts) < _PARTS:
            return False
        interpreters, binaries, platforms = (part.split(".") for part in parts[-3:])
        return any(
            self._runs(interpreter, binary) and self._is_for(platform)
            for interpreter, binary, platform in product(interpreters, binaries, platforms)
        )

    def _runs(self, interpreter: str, binary: str) -> bool:
        own = f"cp{self.python[0]}{self.python[1]}"
        if binary == "none":
            return interpreter in {"py3", f"py{own[2:]}", own}
        if binary == "abi3" and interpreter.startswith("cp3") and interpreter[3:].isdecimal():
            return int(interpreter[3:]) <= self.python[1]
        return (interpreter, binary) == (own, own)

    def _is_for(self, platform: str) -> bool:
        if platform in {"any", f"linux_{self.machine}"}:
            return True
        beginning = platform.partition("_")[0]
        found = _MANYLINUX.fullmatch(platform.replace(beginning, _OLD.get(beginning, beginning), 1))
        return found is not None and int(found[1]) <= NEWEST_GLIBC and found[2] == self.machine


def board_of(host: HostConfig) -> Board:
    """What a fleet says of a host; what it does not say is as it is here."""
    version = host.python_version.split(".") if host.python_version else sys.version_info[:2]
    return Board(host.machine or platform.machine(), (int(version[0]), int(version[1])))


def wheels_for(board: Board, folder: Path) -> dict[str, bytes]:
    """All wheels of a folder that fit a board: content by path in a bundle.

    Raises:
        UserError: Foretell itself, or what one of them needs, is not among them.
        OSError: They cannot be read.
    """
    found = {path.name: path for path in sorted(folder.glob("*.whl")) if board.takes(path.name)}
    names = {_plain(name.partition("-")[0]) for name in found}
    if not any(name.startswith(f"{_NAME}-{FORETELL}-") for name in found):
        msg = f"--wheels: expected a wheel of Foretell {FORETELL} for {board} in {folder}, found none of it. "
        raise UserError(f"{msg}`make wheels` makes one, and --wheels build does that and downloads the others")
    for path in found.values():
        for needed in _needs(path):
            if needed not in names:
                msg = f"--wheels: expected a wheel of {needed} for {board} in {folder}, as {path.name} needs it. "
                raise UserError(f"{msg}--wheels build downloads what a node needs")
    return {f"{WHEELS}/{name}": path.read_bytes() for name, path in found.items()}


def _needs(wheel: Path) -> Iterator[str]:
    """The projects that a wheel needs whatever the machine is: those with a condition are the index's to decide."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            (place,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            said = HeaderParser().parsestr(archive.read(place).decode())
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        msg = f"--wheels: {wheel} is no wheel: {error}"
        raise UserError(msg) from None
    for line in said.get_all("Requires-Dist") or ():
        name, (_, _, condition) = _REQUIRED.match(line), line.partition(";")
        if name is not None and not condition:
            yield _plain(name[1])


def boards_of(hosts: Iterable[HostConfig]) -> set[Board]:
    """The different boards of a fleet."""
    return {board_of(host) for host in hosts}


def _plain(name: str) -> str:
    """How a project is compared, whoever writes it."""
    return re.sub(r"[-_.]+", "_", name).lower()
