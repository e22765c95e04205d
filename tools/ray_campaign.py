"""Runs and studies on Ray clusters of this host, which are hit in all ways that end them.

    .venv/bin/python tools/ray_campaign.py > docs/results/ray.md

With names of cases, which are functions here, it does these alone.

Exits with 1 where a digest or a page differs from what a simulation, or a study on this host, gives; and ends with an
error where anything else is not so that the page says.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
sys.path += map(str, (ROOT, TESTS / "scenarios", TESTS, TESTS / "scenarios" / "running"))

from cluster.campaign import (  # noqa: E402
    RUN,
    STUDY,
    Campaign,
    ended,
    is_lost,
    nobody_is_left,
    until_episode,
    went_on_from,
)
from cluster.nodes_on_ray import see_claims  # noqa: E402
from cluster.started_nodes import actor_of  # noqa: E402
from pages.door import Door  # noqa: E402
from pages.page import blocks_of  # noqa: E402
from pages.story import tell_page  # noqa: E402
from runs import until  # noqa: E402

PAGE = "docs/cluster.md"
Case = Callable[[Campaign, Path], str]


def study_undisturbed(campaign: Campaign, out: Path) -> str:
    """Nothing happens."""
    ended(campaign.foretell(*STUDY, "--on", "ray", "--out", str(out)))
    return "a study of two cells"


def worker_of_a_study_killed(campaign: Campaign, out: Path) -> str:
    """Ray's process dies while a cell is run in it; Ray begins the cell anew."""
    study = campaign.foretell(*STUDY, "--on", "ray", "--out", str(out))
    os.kill(campaign.worker(), signal.SIGKILL)
    ended(study)
    return "the worker of a cell killed with -9"


def study_interrupted(campaign: Campaign, out: Path) -> str:
    """Ctrl-C in mid-cell, then the same command again."""
    study = campaign.foretell(*STUDY, "--on", "ray", "--jobs", "1", "--out", str(out))
    until(lambda: list((out / "runs").glob("*/summary.json")), "the first cell")
    campaign.worker()
    study.send_signal(signal.SIGINT)
    study.communicate()
    until(lambda: not campaign.cells_under_way(), "the end of the cells")
    ended(campaign.foretell(*STUDY, "--on", "ray", "--out", str(out)))
    return "Ctrl-C in the second cell, nobody left on the nodes; the same command again"


def undisturbed(campaign: Campaign, out: Path) -> str:
    """Nothing happens."""
    ended(campaign.begin(out))
    return "a driver in the cluster"


def through_the_client_server(campaign: Campaign, out: Path) -> str:
    """Ray's client, from outside the cluster."""
    ended(campaign.begin(out, "--on", campaign.cluster.client_server))
    return f"`--on {campaign.cluster.client_server}`"


def through_a_forwarder(campaign: Campaign, out: Path) -> str:
    """Another transport, with keys."""
    ended(campaign.begin(out, "--transport", "forwarder"))
    return "`--transport forwarder`, with keys"


def actors_killed(campaign: Campaign, out: Path) -> str:
    """An actor is killed again and again."""
    run = campaign.begin(out)
    for episode in (10, 40, 70, 100, 130):
        until_episode(out, episode, run)
        os.kill(actor_of(campaign.there / campaign.random.choice(("left", "right"))), signal.SIGKILL)
    told = ended(run).count(" is lost: Ray says: ")
    require(told > 0, "nobody was told of it")
    return f"5 actors killed with -9, of which Ray told in time {told} times"


def launcher_killed(campaign: Campaign, out: Path) -> str:
    """The launcher is killed, and the run resumed."""
    run = campaign.begin(out)
    until_episode(out, 40, run)
    run.kill()
    run.communicate()
    nobody_is_left(campaign)
    ended(campaign.foretell("resume", str(out)))
    return "the launcher killed with -9, nobody left on the nodes; `foretell resume`"


def node_killed(campaign: Campaign, out: Path) -> str:
    """A node is killed; its host moves."""
    run = campaign.begin(out)
    until_episode(out, 40, run)
    campaign.cluster.kill_node(campaign.cluster.others[0])
    hit = time.monotonic()
    until_episode(out, 60, run)
    back_s = time.monotonic() - hit
    ended(run)
    nobody_is_left(campaign)
    return f"a node killed with -9; 20 episodes on after {back_s:.0f} s, its host on another node"


def head_killed(campaign: Campaign, out: Path) -> str:
    """What leads the cluster is killed, and the run resumed in another cluster."""
    run = campaign.begin(out)
    until_episode(out, 40, run)
    campaign.cluster.behead()
    is_lost(campaign, run, out)
    campaign.another_cluster()
    ended(campaign.foretell("resume", str(out)))
    return "the head killed with -9, the launcher ends with a sentence; `foretell resume` in a second cluster"


def cluster_killed(campaign: Campaign, out: Path) -> str:
    """All nodes and all that runs there are killed; the run goes on in another cluster, from its checkpoints."""
    run = campaign.begin(out)
    until_episode(out, 40, run)
    campaign.cluster.kill()
    is_lost(campaign, run, out)
    campaign.another_cluster()
    ended(campaign.foretell("resume", str(out)))
    require(went_on_from(out) >= 40, "it did not go on from its checkpoints")
    return (
        "head and nodes killed with -9 at once; `foretell resume` in another cluster, where the folders of the hosts "
        f"are, goes on from episode {went_on_from(out)}"
    )


