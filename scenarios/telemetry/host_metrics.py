"""The metrics of one host: what the participants that live there tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.addresses import Address
from scenarios.results.temporary import temporary_folder
from scenarios.telemetry.collector import Collector, socket_in
from scenarios.telemetry.endpoint import Endpoint, metrics_address
from scenarios.telemetry.samples import Samples


@contextmanager
def host_metrics(place: str, samples: Samples) -> Iterator[tuple[Path, Address]]:
    """A socket for participants to tell, and an endpoint that tells it on.

    Args:
        place: Where the endpoint shall listen, as `PORT` or `HOST:PORT`.
        samples: What it tells, and perhaps more than participants do.

    Yields:
        The socket, and where the endpoint listens.

    Raises:
        UserError: The address makes no sense, or is in use.
        ModuleNotFoundError: The extra is not installed.
    """
    address = metrics_address(place)
    with temporary_folder() as folder:
        counters = socket_in(folder)
        collector = Collector(counters, samples)
        try:
            endpoint = Endpoint(address, samples)
            try:
                yield counters, endpoint.address
            finally:
                endpoint.close()
        finally:
            collector.close()
