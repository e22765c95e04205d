"""`foretell bundle`: the folders that hosts are given before a run."""

from __future__ import annotations

from pathlib import Path

from scenarios.commands.planned import planned
from scenarios.commands.screen import say
from scenarios.document.scenario import Scenario
from scenarios.running.bundles.making import make_bundles
from scenarios.running.fleet import LAUNCHER, load_fleet


def bundle(scenario: Scenario, hosts: Path, out: Path) -> None:
    """Make the bundles of a run, and say what to do with them.

    Raises:
        ForetellError: The document of the hosts makes no sense, or bundles cannot be made.
    """
    plan, fleet = planned(scenario), load_fleet(hosts)
    run = make_bundles(plan, fleet, out)
    say(f"bundles of {run}: {out}/")
    width = max(map(len, (*fleet.hosts, LAUNCHER)))
    for name, host in fleet.hosts.items():
        say(f"  {name:{width}}  copy it there, and start it by its README.md: {', '.join(host.participants)}")
    say(f"  {LAUNCHER:{width}}  stays here: foretell run {out} --on socket")
