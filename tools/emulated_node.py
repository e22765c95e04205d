"""Installs a node on an emulated aarch64 machine from its bundle alone, and lets it learn and act in a team.

    python tools/emulated_node.py [--folder FOLDER]

It takes the Python that tools/emulated.py unpacks, makes a bundle for it with `foretell bundle --wheels build`, and
does there what the README of the bundle says, without any network: the emulated pip installs from the wheels in the
bundle, and the emulated `foretell host` looks at the digests of all files and waits for its launcher. It looks that
machine over as `foretell doctor` does before everybody joins. Then the agents of exchange-quick are processes of that
machine, by `python -m agent_node` and then by `python -m agent_node.acting`, and the environment is one of this: over
real sockets, with the launcher of `foretell run`. It prints three tables for docs/results/boards.md, and ends with 1
where something is wrong there, or digests are not those of a simulation here.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from emulated import Machine, require_tools
from packages import ROOT, pip

from broker.wire.messages import ENVIRONMENT
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.play.evaluate import EvaluationWish, scenario_of
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.summary import Summary
from scenarios.running.bundles.wheels import WHEELS
from scenarios.running.control.run import run
from scenarios.running.fleet import Fleet, HostConfig, Place
from scenarios.running.hosts.health.doctor import look_over
from scenarios.running.hosts.piped import Piped
from scenarios.running.launched.launch import launched
from scenarios.running.nodes import NodeEnd
from scenarios.running.processes.forked_nodes import ForkedNodes
from scenarios.running.processes.program_nodes import ProgramNodes
from scenarios.running.processes.this_host import ThisHost
from scenarios.running.substrate import Way
from scenarios.running.ways import way_called

_EPISODES, _PORT, _HOST = 5, 17650, "board"
_FLEET = """
[launcher]
dial = "127.0.0.1"

[board]
dial = "127.0.0.1"
control = "tcp://127.0.0.1:17660"
participants = ["*"]
machine = "aarch64"
python_version = "{python}"
"""
_NO_NETWORK = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
"""Words before a command that shall have nothing but its own loopback."""
_SLOW = {"joining.give_up_s": 600.0, "exchange.patience_s": 600.0, "service.action_patience_s": 600.0}
_SLOW |= {"service.ready_patience_s": 600.0, "service.give_up_s": 3600.0, "recovery.hung_after_s": 3600.0}
_DIGESTS = ("curve_digest", "weights_digest", "ledger_digest")


class Board(Machine):
    """An emulated machine with what a node needs and no more."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.site = folder / "node"
        self._set, self._installer = folder / "bundles", folder / "installer"
        self.bundle = self._set / _HOST

    def bring(self) -> None:
        """Bring Python, the bundle, and a pip, which this Python lacks and any Raspberry Pi has."""
        self.unpack_python()
        for place in (self._set, self._installer, self.site):
            shutil.rmtree(place, ignore_errors=True)
        hosts = self._installer / "hosts.toml"
        self._installer.mkdir()
        hosts.write_text(_FLEET.format(python=self.python()), encoding="utf-8")
        words = ["bundle", "exchange-quick", "--hosts", str(hosts), "--out", str(self._set), "--wheels", "build"]
        if subprocess.run([sys.executable, "-m", "scenarios", *words], cwd=ROOT, check=False).returncode:
            sys.exit("the bundle could not be made")
        pip("download", "-q", "--no-deps", "-d", str(self._installer), "pip")

    def install(self) -> str:
        """Do what the README of the bundle says first; what Foretell says of itself then."""
        (installer,) = self._installer.glob("pip-*.whl")
        first, _ = self._readme()
        words = [f"{installer}/pip", *first[first.index("install") :], "-q", "--no-compile", "--target", str(self.site)]
        if subprocess.run([*_NO_NETWORK, *self._told, *words], cwd=self.bundle, check=False).returncode:
            sys.exit(f"the emulated pip could not install from {self.bundle}")
        return self.run("-P", "-m", "scenarios.commands.main", "--version").stdout.strip()

    def wait(self) -> str:
        """Do what it says second, until it waits for a launcher; its first line."""
        _, second = self._readme()
        words = [*_NO_NETWORK, *self._told, *second[1:]]
        with subprocess.Popen(words, cwd=self.bundle, stdout=subprocess.PIPE, text=True) as host:
            assert host.stdout is not None  # noqa: S101 - it is a pipe
            said = host.stdout.readline().strip()
            host.terminate()
        return said

    def _readme(self) -> tuple[list[str], list[str]]:
        """The words of its two commands; both begin with the Python there."""
        block = (self.bundle / "README.md").read_text(encoding="utf-8").split("```\n")[1]
        first, second = map(shlex.split, block.splitlines())
        return first, second

    @property
    def _told(self) -> list[str]:
        """What starts its Python with the packages that it has."""
        return ["env", *(f"{variable}={value}" for variable, value in self.paths.items()), *self.command]

    def module(self, name: str, *words: str) -> list[str]:
        """The command line of a module on it, such as a node whose slice lies in a file."""
        return [*self._told, "-P", "-m", name, *words]


