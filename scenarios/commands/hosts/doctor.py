"""`foretell doctor`: whether the hosts of a run are ready for it, a line for each check."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from broker.counting import counted
from broker.errors import ForetellError
from scenarios.commands.asked_file import write_where_asked
from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.planned import planned
from scenarios.commands.screen import say
from scenarios.document.plan import Plan
from scenarios.document.recovery_config import RecoveryConfig
from scenarios.document.scenario import Scenario
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import run
from scenarios.running.fleet import load_fleet
from scenarios.running.hosts.health.doctor import Check, look_over
from scenarios.running.hosts.health.profile import fleet_profile
from scenarios.running.housing import Housing, housing
from scenarios.running.ways import hosts_of, way_over

_EVERYBODY = "all"


def doctor(scenario: Scenario, hosts: tuple[str, Path] | Housing, profile: Path | None) -> None:
    """Look all hosts over and, if they are well, let everybody join and play an episode.

    Args:
        scenario: What is to run.
        hosts: How hosts are reached, and they or the document that names them.
        profile: Where to write how long agents compute there; None: nowhere.

    Raises:
        ForetellError: The hosts make no sense for the scenario, or the profile cannot be made or written.
    """
    plan = planned(scenario)
    housed = housing(hosts[0], load_fleet(hosts[1]), plan.participants) if isinstance(hosts, tuple) else hosts
    with temporary_folder() as root:
        folder = make_run_folder(Path(root) / "doctor", scenario.name, scenario.seed)
        with hosts_of(housed) as reached:
            checks = look_over(reached.fleet, plan, folder, reached.dial, held=reached.held)
        for check in checks:
            _tell(check)
        if all(check.well for check in checks):
            joined = _of_those_that_only_act(housed) or _joined(plan, housed, Path(root) / "run")
            _tell(joined)
            checks.append(joined)
        if profile is not None and all(check.well for check in checks):
            with hosts_of(housed) as reached:
                _write(fleet_profile(reached.fleet, plan, folder, reached.dial, held=reached.held), profile)
    if not all(check.well for check in checks):
        sys.exit(ExitCode.WRONG)


def _of_those_that_only_act(housed: Housing) -> Check | None:
    """That they join nothing but an evaluation; None where there are none."""
    acting = [name for name, host in housed.fleet.hosts.items() if host.act]
    if not acting:
        return None
    said = f"not tried: agents on {', '.join(acting)} only act, in `foretell evaluate --on {housed.carrier}`"
    return Check(_EVERYBODY, "edges", True, said)


def _joined(plan: Plan, housed: Housing, root: Path) -> Check:
    """Whether everybody hears everybody: by a run of one episode, which finds firewalls and wrong keys too."""
    once = {"episodes": 1, "evaluation": None, "recovery": RecoveryConfig(on_crash="fail")}
    one = replace(plan, scenario=plan.scenario.model_copy(update=once))
    folder = make_run_folder(root, plan.scenario.name, plan.scenario.seed)
    observer = Observer(one, folder, "run", lambda _: None)
    try:
        run(one, folder, observer, way_over(housed), lambda: False)
    except ForetellError as error:
        return Check(_EVERYBODY, "edges", False, str(error))
    finally:
        observer.finish()
    return Check(
        _EVERYBODY, "edges", True, f"HELLO over {counted(len(plan.graph.edges), 'edge')}, and one episode played"
    )


def _write(text: str, path: Path) -> None:
    write_where_asked(path, text.encode())
    say(f"profile       {path}")


def _tell(check: Check) -> None:
    say(f"{'ok  ' if check.well else 'FAIL'}  {check.host:12}  {check.what:8}  {check.said}")
