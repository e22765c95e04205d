"""What a run over four hosts sends, by its store and by the kernel's counters; prints a part of docs/results/hosts.md.

.venv/bin/python tools/hosts_traffic.py

The hosts are network namespaces of this machine on a bridge, with an SSH server in each: it needs root. The launcher is
stopped when all episodes are recorded, so that nobody leaves before the counters of connections (`ss -i`) are read;
those of the interfaces (`ip -s link`) are read before and after the run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenarios")]

from hosts.network import LAUNCHER, Network, network  # noqa: E402
from hosts.over_ssh import HOMES, OverSsh  # noqa: E402
from runs import until  # noqa: E402

from broker.wire.messages import ENVIRONMENT, OBSERVER  # noqa: E402
from broker.wire.records import EdgeRecord  # noqa: E402
from scenarios.results.folder import RunFolder  # noqa: E402
from scenarios.results.reader import read_store  # noqa: E402

_SSH, _BASE, _EPISODES = 22, 17_700, 60
_SETTINGS = ("--set", "exchange.patience_s=60", "--set", f"transport.zeromq.base_port={_BASE}")
_PORT = re.compile(r"[\d.]+:(\d+)\b")
_SENT = re.compile(r"bytes_sent:(\d+)")
_PARTICIPANTS = (ENVIRONMENT, "agent-0", "agent-1", "agent-2", OBSERVER)
_PLACES = dict(zip((*HOMES, LAUNCHER), _PARTICIPANTS, strict=True))


@dataclass
class Seen:
    """What the kernel has counted so far.

    Attributes:
        edges: Bytes that were sent in the connection of a directed edge, by source and destination.
        ssh_bytes: Bytes that a place has sent in connections of `ssh`.
        processor_s: What the processes of a place have computed.
    """

    edges: dict[tuple[str, str], int] = field(default_factory=dict)
    ssh_bytes: dict[str, int] = field(default_factory=dict)
    processor_s: dict[str, float] = field(default_factory=dict)


def settled(net: Network) -> Seen:
    """The counters, once nothing is sent any more."""
    looks: list[Seen] = []

    def nothing_new() -> bool:
        looks.append(look(net))
        return len(looks) > 1 and looks[-1].edges == looks[-2].edges

    until(nothing_new, "the end of what is under way")
    return looks[-1]


def look(net: Network) -> Seen:
    """Read the kernel's counters of all places."""
    seen = Seen()
    for place, participant in _PLACES.items():
        words = ["ip", "netns", "exec", net.namespace(place), "ss", "-tinHO"]
        for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
            own, other = (int(port) for port in _PORT.findall(line)[:2])
            sent = _SENT.search(line)
            count = int(sent[1]) if sent is not None else 0
            if _SSH in (own, other):
                seen.ssh_bytes[place] = seen.ssh_bytes.get(place, 0) + count
            elif 0 <= other - _BASE < len(_PARTICIPANTS):
                seen.edges[participant, _PARTICIPANTS[other - _BASE]] = count
        seen.processor_s[place] = sum(map(_processor_s, net.processes(place)))
    return seen


def _processor_s(process: int) -> float:
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # with those of children that have ended
    return 0.0


def interfaces(net: Network) -> dict[str, tuple[int, int]]:
    """Packets and bytes that each host has sent and received, by `ip -s link`."""
    found = {}
    for host in HOMES:
        words = ["ip", "-n", net.namespace(host), "-s", "-j", "link", "show", "eth0"]
        (link,) = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        ways = [link["stats64"][way] for way in ("tx", "rx")]
        found[host] = (sum(way["packets"] for way in ways), sum(way["bytes"] for way in ways))
    return found


def rows(root: Path) -> Iterator[str]:
    """The tables."""
    with network(root, tuple(HOMES)) as net:
        before = interfaces(net)
        run = OverSsh(net, root / "run", *_SETTINGS)
        run.until_episode(_EPISODES - 1)
        run.process.send_signal(signal.SIGSTOP)
        seen = settled(net)
        run.process.send_signal(signal.SIGCONT)
        run.end()
        after = interfaces(net)
    with read_store(RunFolder(run.out).store) as store:
        edges = store.edges()
    yield from by_edge(edges, seen)
    yield ""
    yield from by_host(before, after, edges, seen)
    yield ""
    yield launcher(edges, seen)


def by_edge(edges: list[EdgeRecord], seen: Seen) -> Iterator[str]:
    """A row for each directed edge."""
    yield "| from | to | messages | bytes by the store | bytes in its connection |\n|---|---|---|---|---|"
    for edge in edges:
        counted = seen.edges.get((edge.source, edge.destination), 0)
        told = f"{edge.sent:,} | {edge.sent_bytes:,} | {counted:,}"
        yield f"| {_shown(edge.source)} | {_shown(edge.destination)} | {told} |"
    sent, sent_bytes = sum(each.sent for each in edges), sum(each.sent_bytes for each in edges)
    yield f"| **all** | | {sent:,} | {sent_bytes:,} | {sum(seen.edges.values()):,} |"


def by_host(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], edges: list[EdgeRecord], seen: Seen
) -> Iterator[str]:
    """A row for each host: what its interface counted, and what of that is explained."""
    yield "| host | packets | bytes by `ip -s link` | of its edges, by the store | in their connections | by `ssh` |"
    yield "|---|---|---|---|---|---|"
    for host in HOMES:
        name = _PLACES[host]
        packets, counted = (now - then for now, then in zip(after[host], before[host], strict=True))
        own = sum(each.sent_bytes for each in edges if name in (each.source, each.destination))
        carried = sum(count for edge, count in seen.edges.items() if name in edge)
        ssh = seen.ssh_bytes[host]
        yield f"| {host}: {name} | {packets:,} | {counted:,} | {own:,} | {carried:,} | {ssh:,} |"


def launcher(edges: list[EdgeRecord], seen: Seen) -> str:
    """What the launcher computes and hears, as a share of all."""
    own, everything = seen.processor_s[LAUNCHER], sum(seen.processor_s.values())
    told = sum(each.sent_bytes for each in edges if OBSERVER in (each.source, each.destination))
    sent = sum(each.sent_bytes for each in edges)
    ssh = sum(seen.ssh_bytes.values())
    return (
        f"The launcher, with its `ssh`, computed {own:.1f} s of {everything:.1f} s of processor time "
        f"({own / everything:.0%}); {told:,} of {sent:,} bytes of messages were to it or from it ({told / sent:.1%}), "
        f"and {ssh:,} bytes went through `ssh`."
    )


def _shown(name: str) -> str:
    return "launcher" if name == OBSERVER else name


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as root:
        for row in rows(Path(root)):
            sys.stdout.write(f"{row}\n")


if __name__ == "__main__":
    main()
