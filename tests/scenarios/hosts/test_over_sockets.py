"""A run over hosts that wait with their bundles, and whom such a host turns away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts.waiting_hosts import WaitingHost, fleet
from limits import LIMIT_S
from ports import free_ports
from runs import TINY, Started, foretell, simulate_here, start, summary, until

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store

pytestmark = [pytest.mark.processes, pytest.mark.long]

HOMES = {"box": ["environment", "agent-2"], "pi1": ["agent-0", "agent-1"]}
ARGUMENTS = ("exchange-quick", *TINY, "--set", "recovery.checkpoint_every=5", "--episodes", "60")
DIGESTS = ("curve_digest", "weights_digest")


def bundles(root: Path, out: str = "bundles") -> Path:
    """Bundles of one set; two sets of a root are for the same hosts."""
    document = root / "hosts.toml"
    if not document.exists():
        document.write_text(fleet(HOMES))
        (root / "port").write_text(f"{free_ports(5)}")
    settings = ("--set", f"transport.zeromq.base_port={(root / 'port').read_text()}")
    made = foretell(
        *("bundle", *ARGUMENTS, *settings, "--set", "transport.security.mode=on"),
        *("--hosts", str(document), "--out", str(root / out)),
    )
    assert made.returncode == 0, made
    assert f"foretell run {root / out} --on socket" in made.stdout
    return root / out


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sockets")


@pytest.fixture(scope="module")
def made(root: Path) -> Path:
    return bundles(root)


@pytest.fixture
def hosts(made: Path) -> Iterator[dict[str, WaitingHost]]:
    found = {name: WaitingHost(made / name) for name in HOMES}
    yield found
    for each in found.values():
        each.close()


def until_episode(out: Path, number: int, lives: int = 1) -> None:
    def played() -> bool:
        try:
            with read_store(RunFolder(out).store) as store:
                return store.count_episodes() > number and len(store.lives()) >= lives
        except UserError:
            return False  # it has hardly begun

    until(played, f"episode {number} in life {lives}")


def ended(process: Started, out: Path) -> dict[str, object]:
    said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, said
    return {name: summary(out)[name] for name in DIGESTS}


def test_hosts_that_wait_decide_what_a_simulation_decides_whatever_is_killed(made, hosts, tmp_path):
    simulated = simulate_here(tmp_path / "simulated", *ARGUMENTS)
    out = tmp_path / "run"
    with start("run", str(made), "--on", "socket", "--out", str(out)) as process:
        until_episode(out, 3)
        hosts["pi1"].kill()
        hosts["pi1"] = WaitingHost(made / "pi1")
        until_episode(out, 8, lives=2)
        process.kill()
        process.communicate()
    hosts["box"].until_said("the launcher is gone")
    with start("resume", str(out)) as process:
        assert ended(process, out) == {name: simulated[name] for name in DIGESTS}
    with read_store(RunFolder(out).store) as store:
        assert len(store.lives()) >= 3


def test_the_doctor_looks_waiting_hosts_over_and_lets_everybody_hear_everybody(made, hosts):
    looked = foretell("doctor", str(made), "--on", "socket")
    assert looked.returncode == 0, looked
    lines = [line.split()[:3] for line in looked.stdout.splitlines()]
    whats = ("reach", "software", "memory", "disk", "clock", "ports", "names")
    assert lines == [*(["ok", host, what] for host in HOMES for what in whats), ["ok", "all", "edges"]]
    assert "HELLO over 6 edges, and one episode played" in looked.stdout
    hosts["box"].until_said("the launcher is gone")


def test_the_doctor_says_of_each_host_that_does_not_wait_what_to_do(root, made, hosts):
    hosts["pi1"].kill()
    looked = foretell("doctor", str(made), "--on", "socket")
    assert looked.returncode == 2
    (failed,) = (line for line in looked.stdout.splitlines() if line.startswith("FAIL"))
    assert failed.split()[1:3] == ["pi1", "reach"]
    assert "Connection refused. Start `foretell host` with its bundle there" in failed
    others = bundles(root, "strangers")
    looked = foretell("doctor", str(others), "--on", "socket")
    assert "has not the key of box's bundle. Give all hosts and the launcher bundles of one" in looked.stdout
    assert foretell("doctor", str(made), "--on", "socket", "--seed", "2").returncode == 2


def test_a_launcher_with_bundles_of_another_set_is_turned_away_and_both_sides_say_so(root, hosts, tmp_path):
    others = bundles(root, "others")
    tried = foretell("run", str(others), "--on", "socket", "--out", str(tmp_path / "run"))
    assert tried.returncode == 2
    assert "has not the key of" in tried.stderr
    assert "Give all hosts and the launcher bundles of one `foretell bundle`" in tried.stderr
    assert tried.stderr.count("foretell: ") == 1
    hosts["box"].until_said("turned away somebody who does not know the key of this bundle")


def test_a_damaged_bundle_serves_nobody_and_says_why(made, tmp_path):
    damaged = Path(shutil.copytree(made / "pi1", tmp_path / "pi1"))
    (damaged / "keys" / "agent-0" / "curve.secret").write_text("")
    refused = foretell("host", str(damaged))
    assert refused.returncode == 2
    assert "keys/agent-0/curve.secret: it is not what was bundled" in refused.stderr
    assert (
        "--listen: expected tcp://HOST:PORT, found 'box'"
        in foretell("host", str(made / "box"), "--listen", "box").stderr
    )
    assert foretell("host").stderr.startswith("foretell: expected a bundle of `foretell bundle`")
