"""What `--on` may say."""

from __future__ import annotations

import click


def carrier(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    """How hosts are reached, if it can be meant."""
    from scenarios.running.housing import CARRIERS, is_carrier  # noqa: PLC0415 - pydantic takes long

    if given is not None and not is_carrier(given):
        raise click.BadParameter(f"expected {CARRIERS}, found {given!r}")
    return given


def cluster(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    """Where whole runs are done, if it can be meant."""
    from scenarios.running.housing import CLUSTERS, RAY, is_carrier  # noqa: PLC0415 - see above

    if given is not None and not (given.startswith(RAY) and is_carrier(given)):
        raise click.BadParameter(f"expected {CLUSTERS}, found {given!r}")
    return given
