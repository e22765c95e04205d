"""The keys of a run: made whole or not at all, and used again when the run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from runs import (
    TINY,
    children_of,
    foretell,
    need_mosquitto,
    participant_pid,
    run_name,
    simulate_here,
    start,
    summary,
    until,
)

from broker.addresses import parse_address
from broker.errors import UserError
from broker.security.mqtt_access import AUTHORITY, BROKER, CERTIFICATE, KEY
from broker.security.validity import certificates_in
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.running.fleet import Fleet, parse_fleet
from scenarios.running.hosts.fleet_site import FleetSite, fleet_plan
from scenarios.running.meeting.keys import given_keys, make_keys, needs_keys, own_keys, run_of_keys
from scenarios.running.procfs import is_alive

PLAN = make_plan(load_scenario("exchange-quick", {"transport.security.mode": "on"}))
NAME = "exchange-quick-aaaaaaaa"
SCENARIO = ("exchange-quick", "--episodes", "40", *TINY, "--set", 'transport.security.mode="on"')
SCENARIO += ("--set", "learning.rounds=1", "--set", "environment.steps=3", "--set", "recovery.checkpoint_every=1")
FIGURES = ("curve_digest", "weights_digest", "episodes", "rejected", "complete")


TRANSPORTS = {
    "zeromq": {},
    "forwarder": {"transport.zeromq.mode": "forwarder"},
    "mqtt": {"transport.kind": "mqtt"},
}


class PowerLost(BaseException):
    """Nothing can be done after it."""


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lose_power_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the call to the system after so many of those that open, sync or rename be the last."""
    left = calls

    def dying(really):
        def call(*arguments, **options):
            nonlocal left
            if left == 0:
                raise PowerLost
            left -= 1
            return really(*arguments, **options)

        return call

    for name in ("open", "fsync", "replace"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    for name in ("mkdir", "touch", "replace"):
        monkeypatch.setattr(f"pathlib.Path.{name}", dying(getattr(Path, name)))


def cut_set(folder: Path, calls: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Lose power while keys are made; whether that happened."""
    with monkeypatch.context() as patch:
        lose_power_after(calls, patch)
        try:
            make_keys(PLAN, folder, NAME)
        except PowerLost:
            return True
    return False


@pytest.mark.long
def test_a_set_that_was_cut_at_any_moment_is_made_anew_or_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # the moments count, not the disk
    make_keys(PLAN, tmp_path / "whole", NAME)
    expected = files(tmp_path / "whole").keys()
    moments = 0
    while cut_set(tmp_path / str(moments), moments, monkeypatch):
        folder = tmp_path / str(moments)
        assert files(own_keys(PLAN, folder, NAME)).keys() - {"made-for.new"} == expected
        found = files(folder)
        assert files(own_keys(PLAN, folder, NAME)) == found, "whole ones are used again"
        moments += 1
    assert moments > 30


@pytest.mark.parametrize("calls", [12, 20, 40])
def test_a_set_that_was_cut_serves_no_scenario_that_names_it(tmp_path, monkeypatch, calls):
    assert cut_set(tmp_path / "keys", calls, monkeypatch)
    with pytest.raises(UserError, match=r"found one that was cut while it was made: make it anew with `foretell keys"):
        given_keys(tmp_path / "keys")
    make_keys(PLAN, tmp_path / "keys", NAME)
    assert given_keys(tmp_path / "keys") == tmp_path / "keys"


def test_keys_that_were_made_for_others_are_refused_and_left_alone(tmp_path):
    folder = tmp_path / "keys"
    make_keys(make_plan(load_scenario("predation-6-quick", {"transport.security.mode": "on"})), folder, NAME)
    found = files(folder)
    with pytest.raises(UserError, match="expected an empty folder for keys"):
        own_keys(PLAN, folder, NAME)
    assert files(folder) == found


def test_a_file_in_the_place_of_keys_is_a_sentence(tmp_path):
    (tmp_path / "keys").touch()
    for use in (make_keys, own_keys):
        with pytest.raises(UserError, match=r"^cannot write keys to .*: Not a directory$"):
            use(PLAN, tmp_path / "keys", NAME)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return simulate_here(tmp_path_factory.mktemp("whole") / "simulate", *SCENARIO)


def recorded(out: Path) -> int:
    try:
        with read_store(out / "run.sqlite") as store:
            return store.count_episodes()
    except UserError:
        return 0


@pytest.mark.processes
@pytest.mark.parametrize(
    ("transport", "ending"), [("zeromq", signal.SIGINT), ("forwarder", signal.SIGKILL), ("mqtt", signal.SIGKILL)]
)
def test_a_run_that_made_its_own_keys_goes_on_with_them(
    tmp_path: Path, whole: dict[str, Any], transport: str, ending: signal.Signals
) -> None:
    if transport == "mqtt":
        need_mosquitto()
    out = tmp_path / "run"
    with start("run", *SCENARIO, "--transport", transport, "--out", str(out)) as process:
        until(lambda: recorded(out) >= 2, "2 episodes")
        environment = participant_pid(out, "environment")
        os.kill(environment, signal.SIGSTOP)  # so that the run does not end before it is interrupted
        children = children_of(process.pid)
        process.send_signal(ending)
        os.kill(environment, signal.SIGCONT)
        process.communicate()
    until(lambda: not any(map(is_alive, children)), "the end of all processes")
    keys, name = files(RunFolder(out).keys), run_name(out)
    done = foretell("run", "--resume", str(out))
    assert done.returncode == 0, done.stderr
    assert "the run is resumed" in done.stderr
    assert files(RunFolder(out).keys) == keys
    assert run_name(out) == name == run_of_keys(RunFolder(out).keys)
    assert {name: summary(out)[name] for name in FIGURES} == {name: whole[name] for name in FIGURES}


def test_keys_say_for_which_run_they_are_and_those_of_two_are_not_mixed(tmp_path):
    for number, run in enumerate((NAME, "exchange-quick-bbbbbbbb")):
        make_keys(PLAN, tmp_path / str(number), run)
        assert run_of_keys(tmp_path / str(number)) == run
    part = tmp_path / "copied"
    shutil.copytree(tmp_path / "0" / "agent-1", part / "agent-1")
    assert run_of_keys(part) == NAME, "a part of them is enough"
    shutil.copytree(tmp_path / "1" / "agent-2", part / "agent-2")
    with pytest.raises(
        UserError, match=rf"found keys for the runs {NAME} and exchange-quick-bbbbbbbb: copy those of one"
    ):
        run_of_keys(part)
    for path in part.glob("*/run"):
        path.unlink()
    with pytest.raises(UserError, match="found none that say for which run they are"):
        run_of_keys(part)


def test_permissions_are_for_the_topics_of_one_run(tmp_path):
    make_keys(PLAN, tmp_path / "keys", NAME)
    granted = (tmp_path / "keys" / "broker" / "acl").read_text().splitlines()
    topics = [line.split()[2] for line in granted if line.startswith("topic ")]
    assert topics
    assert all(each.startswith(f"foretell/{NAME}/") for each in topics)


def fleet_of(launcher: str, board: str) -> Fleet:
    text = f'[launcher]\ndial = "{launcher}"\n[pi]\nssh = "pi"\ndial = "{board}"\nparticipants = ["*"]\n'
    return parse_fleet(text)


def over_hosts(transport: str, launcher: str = "192.0.2.1", board: str = "192.0.2.2") -> Plan:
    """A run whose participants are on a board, as its hosts and their launcher see it."""
    return fleet_plan(fleet_of(launcher, board), make_plan(load_scenario("exchange-quick", TRANSPORTS[transport])))


def named_by_certificate(keys: Path) -> set[str]:
    """Under which names the broker of a run believes to be reached."""
    (certificate,) = certificates_in(keys / BROKER / CERTIFICATE)
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(named.get_values_for_type(x509.DNSName)) | set(map(str, named.get_values_for_type(x509.IPAddress)))


def believe_certificate(keys: Path) -> None:
    """Check the broker's certificate and its secret key as a participant and the broker do."""
    (certificate,) = certificates_in(keys / BROKER / CERTIFICATE)
    for path in keys.glob(f"*/{AUTHORITY}"):
        certificate.verify_directly_issued_by(*certificates_in(path))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(keys / BROKER / CERTIFICATE, keys / BROKER / KEY)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_run_over_hosts_has_keys_whatever_carries_its_messages(transport):
    assert needs_keys(over_hosts(transport).scenario.transport)
    assert not needs_keys(over_hosts(transport, "127.0.0.1", "127.0.0.1").scenario.transport)


@pytest.mark.parametrize("launcher", ["192.0.2.1", "laptop.local", "2001:db8::1"])
def test_the_certificate_of_a_runs_own_broker_names_the_host_that_participants_dial(tmp_path, launcher):
    plan, fleet = over_hosts("mqtt", launcher), fleet_of(launcher, "192.0.2.2")
    make_keys(plan, tmp_path / "keys", NAME)
    site = FleetSite(plan, fleet, {}, {}, lambda: None)
    dialled = parse_address(site.there(Wiring(NAME, broker="mqtts://0.0.0.0:8883")).broker, "mqtts")
    assert dialled.host == launcher
    assert dialled.host in named_by_certificate(tmp_path / "keys")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("launcher", "board"), [("192.0.2.1", "192.0.2.7"), ("laptop.local", "192.0.2.2")])
def test_a_run_that_goes_on_at_other_addresses_has_the_same_keys(tmp_path, transport, launcher, board):
    first, keys = over_hosts(transport), tmp_path / "keys"
    found = files(own_keys(first, keys, NAME))
    assert files(own_keys(first, keys, NAME)) == found
    moved = files(own_keys(over_hosts(transport, launcher, board), keys, NAME))
    of_certificates = {path for path in found if path.endswith((AUTHORITY, CERTIFICATE, KEY))}
    assert {path: moved[path] for path in moved.keys() - of_certificates} == {
        path: found[path] for path in found.keys() - of_certificates
    }
    named = named_by_certificate(keys)
    assert launcher in named
    assert (moved == found) == (transport != "zeromq" and launcher == "192.0.2.1"), "the broker is where it was"


@pytest.mark.long
def test_a_certificate_that_was_cut_while_it_was_made_anew_is_made_once_more_and_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # the moments count, not the disk
    make_keys(over_hosts("mqtt"), tmp_path / "whole", NAME)
    for moment in count():
        keys = tmp_path / str(moment)
        shutil.copytree(tmp_path / "whole", keys)
        with monkeypatch.context() as patch:
            lose_power_after(moment, patch)
            try:
                own_keys(over_hosts("mqtt", "192.0.2.9"), keys, NAME)
                break
            except PowerLost:
                pass
        own_keys(over_hosts("mqtt"), keys, NAME)  # at home again
        assert "192.0.2.1" in named_by_certificate(keys)
        believe_certificate(keys)
    assert moment > 10
