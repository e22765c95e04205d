"""A Ray cluster, connected to this process; nothing of Ray is imported before it is asked for."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from broker.driving.process import WRONG
from broker.errors import UserError
from scenarios.running.cluster.head import Head
from scenarios.running.cluster.placing import RayNode
from scenarios.running.hosts.carrier import CarrierLost

_SCHEME = "ray://"
_ANSWERS_WITHIN_S = 5.0
_SHOWN = 300
_START = "Start one with `ray start --head`, or say where it is: --on ray://HOST:10001, or RAY_ADDRESS"
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # else a cluster that is gone is tried for a quarter of an hour
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns that this will change
}


class RayCluster:
    """A cluster that this process is connected to.

    Attributes:
        api: The module `ray`.

    Args:
        api: As above.
        head: Without it nothing that is asked of the cluster is ever answered.
    """

    def __init__(self, api: Any, head: Head) -> None:
        self.api, self._head = api, head

    @property
    def is_lost(self) -> bool:
        """Whether its head is gone."""
        return bool(self._head.lost)

    def require(self) -> None:
        """See that its head is there, as far as is known.

        Raises:
            CarrierLost: It is gone.
        """
        if self._head.lost:
            raise CarrierLost(self._head.lost)

    def nodes(self) -> list[RayNode]:
        """Those that are alive.

        Raises:
            UserError: The cluster is lost.
        """
        with self.asked():
            found = [node for node in self.api.nodes() if node["Alive"]]
        return [
            RayNode(
                node["NodeID"],
                node["NodeManagerAddress"],
                frozenset(node["Resources"]),
                float(node["Resources"].get("CPU", 0)),
            )
            for node in found
        ]

    def cores(self) -> int:
        """What all its nodes may compute with, at least one."""
        return max(1, int(sum(node.cores for node in self.nodes())))

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Ask the cluster something that it always answers.

        Raises:
            UserError: It does not: it is lost.
        """
        if not self._head.answers():
            raise CarrierLost(self._head.lost)
        try:
            yield
        except (self.api.exceptions.RayError, ConnectionError, RuntimeError) as error:
            msg = f"the Ray cluster is lost: {_first_sentence(error)}"
            raise UserError(msg) from None


@contextmanager
def connected(place: str) -> Iterator[RayCluster]:
    """Connect to a cluster, and leave it afterwards: what was started there ends.

    Args:
        place: `ray` for the cluster that RAY_ADDRESS names, or of this host; `ray://HOST:PORT` for one elsewhere,
            where its client server listens.

    Raises:
        UserError: Ray is not installed here, no cluster answers, or it is of another version.
    """
    os.environ.update(_SETTINGS)
    try:
        ray = import_module("ray")
    except ModuleNotFoundError:
        msg = "--on ray needs the extra `ray`: pip install 'foretell[ray]'"
        raise UserError(msg) from None
    where = place if place.startswith(_SCHEME) else os.environ.get("RAY_ADDRESS", "auto")
    _require_answer(where)
    with _handlers_kept():
        try:
            ray.init(where, log_to_driver=False, logging_level=logging.ERROR, namespace="foretell")
        except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
            msg = f"cannot use a Ray cluster (address {where}): {_first_sentence(error)}. {_START}"
            raise UserError(msg) from None
    head = Head(_address_of(ray, where))
    try:
        with head.watched():
            yield RayCluster(ray, head)
    finally:
        if head.lost:
            atexit.register(_leave_at_once)
        else:
            ray.shutdown()


def _leave_at_once() -> None:
    """End this process without Ray: its threads wait for the head, and an interpreter that ends around them crashes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(WRONG)


def _address_of(ray: Any, where: str) -> tuple[str, int]:
    """Where the head listens for this process."""
    place = where.removeprefix(_SCHEME) if where.startswith(_SCHEME) else ray.get_runtime_context().gcs_address
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


def _require_answer(where: str) -> None:
    """See that somebody listens: Ray itself would wait without an end.

    Raises:
        UserError: Nobody does.
    """
    host, _, port = where.removeprefix(_SCHEME).rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        msg = f"no Ray cluster answers at {where}: {getattr(error, 'strerror', None) or error}. {_START}"
        raise UserError(msg) from None


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Leave it to the command what becomes of signals: Ray would end the process on SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")[:_SHOWN] or type(error).__name__
