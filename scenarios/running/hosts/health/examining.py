"""What a host says of itself when it is looked over before a run."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import msgspec

from broker.addresses import parse_address
from broker.arithmetic.chosen import kernels
from broker.arithmetic.version import ARITHMETIC
from broker.release import FORETELL
from scenarios.running.machine import this_machine

NEEDED = ("msgspec", "numpy", "pydantic", "safetensors", "zmq")
"""What every node imports."""


class Examined(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        python: Its version.
        foretell: Its version.
        arithmetic: Of its arithmetic.
        kernels: What computes.
        cores: Processors that it may use.
        memory_bytes: That it may use.
        disk_bytes: Free where its runs are kept.
        clock_s: Its clock, in seconds since 1970.
        missing: Packages that a node needs and that are not there.
        ports: Why an address cannot be listened on, by address; empty where it can.
        names: Why an address that would be dialled does not resolve, by address; empty where it does.
    """

    python: str
    foretell: str
    arithmetic: int
    kernels: str
    cores: int
    memory_bytes: int
    disk_bytes: int
    clock_s: float
    missing: tuple[str, ...]
    ports: dict[str, str]
    names: dict[str, str]


def examine(listens: Sequence[str], dials: Sequence[str]) -> Examined:
    """Look this host over.

    Args:
        listens: Addresses that its participants would listen on.
        dials: Addresses that they would dial.
    """
    return Examined(
        python=sys.version.split()[0],
        foretell=FORETELL,
        arithmetic=ARITHMETIC,
        kernels=kernels.name,
        cores=cores(),
        memory_bytes=this_machine().memory_bytes,
        disk_bytes=shutil.disk_usage(Path()).free,
        clock_s=time.time(),
        missing=tuple(name for name in NEEDED if find_spec(name) is None),
        ports={address: _cannot_listen(address) for address in listens},
        names={address: _does_not_resolve(address) for address in dials},
    )


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _cannot_listen(address: str) -> str:
    at = parse_address(address, "tcp")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _does_not_resolve(address: str) -> str:
    with suppress(ValueError):
        at = parse_address(address, "tcp", "mqtt", "mqtts")
        try:
            socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)
        except OSError as error:
            return error.strerror or str(error)
    return ""
