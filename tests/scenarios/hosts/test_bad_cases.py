"""What can be wrong with hosts before a run begins: a sentence each, and all of them stand in docs/hosts.md."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hosts.network import make_keys, need_programs, ssh_server
from mounts import APART, need_mounts
from ports import free_ports
from runs import foretell

from broker.errors import UserError
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder
from scenarios.running.fleet import HostConfig, parse_fleet
from scenarios.running.hosts.dialling import dial_of
from scenarios.running.hosts.fleet_site import fleet_plan
from scenarios.running.hosts.health.doctor import Check, clock_check, look_over
from scenarios.running.hosts.piped import Piped
from scenarios.running.hosts.ssh import explained, local_command, ssh_command
from scenarios.running.housing import Housing, housing

PAGE = Path(__file__).parents[3] / "docs" / "hosts.md"
EVERYBODY = ("environment", "agent-0")
PI = '[pi1]\nssh = "pi1"\ndial = "127.0.0.1"\nparticipants = ["*"]\n'


class Ground:
    """What the cases need: a folder, and a plan with free ports."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_ports(5)

    def plan(self) -> Plan:
        return make_plan(load_scenario("exchange-quick", {"transport.zeromq.base_port": self.port}))

    def checks(self, fleet: str, command: Callable[[str, HostConfig], list[str]]) -> dict[str, Check]:
        """What doctor says of the only host."""
        folder = RunFolder(self.root)
        folder.logs.mkdir()

        def dial(name: str, host: HostConfig, log: Path) -> Piped:
            return Piped(command(name, host), log, partial(explained, ssh=name))

        return {check.what: check for check in look_over(parse_fleet(fleet), self.plan(), folder, dial, held=None)}

    def here(self, fleet: str, before: tuple[str, ...] = ()) -> dict[str, Check]:
        """The same of a host that is a process of this one, with words before its command line."""
        return self.checks(fleet, lambda name, _: [*before, *local_command(str(self.root / "there" / name), "", "")])

    def ssh(self, *config: str) -> str:
        """What doctor says of a host that only ssh could reach, but does not."""
        lines = ["Host pi1", f"IdentityFile {self.root / 'key'}", "LogLevel ERROR", *config]
        (self.root / "config").write_text("\n ".join(lines) + "\n")
        options = ["ssh", "-F", str(self.root / "config")]
        checks = self.checks(PI, lambda _, host: [*options, *ssh_command(host.ssh, "python3", "runs", "", "")[1:]])
        return checks["reach"].said


def ssh_refused(ground: Ground) -> str:
    need_programs("ssh", "ssh-keygen")
    return ground.ssh("HostName 127.0.0.1", f"Port {ground.port}")


def unknown_host_key(ground: Ground) -> str:
    need_programs("ssh", "ssh-keygen")
    make_keys(ground.root)
    server, port = ssh_server(ground.root, 0)
    with server:
        try:
            known = ("StrictHostKeyChecking yes", "UserKnownHostsFile /dev/null")
            return ground.ssh("HostName 127.0.0.1", f"Port {port}", *known)
        finally:
            server.kill()


def name_unknown_to_ssh(ground: Ground) -> str:
    need_programs("ssh", "ssh-keygen")
    return ground.ssh("HostName no.such.invalid")


def python_too_old(_ground: Ground) -> str:
    return explained("Unknown option: -P\nusage: python3 [option] ...", "pi1")


def no_memory(ground: Ground) -> str:
    return ground.here(PI + "memory_mb = 1\n")["memory"].said


def port_in_use(ground: Ground) -> str:
    with socket.create_server(("127.0.0.1", ground.port)):
        return ground.here(PI)["ports"].said


def name_unknown_to_a_host(ground: Ground) -> str:
    return ground.here(f'[launcher]\ndial = "no.such"\n{PI}')["names"].said


def disk_full(ground: Ground) -> str:
    need_mounts()
    (ground.root / "there").mkdir()
    full = f'mount -t tmpfs -o nr_inodes=1 tmpfs "{ground.root}/there" && exec "$@"'
    return ground.here(PI, (*APART, full, "sh"))["reach"].said


def port_closed(ground: Ground) -> str:
    """A host that listens elsewhere than where others dial it."""
    hosts = ground.root / "hosts.toml"
    there = f'folder = "{ground.root}/there"\ndial = "127.0.0.1"\n'
    hosts.write_text(
        f'[left]\n{there}participants = ["environment", "agent-0"]\n'
        f'[right]\n{there}participants = ["agent-1", "agent-2"]\nlisten = "127.0.0.2"\n'
    )
    quick = ("--set", f"transport.zeromq.base_port={ground.port}", "--set", "joining.give_up_s=2")
    done = foretell("doctor", "exchange-quick", *quick, "--on", "here", "--hosts", str(hosts))
    assert done.returncode == 2
    return done.stdout


