"""The hosts of a run on the nodes of a Ray cluster: an actor each, which carries the frames of `foretell host`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from broker.errors import UserError
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.cluster.connected import RayCluster, connected
from scenarios.running.cluster.host_actor import HostActor
from scenarios.running.cluster.placing import RayNode, node_for
from scenarios.running.fleet import Fleet, HostConfig
from scenarios.running.hosts.fleet_site import fleet_plan, fleet_site
from scenarios.running.launched.launch import launched
from scenarios.running.substrate import Substrate, Way

_WRITTEN_WITHIN_S = 30.0
_LEFT_WITHIN_S = 5.0
_SHOWN = 300
_CAUSES = ("The actor died because", "The actor is dead because", "ModuleNotFoundError", "The actor")
"""Beginnings of the lines that say why; the first of these that there is."""
_THREADS = 2
"""Of an actor: `read` waits in one while another works."""


def on_ray(place: str, fleet: Fleet) -> Way:
    """The way that `foretell run --on ray` goes.

    Args:
        place: Of the cluster, see `connected`.
        fleet: The hosts.
    """

    @contextmanager
    def way(plan: Plan, folder: RunFolder, observer: Observer) -> Iterator[Substrate]:
        with connected(place) as cluster:
            hosts = RayHosts(cluster, fleet)
            over_actors = launched(
                lambda plan, folder, observer: fleet_site(
                    fleet, plan, folder, observer.run_name, hosts.dial, held=None, look=cluster.require
                ),
                lambda plan: fleet_plan(hosts.fleet(), plan),
            )
            with over_actors(plan, folder, observer) as substrate:
                yield substrate

    return way


class RayHosts:
    """Where on a cluster the hosts of a run are; one whose node is gone moves, unless the fleet says which it wants.

    Args:
        cluster: They are there.
        fleet: They.

    Raises:
        UserError: A host wants a node that is not there.
    """

    def __init__(self, cluster: RayCluster, fleet: Fleet) -> None:
        self._cluster, self._fleet = cluster, fleet
        self._nodes: dict[str, RayNode] = {}
        for name, host in fleet.hosts.items():
            self._place(name, host)

    def fleet(self) -> Fleet:
        """The hosts as they are dialled now: at the address of their node, where the fleet says nothing else."""
        hosts = {
            name: host if host.dial else host.model_copy(update={"dial": self._nodes[name].address})
            for name, host in self._fleet.hosts.items()
        }
        return self._fleet.model_copy(update={"hosts": hosts})

    def dial(self, name: str, host: HostConfig, log: Path) -> ActorCarrier:
        """Begin a connection to a host.

        Raises:
            UserError: It wants a node that is not there.
        """
        if self._nodes[name].id not in {node.id for node in self._cluster.nodes()}:
            self._place(name, host)
        told = (str(Path(host.folder) / name), host.act, host.metrics)
        return ActorCarrier(self._cluster, self._nodes[name], told, log)

    def _place(self, name: str, host: HostConfig) -> None:
        taken = [node.id for other, node in self._nodes.items() if other != name]
        try:
            self._nodes[name] = node_for(host.node, self._cluster.nodes(), taken)
        except UserError as error:
            msg = f"host {name}: {error}"
            raise UserError(msg) from None


class ActorCarrier:
    """See `scenarios.running.hosts.carrier.Carrier`.

    Args:
        cluster: The host is on a node of it.
        node: Where the host is.
        told: What the host is told; see `HostActor`.
        log: Takes what it says on its standard error.
    """

    def __init__(self, cluster: RayCluster, node: RayNode, told: tuple[str, str, str], log: Path) -> None:
        ray = cluster.api
        strategies = ray.util.scheduling_strategies
        there = strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=0, max_concurrency=_THREADS)(HostActor)
        self._cluster, self._log = cluster, log
        with cluster.asked():
            self._actor = actor.options(scheduling_strategy=there).remote(*told)
        self._why = ""

    def read(self) -> bytes:
        """Wait for what comes."""
        while True:
            arrived, said = self._asked("read", None)
            if said:
                with self._log.open("ab") as log:
                    log.write(said)
            elif not arrived:
                return b""
            if arrived:
                return bytes(arrived)

    def write(self, frame: bytes) -> None:
        """Give the host a frame."""
        self._asked("write", _WRITTEN_WITHIN_S, frame)

    def said(self) -> str:
        """What Ray says of the actor's end."""
        return self._why

    def leave(self) -> None:
        """Let the host end, and its actor with it."""
        with suppress(OSError):  # it is gone already
            self._asked("leave", _LEFT_WITHIN_S)
        with suppress(UserError), self._cluster.asked():
            self._cluster.api.kill(self._actor, no_restart=True)

    def close(self) -> None:
        """Nothing is left."""

    def _asked(self, method: str, within_s: float | None, *arguments: bytes) -> Any:
        ray = self._cluster.api
        if self._cluster.is_lost:
            raise OSError(self._why or "the Ray cluster is lost")
        try:
            return ray.get(getattr(self._actor, method).remote(*arguments), timeout=within_s)
        except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            self._why = self._why or sentence(error)
            raise OSError(self._why) from None


def sentence(error: Exception) -> str:
    """What Ray says of an actor's end, without what it guesses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    known = (line for cause in _CAUSES for line in lines if line.startswith(cause))
    return f"Ray says: {next(known, lines[0]).partition('. ')[0][:_SHOWN]}"