class TwoMachines:
    """Agents on a board, the environment here; see `scenarios.running.nodes.Nodes`."""

    def __init__(self, folder: RunFolder, board: Board, module: str) -> None:
        self._agents = ProgramNodes(folder, lambda place: board.module(module, str(place)))
        self._here = ForkedNodes(folder, None)

    def start(self, name: str, slice_json: str) -> None:
        """Start the process of a participant."""
        self._home(name).start(name, slice_json)

    def stop(self, name: str) -> int | None:
        """Let a process do nothing."""
        return self._home(name).stop(name)

    def go_on(self, name: str) -> None:
        """Let it go on."""
        self._home(name).go_on(name)

    def kill(self, names: Collection[str]) -> dict[str, int]:
        """Kill processes at once."""
        return self._agents.kill(names) | self._here.kill(names)

    def ended(self) -> Mapping[str, NodeEnd]:
        """Those that have ended."""
        return {**self._agents.ended(), **self._here.ended()}

    def end(self) -> None:
        """End whoever still runs."""
        self._agents.end()
        self._here.end()

    def _home(self, name: str) -> ProgramNodes | ForkedNodes:
        return self._here if name == ENVIRONMENT else self._agents


def main() -> int:
    """Install the node, let it learn and act, and print the rows."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(tempfile.gettempdir()) / f"foretell-arm64-{os.getuid()}"
    options.add_argument("--folder", type=Path, default=default, help="Where the emulated machine lies.")
    chosen = options.parse_args()
    require_tools()
    began_at = time.monotonic()
    board = Board(chosen.folder)
    board.bring()
    sys.stderr.write(f"brought in {time.monotonic() - began_at:.0f} s\n")
    wrong = _installed(board) | _look_over(board)
    _say("| agents on emulated aarch64 | equal to a simulation on this machine | seconds |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="foretell-board-") as place:
        root = Path(place)
        learning = load_scenario("exchange-quick", {"episodes": _EPISODES} | _SLOW)
        wrong |= _compare("`python -m agent_node`, learning", learning, root / "learning", board, "agent_node")
        acting = scenario_of(EvaluationWish(root / "learning" / "here", _EPISODES, settings=_SLOW))
        wrong |= _compare("`python -m agent_node.acting`", acting, root / "acting", board, "agent_node.acting")
    return int(wrong)


def _installed(board: Board) -> bool:
    """Print what the commands of the bundle say; whether anything is wrong."""
    wheels = sorted((board.bundle / WHEELS).iterdir())
    size_mb = sum(wheel.stat().st_size for wheel in wheels) / 1e6
    _say("| done in the bundle, without any network | said | seconds |\n|---|---|---|")
    began_at = time.monotonic()
    said = board.install()
    took_s = time.monotonic() - began_at
    _say(f"| `pip install --no-index`, from its {len(wheels)} wheels of {size_mb:.0f} MB | {said} | {took_s:.0f} |")
    began_at = time.monotonic()
    waits = board.wait()
    _say(f"| `foretell host .` | {waits} | {time.monotonic() - began_at:.0f} |")
    return "kernels neon" not in said or "waits for its launcher" not in waits


def _look_over(board: Board) -> bool:
    """Print what `foretell doctor` says of it; whether anything is wrong."""
    with tempfile.TemporaryDirectory(prefix="foretell-doctor-") as place:
        host = HostConfig(dial="127.0.0.1", participants=("*",), folder=f"{place}/there")
        fleet = Fleet(launcher=Place(dial="127.0.0.1"), hosts={"board": host})
        folder = make_run_folder(Path(place) / "here", "doctor", 1)
        plan = make_plan(load_scenario("exchange-quick", {"transport.zeromq.base_port": _PORT}))

        def dial(_name: str, host: HostConfig, log: Path) -> Piped:
            return Piped(board.module("scenarios", "host", "--stdio", "--folder", host.folder), log, lambda said: said)

        checks = look_over(fleet, plan, folder, dial, held=None)
    _say("| looked at | well | found on emulated aarch64 |\n|---|---|---|")
    for check in checks:
        _say(f"| {check.what} | {'yes' if check.well else 'no'} | {check.said} |")
    return not all(check.well for check in checks)


def _compare(what: str, scenario: Scenario, root: Path, board: Board, module: str) -> bool:
    """Play a scenario here and there, and print a row; whether the digests part."""

    @contextmanager
    def site(plan: Plan, folder: RunFolder, observer: Observer) -> Iterator[ThisHost]:  # noqa: ARG001
        yield ThisHost(plan, folder, TwoMachines(folder, board, module))

    here = _played(scenario, root / "here", "simulate", way_called("simulate"))
    began_at = time.monotonic()
    there = _played(scenario, root / "there", "run", launched(site))
    parted = [name for name in _DIGESTS if getattr(here, name) != getattr(there, name)]
    said = f"all but {', '.join(parted)}" if parted else f"all digests, {there.episodes} episodes"
    _say(f"| {what} | {said} | {time.monotonic() - began_at:.0f} |")
    return bool(parted)


def _played(scenario: Scenario, root: Path, name: str, way: Way) -> Summary:
    plan, folder = make_plan(scenario), make_run_folder(root, scenario.name, scenario.seed)
    observer = Observer(plan, folder, name, lambda _: None)
    try:
        run(plan, folder, observer, way, lambda: False)
    finally:
        summary = observer.finish()
    return summary


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
