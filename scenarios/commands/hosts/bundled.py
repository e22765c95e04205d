"""`foretell run DIR --on socket`: the run that bundles were made for, on the hosts that wait with them."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from broker.errors import UserError
from scenarios.commands.terminal import execute
from scenarios.document.loading import load_scenario
from scenarios.document.scenario import Scenario
from scenarios.running.fleet import LAUNCHER
from scenarios.running.hosts.bundle import DOCUMENT, HOSTS, KEYS, MANIFEST, open_bundle
from scenarios.running.housing import Housing
from scenarios.telemetry.wish import TelemetryWish


def run_bundled(folder: Path, out: Path | None, wish: TelemetryWish) -> None:
    """Run what bundles were made for.

    Args:
        folder: Of all bundles, or the launcher's alone.
        out: The run's folder, or None for the next free one.
        wish: What is told to others.

    Raises:
        ForetellError: The launcher's bundle is damaged, or the run could not run to its end.
    """
    scenario, housed = bundled(folder)
    execute("run", scenario, out, housed, wish)


def bundled(folder: Path) -> tuple[Scenario, Housing]:
    """What bundles were made for, and the hosts that wait with them.

    Args:
        folder: Of all bundles, or the launcher's alone.

    Raises:
        UserError: The launcher's bundle is damaged, or it is a host's.
    """
    if (folder / MANIFEST).exists() and (host := open_bundle(folder).manifest.host) != LAUNCHER:
        msg = f"{folder} is the bundle of {host}, which waits with it: "
        raise UserError(f"{msg}expected the folder of all bundles, or the launcher's")
    own = folder.absolute() if (folder / DOCUMENT).exists() else folder.absolute() / LAUNCHER
    bundle = open_bundle(own)
    bundle.require_whole()
    scenario = load_scenario(str(own / DOCUMENT))
    bundle.require(bundle.manifest.run, scenario.digest)
    try:
        housed = Housing.model_validate_json((own / HOSTS).read_bytes())
    except ValidationError as error:
        msg = f"cannot read the hosts in {own / HOSTS}: {error.errors()[0]['msg']}"
        raise UserError(msg) from None
    if (own / KEYS).is_dir():
        security = scenario.transport.security.model_copy(update={"keys": own / KEYS})
        transport = scenario.transport.model_copy(update={"security": security})
        scenario = scenario.model_copy(update={"transport": transport})
    return scenario, housed.model_copy(update={"bundle": own})
