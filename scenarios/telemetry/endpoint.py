"""Metrics for Prometheus, over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from broker.addresses import Address, parse_address
from broker.errors import UserError
from scenarios.telemetry.bounded_server import BoundedServer
from scenarios.telemetry.metrics import ALL
from scenarios.telemetry.samples import Samples

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

_LOOPBACK = "127.0.0.1"
_SCHEME = "http"


def metrics_address(text: str) -> Address:
    """Where an endpoint shall listen, as the command line says it; see `parse_metrics_address`.

    Raises:
        UserError: It makes no sense.
    """
    try:
        return parse_metrics_address(text)
    except ValueError as error:
        msg = f"--metrics: {error}"
        raise UserError(msg) from None


def parse_metrics_address(text: str) -> Address:
    """Where an endpoint shall listen, from `PORT`, on loopback, or `HOST:PORT`; port 0 is any that is free.

    Raises:
        ValueError: It makes no sense.
    """
    place = f"{_LOOPBACK}:{text}" if text.isdecimal() else text
    try:
        return parse_address(f"{_SCHEME}://{place}", _SCHEME, least_port=0)
    except ValueError:
        msg = f"expected PORT or HOST:PORT, such as 9464 or 0.0.0.0:9464, found {text!r}"
        raise ValueError(msg) from None


class Endpoint:
    """A server of metrics, in threads of its own: who asks, waits; nobody else does, and strangers cannot fill it.

    Attributes:
        address: Where it listens.

    Args:
        address: Where it shall listen.
        samples: What it tells.

    Raises:
        UserError: The address is in use, or not of this host.
        ModuleNotFoundError: The extra is not installed.
    """

    def __init__(self, address: Address, samples: Samples) -> None:
        from prometheus_client import CollectorRegistry, make_wsgi_app  # noqa: PLC0415 - an extra

        registry = CollectorRegistry()
        registry.register(_Families(samples))
        try:
            self._server = BoundedServer(address, make_wsgi_app(registry))
        except OSError as error:
            msg = f"cannot serve metrics at {address}: {error.strerror or error}. Choose another address"
            raise UserError(msg) from None
        self.address = replace(address, port=self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Families:
    """What the client of Prometheus asks."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def describe(self) -> list[Family]:
        """Nothing is asked before there is something."""
        return []

    def collect(self) -> Iterator[Family]:
        """All that is known now."""
        from prometheus_client.core import (  # noqa: PLC0415 - an extra
            CounterMetricFamily,
            GaugeMetricFamily,
            SummaryMetricFamily,
        )

        values, counts = self._samples.read()
        for metric in ALL:
            found = values.get(metric, {})
            if metric.kind == "summary":
                summary = SummaryMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in found.items():
                    summary.add_metric(labels, counts[metric][labels], value)
                yield summary
                continue
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            for labels, value in found.items():
                family.add_metric(labels, value)
            yield family
