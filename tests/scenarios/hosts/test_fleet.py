"""Who lives on which host: a document, its mistakes, and the command that reaches a host."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from ports import free_port, free_ports
from runs import TINY, foretell, simulate_here, summary

from broker.errors import UserError
from scenarios.commands.policies.group import evaluate
from scenarios.running.bundles.containers import services
from scenarios.running.bundles.readme import readme
from scenarios.running.bundles.unit import unit
from scenarios.running.fleet import HostConfig, parse_fleet
from scenarios.running.hosts.ssh import explained, ssh_command
from scenarios.running.housing import Housing
from scenarios.telemetry.endpoint import metrics_address

PAGE = Path(__file__).parents[3] / "docs" / "hosts.md"
EVERYBODY = ("environment", "agent-0", "agent-1", "agent-10")


def homes(**participants: str) -> dict[str, str]:
    text = "".join(f'[{host}]\ndial = "10.0.0.1"\nparticipants = {who}\n' for host, who in participants.items())
    return parse_fleet(text).homes(EVERYBODY)


def test_the_documents_of_the_pages_about_hosts_and_clusters_are_fleets():
    docs = Path(__file__).parents[3] / "docs"
    page = "".join((docs / name).read_text(encoding="utf-8") for name in ("hosts.md", "cluster.md"))
    fleets = [parse_fleet(each) for each in re.findall(r"^```toml\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)]
    waiting = [fleet for fleet in fleets if all(host.control for host in fleet.hosts.values())]
    assert (len(fleets), len(waiting)) == (5, 2)
    assert [service.name for service in services(waiting[-1])] == ["pi1"]


@pytest.mark.parametrize(
    ("said", "found"),
    [("~/runs", "runs"), ("~", "."), ("~/", "."), ("runs", "runs"), ("/data/runs", "/data/runs"), ("/", "/")],
)
def test_a_folder_in_the_home_of_a_host_may_be_written_as_in_a_shell(said, found):
    fleet = parse_fleet(f'[pi1]\ndial = "10.0.0.1"\nfolder = "{said}"\nparticipants = ["*"]\n')
    assert fleet.hosts["pi1"].folder == found


def test_participants_are_meant_by_name_or_pattern():
    found = homes(a='["environment"]', b='["agent-?"]', c='["agent-1*0"]')
    assert found == {"environment": "a", "agent-0": "b", "agent-1": "b", "agent-10": "c"}


def test_who_is_meant_twice_by_one_host_lives_there_once():
    assert set(homes(a='["*", "agent-0"]').values()) == {"a"}


@pytest.mark.parametrize(
    ("participants", "said"),
    [
        ({"a": '["*"]', "b": '["agent-1"]'}, "agent-1 has two hosts, a and b; expected everybody exactly once"),
        ({"a": '["agent-*"]'}, "no host has environment; expected everybody exactly once"),
        ({"a": '["*", "agent-7"]'}, "a.participants: 'agent-7' means nobody; expected some of environment, agent-0"),
        ({"a": '["agent-[0-2]"]'}, "a.participants: expected names or patterns with * and ?, found 'agent-[0-2]'"),
        ({"a": "[]"}, "a.participants: "),
        ({"-rf": '["*"]'}, "expected a host's name of letters, digits, -, _ and ., found '-rf'"),
    ],
)
def test_a_fleet_that_cannot_work_is_told_in_a_sentence(participants, said):
    with pytest.raises(UserError) as raised:
        homes(**participants)
    assert str(raised.value).startswith(said)


def test_unknown_settings_of_a_host_are_refused_by_their_place():
    with pytest.raises(UserError, match=r"^pi1\.wat: there is no such setting"):
        parse_fleet('[pi1]\nparticipants = ["*"]\nwat = 1\n')
    with pytest.raises(
        UserError, match=r"^pi1\.fodler: .* Did you mean pi1\.folder\? \(and 1 more: pi2\.participants\)$"
    ):
        parse_fleet('[pi1]\nparticipants = ["*"]\nfodler = "x"\n[pi2]\n')


def test_who_writes_a_setting_that_hosts_have_not_is_told_those_that_they_have():
    with pytest.raises(UserError) as raised:
        parse_fleet('[pi1]\nparticipants = ["*"]\nfoo = 0\n')
    assert str(raised.value).startswith("pi1.foo: there is no such setting. A host has dial, listen, ssh, control,")
    assert str(raised.value).endswith("lease_s; [launcher] has dial, listen")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (r'folder = "a\u0000b"', "pi1.folder: expected text, found a NUL character in it"),
        (r'python = "a\u0000b"', "pi1.python: expected text, found a NUL character in it"),
        ("lease_s = inf", "pi1.lease_s: expected a finite number, found inf"),
        ('metrics = "99999"', "pi1.metrics: expected PORT or HOST:PORT, such as 9464 or 0.0.0.0:9464, found '99999'"),
        ('metrics = "a b:9464"', "pi1.metrics: expected PORT or HOST:PORT, such as 9464 or 0.0.0.0:9464, found"),
    ],
)
def test_values_that_no_host_can_take_are_refused_by_their_place(line, said):
    with pytest.raises(UserError) as raised:
        parse_fleet(f'[pi1]\ndial = "10.0.0.1"\nparticipants = ["*"]\n{line}\n')
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize("place", ["9464", "0.0.0.0:9464", "[::1]:9464", ":9464"])
def test_a_host_serves_metrics_where_the_command_line_would(place):
    said = f'[pi1]\ndial = "10.0.0.1"\nparticipants = ["*"]\nmetrics = "{place}"\n'
    try:
        metrics_address(place)
    except UserError:
        with pytest.raises(UserError, match=r"^pi1\.metrics: "):
            parse_fleet(said)
    else:
        assert parse_fleet(said).hosts["pi1"].metrics == place


def document_of_the_page() -> str:
    page = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^```toml\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)[0]


def test_the_page_says_which_hosts_an_evaluation_takes():
    section = PAGE.read_text(encoding="utf-8").split("## Boards that only act")[1].split("```")[0]
    (said,) = re.findall(r"`foretell evaluate` takes (.+?)\.\s", section, re.DOTALL)
    (on,) = (each for each in evaluate.params if each.name == "carrier")
    assert re.findall(r"`--on (\w+)`", said) == list(on.type.choices)


@pytest.mark.processes
def test_here_takes_hosts_that_are_elsewhere(tmp_path):
    text = re.sub(
        r"^(\[pi1\])$", f'\\1\nmetrics = "10.77.0.2:{free_port()}"', document_of_the_page(), flags=re.MULTILINE
    )
    (tmp_path / "hosts.toml").write_text(
        re.sub(r"^\[(pi\d|server)\]$", f'\\g<0>\nfolder = "{tmp_path}/there"', text, flags=re.MULTILINE)
    )
    words = (*TINY, "--set", f"transport.zeromq.base_port={free_ports(5)}", "--on", "here")
    hosts = ("--hosts", str(tmp_path / "hosts.toml"))
    assert "FAIL" not in foretell("doctor", "exchange-quick", *words, *hosts).stdout
    done = foretell("run", "exchange-quick", "--episodes", "2", *words, *hosts, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    simulated = simulate_here(tmp_path / "simulated", "exchange-quick", "--episodes", "2", *TINY)
    assert summary(tmp_path / "run")["weights_digest"] == simulated["weights_digest"]


@pytest.mark.parametrize(
    ("place", "dial", "listen"),
    [
        ('dial = "10.0.0.1"\nlisten = "0.0.0.0"', "127.0.0.1", ""),
        ('dial = "pi1.local"', "127.0.0.1", ""),
        ("", "127.0.0.1", ""),
        ('dial = "::1"', "::1", ""),
        ('dial = "127.0.0.3"\nlisten = "127.0.0.4"', "127.0.0.3", "127.0.0.4"),
    ],
)
def test_only_addresses_of_this_host_alone_are_taken_by_hosts_that_are_folders_of_it(place, dial, listen):
    fleet = parse_fleet(f'[launcher]\n{place}\n[pi1]\nparticipants = ["*"]\nmetrics = "10.0.0.1:9464"\n{place}\n')
    (host,) = fleet.on_this_host().hosts.values()
    assert (host.dial, host.listen, host.metrics) == (dial, listen, "9464")
    assert not fleet.on_this_host().launcher.listen or fleet.launcher.is_on_loopback
    assert Housing(carrier="here", fleet=fleet).reached == fleet.on_this_host()
    assert Housing(carrier="ssh", fleet=fleet).reached == fleet


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("python3.13", "python3.13"),
        ("/opt/foretell/bin/python", "/opt/foretell/bin/python"),
        ("~/foretell/bin/python", "~/foretell/bin/python"),
        ("foretell/bin/python", "~/foretell/bin/python"),
        ("./foretell/bin/python", "~/foretell/bin/python"),
    ],
)
def test_a_relative_python_is_in_the_home_of_its_host_whoever_starts_it(said, meant):
    host = HostConfig(participants=("*",), python=said)
    assert host.python == meant
    home = meant.removeprefix("~/")
    assert ssh_command("pi1", host.python, "runs", "", "")[-1].split()[0] == meant
    if meant.startswith("~/"):
        assert f'ExecStart="%h/{home}" -P' in unit("box", host, "run")
        assert f"~/{home} -P -m scenarios host ." in readme("box", host, "run", with_wheels=False)


@pytest.mark.parametrize("python", ["/opt/foretell/bin/python", "~/my tools/python", "python3; rm -rf ."])
def test_the_shell_of_a_host_takes_its_python_for_one_word(python):
    (*_, remote) = ssh_command("pi1", python, "runs; true", "", "")
    home = python.startswith("~/")
    assert remote.startswith("~/" if home else "")

    words = shlex.split(remote.removeprefix("~/") if home else remote)
    assert words[0] == python.removeprefix("~/")
    assert words[1:] == ["-P", "-m", "scenarios", "host", "--stdio", "--folder", "runs; true"]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("Unknown option: -P\nusage: python3", "its Python is older than 3.11"),
        ("python3: Error: No module named 'scenarios'", "its Python has no Foretell"),
        ("/bin/sh: 1: /no/python: not found", "there is no such Python"),
        (
            "no such identity: /k: No such file or directory\nme@pi1: Permission denied (publickey).",
            "it lets nobody in",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "its key is not the one known here",
        ),
        ("ssh: connect to host pi1 port 22: Connection timed out", "it does not answer"),
        ("ssh: connect to host pi1 port 22: No route to host", "the network does not reach it"),
        ("Host key verification failed.", "its key is not known here. Look at it once: ssh pi1"),
        (
            "root@pi1: Permission denied (publickey).",
            "it lets nobody in without a password. Set a key up: ssh-copy-id pi1",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host",
            "`ssh pi1` said: kex_exchange_identification: Connection",
        ),
        (
            "no such identity: /k: No such file or directory\nforetell: /team holds no policy: expected policy.json",
            "/team holds no policy: expected policy.json",
        ),
        ("", ""),
    ],
)
def test_what_ssh_says_becomes_a_sentence(said, sentence):
    found = explained(said, "pi1")
    assert found.startswith(sentence)
    assert bool(found) == bool(said)
