"""What becomes of runs over four hosts whose links, processes and brokers fail; begins docs/results/hosts.md.

.venv/bin/python tools/hosts_campaign.py

The hosts are network namespaces of this machine on a bridge, with an SSH server in each: it needs root. Exits with 1
where a run is not what it has to be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenarios")]

from boards.boards_of_page import PAGE, tell_on_boards  # noqa: E402
from hosts.network import Network, network  # noqa: E402
from hosts.over_ssh import DOCUMENT, HOMES, OverSsh, digests  # noqa: E402
from runs import simulate_here, summary  # noqa: E402

from scenarios.results.reader import RunReader  # noqa: E402

HEAD = """# Runs over four hosts that fail

Made by `tools/hosts_campaign.py`: each row is one `foretell run exchange-quick --on ssh` of 60 episodes over four
network namespaces, the environment and three agents on a host each, with keys. "Equal" are the digests of the curve and
of the weights to those of `foretell simulate`; shares are those that agents heard of each other and those that were
missing when a round closed; each share that was sent is heard, late or lost, or else stands under "unaccounted".
The tool fails where a patient run has other digests or misses a share, where no share is missing though a link was cut
for longer than the patience, and where one is unaccounted for, in whatever run. Seconds are of a shared machine of two
cores, with other work on it.

| transport | what happens | digests | lives | shares heard | missing | unaccounted | gone | seconds |
|---|---|---|---|---|---|---|---|---|
"""
PATIENT = ("--set", "exchange.patience_s=60")
HASTY = ("--set", "exchange.patience_s=0.2")
SHARES = 6 * 3 * 60
"""Edges, rounds of an episode, episodes."""
DEGRADE = (*HASTY, "--set", "recovery.on_crash=degrade", "--set", "service.missing_action=noop")


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        what: Happens.
        act: Makes it happen.
        settings: Of the run.
        transports: Over which it is tried.
    """

    what: str
    act: Callable[[OverSsh], None]
    settings: tuple[str, ...] = PATIENT
    transports: tuple[str, ...] = ("zeromq",)


def nothing(_run: OverSsh) -> None:
    """Leave it alone."""


def cut_at_once(run: OverSsh) -> None:
    """Cut a link and mend it at once, before all have joined."""
    run.until_started()
    run.net.cut("pi1")
    run.net.mend("pi1")


def cut_while_joining(run: OverSsh) -> None:
    """Cut a link for five seconds, before all have joined."""
    run.until_started()
    _cut(run, 5.0)


def cut(run: OverSsh) -> None:
    """Cut a link for three seconds."""
    run.until_episode(10)
    _cut(run, 3.0)


def cut_often(run: OverSsh) -> None:
    """Cut a link for three seconds, five times."""
    for episode in range(5, 30, 5):
        run.until_episode(episode)
        _cut(run, 3.0)


def kill_node(run: OverSsh) -> None:
    """Kill the process of an agent."""
    run.until_episode(10)
    run.kill_node("pi2")


def kill_host(run: OverSsh) -> None:
    """Kill all that runs on a host; it is back at once."""
    run.until_episode(10)
    run.net.kill("pi1")
    run.net.serve("pi1")


def kill_launcher(run: OverSsh) -> None:
    """Kill the launcher, and resume."""
    run.until_episode(10)
    run.kill_launcher()
    run.resume()


def kill_forwarder(run: OverSsh) -> None:
    """Kill the forwarder."""
    run.until_episode(10)
    run.kill_broker(b"forwarder")


def kill_mosquitto(run: OverSsh) -> None:
    """Kill the MQTT broker."""
    run.until_episode(10)
    run.kill_broker(b"mosquitto")


EVERY = ("zeromq", "forwarder", "mqtt")
CASES = (
    Case("nothing", nothing, transports=EVERY),
    Case("a link is cut and mended at once, before all have joined", cut_at_once, transports=EVERY),
    Case("a link is cut for 5 s, before all have joined", cut_while_joining, transports=EVERY),
    Case("a link is cut for 3 s, the patience is 60 s", cut, transports=EVERY),
    Case("a link is cut for 3 s five times, the patience is 0.2 s", cut_often, HASTY),
    Case("an agent is killed", kill_node, transports=EVERY),
    Case("a host is killed, and back at once", kill_host),
    Case("the launcher is killed, and resumes", kill_launcher, transports=EVERY),
    Case("the forwarder is killed", kill_forwarder, transports=("forwarder",)),
    Case("the MQTT broker is killed", kill_mosquitto, transports=("mqtt",)),
    Case("an agent is killed, `recovery.on_crash` is degrade", kill_node, DEGRADE),
    Case("a host is killed, `recovery.on_crash` is degrade", kill_host, DEGRADE),
)


def _cut(run: OverSsh, for_s: float) -> None:
    run.net.cut("pi1")
    time.sleep(for_s)
    run.net.mend("pi1")


def row(case: Case, transport: str, net: Network, out: Path, expected: dict[str, object]) -> tuple[str, str]:
    """One line of the table, and what is wrong with the run."""
    began = time.monotonic()
    run = OverSsh(net, out, "--transport", transport, *case.settings)
    case.act(run)
    run.end()
    took_s = time.monotonic() - began
    found, lives = summary(run.out), run.ask(RunReader.lives, [])
    equal = digests(found) == expected
    gone = ", ".join(run.ask(RunReader.deaths, {}))
    heard, missing, left = found["shares_heard"], found["shares_missing"], sum(run.unaccounted().values())
    wrong = [
        *(["shares are unaccounted for"] if left else []),
        *(["digests differ"] if case.settings == PATIENT and not equal else []),
        *(["shares are missing"] if case.settings == PATIENT and missing else []),
        *(["no share is missing"] if case.settings != PATIENT and not missing else []),
        *(["shares are not in the table"] if case.settings != DEGRADE and heard + missing != SHARES else []),
        *(["no log of the environment came home"] if "\nenvironment@box " not in f"\n{run.logs()}" else []),
    ]
    same = "equal" if equal else "others"
    told = (transport, case.what, same, len(lives), heard, missing, left, gone, f"{took_s:.0f}")
    return f"| {' | '.join(map(str, told))} |", "; ".join(wrong)


def all_cases(root: Path) -> int:
    """Print a line for each case and transport; 1 where a run is wrong."""
    failed = 0
    with redirect_stdout(sys.stderr):
        expected = digests(simulate_here(root / "simulated", *DOCUMENT))
    with network(root, tuple(HOMES)) as net:
        for number, case in enumerate(CASES):
            for transport in case.transports:
                line, wrong = row(case, transport, net, root / f"{number}-{transport}", expected)
                print(line, flush=True)  # noqa: T201
                if wrong:
                    sys.stderr.write(f"{line}\n{wrong}\n")
                    failed = 1
    return failed


def main() -> int:
    """Print the page as it comes."""
    print(HEAD, end="", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory() as root:
        failed = all_cases(Path(root))
    with tempfile.TemporaryDirectory() as root:
        began = time.monotonic()
        lines = tell_on_boards(Path(root))
        print(TOLD.format(page=PAGE, lines=lines, took_s=time.monotonic() - began))  # noqa: T201
    return failed


TOLD = """
## {page} between two boards

Its {lines} lines behind the installation, executed as they stand but for fewer episodes, bundles without wheels, and
services whose commands are started without systemd, on two such hosts whose Python has what `requirements-node.lock`
names and nothing else ({took_s:.0f} s): the digests of curve, weights and ledger of both runs on the boards are those
of the simulation, and those of the evaluation there are those of the laptop's."""


if __name__ == "__main__":
    sys.exit(main())