def clock_off(_ground: Ground) -> str:
    return clock_check("pi1", -600.0, 0.1).said


def clock_at_1970(_ground: Ground) -> str:
    return clock_check("pi1", -1.8e9, 0.1).said


def fleet_error(text: str) -> str:
    with pytest.raises(UserError) as raised:
        housing("ssh", parse_fleet(text), EVERYBODY)
    return str(raised.value)


def no_such_address(ground: Ground) -> str:
    bundles = made_bundles(ground)
    return foretell("host", str(bundles / "pi1"), "--listen", f"tcp://192.0.2.1:{ground.port}").stderr


def launchers_own_bundle(ground: Ground) -> str:
    return foretell("host", str(made_bundles(ground) / "launcher")).stderr


def bundle_of_a_host(ground: Ground) -> str:
    return foretell("run", str(made_bundles(ground) / "pi1"), "--on", "socket").stderr


def made_bundles(ground: Ground) -> Path:
    (ground.root / "hosts.toml").write_text(f'{PI}control = "tcp://127.0.0.1:{ground.port}"\n')
    out = ground.root / "bundles"
    done = foretell("bundle", "exchange-quick", "--hosts", str(ground.root / "hosts.toml"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


def bundles_moved(ground: Ground) -> str:
    housed = Housing(carrier="socket", fleet=parse_fleet(PI), bundle=ground.root / "bundles" / "launcher")
    with pytest.raises(UserError) as raised:
        dial_of(housed)
    return str(raised.value)


def key_of_bundle_missing(ground: Ground) -> str:
    bundles = made_bundles(ground)
    (bundles / "launcher" / "control" / "curve.secret").unlink()
    with pytest.raises(UserError) as raised:
        dial_of(Housing(carrier="socket", fleet=parse_fleet(PI), bundle=bundles / "launcher"))
    return str(raised.value)


def name_unknown_to_the_launcher(ground: Ground) -> str:
    with pytest.raises(UserError) as raised:
        fleet_plan(parse_fleet(PI.replace("127.0.0.1", "pi1.invalid")), ground.plan())
    return str(raised.value)


def no_policy_here(ground: Ground) -> str:
    (ground.root / "hosts.toml").write_text(f'{PI}act = "{ground.root}/team"\nfolder = "{ground.root}/there"\n')
    said = foretell("doctor", "exchange-quick", "--on", "here", "--hosts", str(ground.root / "hosts.toml")).stdout
    assert "ssh" not in said
    return said


CASES: dict[str, Callable[[Ground], str]] = {
    "nothing there takes ssh": ssh_refused,
    "its key is not known here. Look at it once: ssh pi1": unknown_host_key,
    "its name does not resolve. Check the host's `ssh`": name_unknown_to_ssh,
    "its Python is older than 3.11. Set the host's `python`": python_too_old,
    "let fewer participants live there": no_memory,
    "set transport.zeromq.base_port or the host's `listen`": port_in_use,
    "mend the name there, or give an address under `dial`": name_unknown_to_a_host,
    "No space left on device": disk_full,
    "Is it running, do the addresses agree": port_closed,
    "600.0 s behind this one: set it there (timedatectl set-ntp true)": clock_off,
    "1800000000.0 s behind this one: set it there (timedatectl set-ntp true)": clock_at_1970,
    "this host has no such address. Say under `listen` which of its own is meant": no_such_address,
    "is the launcher's bundle, and nobody waits with that": launchers_own_bundle,
    "is the bundle of pi1, which waits with it": bundle_of_a_host,
    "the launcher's bundle is not where this run began with it": bundles_moved,
    "control/curve.secret: No such file or directory. Copy the bundle there anew": key_of_bundle_missing,
    "no way leads to pi1.invalid, the `dial` of pi1": name_unknown_to_the_launcher,
    "holds no policy: expected policy.json in it. Copy a run's folder `policy` to this host": no_policy_here,
    "Cannot declare ('pi1',) twice": lambda _: fleet_error(PI + PI),
    "pi1 and pi2 are one host": lambda _: fleet_error(
        PI.replace("*", "agent-0") + PI.replace("*", "environment").replace("[pi1]", "[pi2]")
    ),
    "no host has environment; expected everybody exactly once": lambda _: fleet_error(PI.replace("*", "agent-0")),
    "agent-0 has two hosts, pi1 and pi2; expected everybody exactly once": lambda _: fleet_error(
        PI + PI.replace("*", "agent-0").replace('"pi1"', '"pi2"').replace("[pi1]", "[pi2]")
    ),
}


@pytest.mark.processes
@pytest.mark.parametrize("sentence", CASES)
def test_what_is_wrong_is_said_with_what_to_do(sentence, tmp_path):
    assert sentence in CASES[sentence](Ground(tmp_path))


def test_the_page_shows_every_case():
    page = PAGE.read_text(encoding="utf-8")
    assert [sentence for sentence in CASES if sentence not in page] == []
