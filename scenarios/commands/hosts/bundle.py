"""`foretell bundle`: the folders that hosts are given before a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scenarios.commands.planned import planned
from scenarios.commands.screen import say
from scenarios.document.scenario import Scenario
from scenarios.results.temporary import temporary_folder
from scenarios.running.bundles.compose import COMPOSE, compose
from scenarios.running.bundles.containers import BundleSet, Document, Files, as_file
from scenarios.running.bundles.kubernetes import KUBERNETES, kubernetes
from scenarios.running.bundles.making import make_bundles
from scenarios.running.bundles.wheel_house import build_wheels
from scenarios.running.bundles.wheels import boards_of
from scenarios.running.fleet import LAUNCHER, load_fleet

_BUILD = "build"
_STARTS = {"compose": "podman compose -f {place} up", "k8s": "kubectl apply -f {place}"}
FORMATS: dict[str, tuple[str, Callable[[BundleSet], Document]]] = {
    "compose": (COMPOSE, compose),
    "k8s": (KUBERNETES, kubernetes),
}
"""What starts all hosts as containers: the name of the file, and what makes it."""


def bundle(
    scenario: Scenario, hosts: Path, out: Path, *, wheels: str | None, format_: str | None, image: str | None
) -> None:
    """Make the bundles of a run, and say what to do with them.

    Args:
        scenario: The document.
        hosts: The document of the hosts.
        out: A new folder for the bundles.
        wheels: A folder of wheels, or `build`; None: hosts install Foretell from an index.
        format_: One of `FORMATS`; None: hosts are no containers.
        image: What the containers are made from.

    Raises:
        ForetellError: The document of the hosts makes no sense, or bundles cannot be made.
    """
    plan, fleet = planned(scenario), load_fleet(hosts)

    def also(run: str, bundles: Mapping[str, Files]) -> Files:
        if format_ is None or image is None:
            return {}
        name, made = FORMATS[format_]
        return {name: as_file(made(BundleSet(run, fleet, bundles, image)))}

    with temporary_folder() as built:
        if wheels == _BUILD:
            build_wheels(boards_of(fleet.hosts.values()), built)
        found = built if wheels == _BUILD else None if wheels is None else Path(wheels)
        run = make_bundles(plan, fleet, out, wheels=found, also=also)
    say(f"bundles of {run}: {out}/")
    if format_ is not None:
        say(f"  start all, and the run with them: {_STARTS[format_].format(place=out / FORMATS[format_][0])}")
        return
    width = max(map(len, (*fleet.hosts, LAUNCHER)))
    for name, host in fleet.hosts.items():
        say(f"  {name:{width}}  copy it there, and start it by its README.md: {', '.join(host.participants)}")
    say(f"  {LAUNCHER:{width}}  stays here: foretell run {out} --on socket")