def cluster_replaced(campaign: Campaign, out: Path) -> str:
    """The same where nothing is left of the nodes but the run's folder, and the fleet names nodes that are gone."""
    cluster = campaign.cluster
    named = campaign.write_fleet("named.toml", cluster.others[0])
    run = campaign.begin(out, "--on", cluster.client_server, "--hosts", str(named))
    until_episode(out, 40, run)
    cluster.kill()
    is_lost(campaign, run, out)
    shutil.rmtree(campaign.there)
    campaign.another_cluster()
    ended(campaign.foretell("resume", str(out)), 2)
    now = campaign.write_fleet("now.toml", campaign.cluster.others[0])
    ended(campaign.foretell("resume", str(out), "--on", "ray", "--hosts", str(now)))
    require(went_on_from(out) == 0, "it went on from checkpoints that are gone")
    return (
        "the same of a run on `ray://HOST:PORT`, and the folders of the hosts are gone with them; `foretell resume "
        "--on ray --hosts FILE` with the nodes of another cluster goes on from the beginning"
    )


STUDIES: tuple[Case, ...] = (study_undisturbed, worker_of_a_study_killed, study_interrupted)
RUNS: tuple[Case, ...] = (
    *(undisturbed, through_the_client_server, through_a_forwarder),
    *(actors_killed, launcher_killed, node_killed),
    *(head_killed, cluster_killed, cluster_replaced),
)


def what_else_holds(campaign: Campaign) -> Iterator[str]:
    """A sentence for each of what is not compared with anything."""
    for folder in ("nodes", "told"):
        (campaign.root / folder).mkdir()
    with pytest.MonkeyPatch.context() as patch, Door() as door:
        for name, value in campaign.cluster.environment.items():
            patch.setenv(name, value)
        claims = see_claims(campaign.root / "nodes")
        yield f"Two actors do what all nodes do: {claims} claims of `tests/scenarios/running/test_nodes.py`."
        tell_page(PAGE, door, campaign.root / "told", patch)
        yield f"Every line of [{PAGE}](../cluster.md) does what it says; its runs have the digests of a simulation."
    see_lines_for_ray()
    yield "Ray's own parser takes the lines that begin a cluster."
    fleet = campaign.write_fleet("elsewhere.toml", "10.9.9.9")
    said = ended(campaign.foretell("doctor", *RUN[:1], "--on", "ray", "--hosts", str(fleet)), 2)
    require("host right: expected `node` = '10.9.9.9', an address or a resource of a node of the Ray" in said, said)
    yield f"`foretell doctor` where a node is not there says: {said}"


def see_lines_for_ray() -> None:
    """Let Ray read the lines of the page that begin a cluster."""
    from ray.scripts.scripts import start  # noqa: PLC0415 - it takes long

    beginning = next(block for block in blocks_of(ROOT / PAGE) if "ray start" in block.text)
    for line in beginning.lines:
        start.make_context("ray start", shlex.split(line, comments=True)[2:])


def require(holds: bool, otherwise: str) -> None:
    """End the campaign where something does not hold.

    Raises:
        RuntimeError: It does not.
    """
    if not holds:
        raise RuntimeError(otherwise)


def digests(out: Path) -> dict[str, Any]:
    """Of a run."""
    summed = json.loads((out / "summary.json").read_text())
    return {name: summed[name] for name in ("curve_digest", "weights_digest")}


def pages(out: Path) -> list[bytes]:
    """Of a study."""
    return [(out / name).read_bytes() for name in ("fig1.md", "fig1.json", "fig1.png")]


@contextmanager
def campaign_on_clusters() -> Iterator[Campaign]:
    """A cluster at first, and others later; cleared away afterwards."""
    root = Path(tempfile.mkdtemp(prefix="ft"))
    campaign = Campaign(root)
    try:
        yield campaign
    finally:
        campaign.cluster.kill()
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Do all cases, and print the page."""
    rows, well = [], True
    with campaign_on_clusters() as campaign:
        ended(campaign.foretell("simulate", *RUN, "--out", str(campaign.root / "simulated")))
        ended(campaign.foretell(*STUDY, "--out", str(campaign.root / "studied")))
        wanted = sys.argv[1:] or [case.__name__ for case in (what_else_holds, *STUDIES, *RUNS)]
        else_holds = [f"- {each}" for each in what_else_holds(campaign)] if what_else_holds.__name__ in wanted else []
        for cases, found_of, name in ((STUDIES, pages, "studied"), (RUNS, digests, "simulated")):
            for case in (case for case in cases if case.__name__ in wanted):
                began = time.monotonic()
                out = campaign.root / case.__name__
                said = case(campaign, out)
                same = found_of(out) == found_of(campaign.root / name)
                well = well and same
                rows.append(f"| {said} | {'the same' if same else 'OTHERS'} | {time.monotonic() - began:.0f} |")
                sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write("\n".join([HEAD, *rows, "", "On the first cluster besides:", "", *else_holds, ""]))
    return 0 if well else 1


HEAD = """# Ray: `.venv/bin/python tools/ray_campaign.py`

A cluster of three nodes on one host, started with `ray start`, and where it is killed whole others of two nodes, with
other addresses and ports. Runs are `exchange-quick` with small networks, 150 episodes and a checkpoint every five, on
two hosts; digests are compared with those of `foretell simulate`. Studies are two cells of Figure 1, 150 episodes each;
page, numbers and picture are compared byte for byte with those of the same study on this host. The machine has two
cores and did other work.

| what was done | digests, or files | seconds |
|---|---|---|"""


if __name__ == "__main__":
    sys.exit(main())
