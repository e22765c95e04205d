"""Runs over an MQTT broker that somebody else runs: its accounts, its limits, its restarts, and IPv6."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ports import free_port, free_ports
from runs import TINY, foretell, need_mosquitto, participant_pid, simulate_here, start, summary, until

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store

pytestmark = [pytest.mark.processes, pytest.mark.long]
PASSWORD = "correct-horse-battery"


class Elsewhere:
    """mosquitto with settings of somebody else."""

    def __init__(self, folder: Path, *settings: str) -> None:
        need_mosquitto()
        self.port = free_port()
        self.address = f"mqtt://127.0.0.1:{self.port}"
        folder.mkdir()
        lines = [f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", "max_queued_messages 100000", "user root"]
        if not any(line.startswith("allow_anonymous") for line in settings):
            lines.append("allow_anonymous true")
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text("\n".join([*lines, *settings, ""]), encoding="utf-8")
        self._log = folder / "log"
        self.start()

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(self._settings)], stdout=log, stderr=log)

    def start_anew(self) -> None:
        self.end()
        self.start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def elsewhere(tmp_path):
    brokers = []

    def start_(*settings):
        brokers.append(Elsewhere(tmp_path / "elsewhere", *settings))
        return brokers[-1]

    yield start_
    for broker in brokers:
        broker.end()


def lives_and_episodes(out: Path) -> tuple[int, int]:
    """How many lives have begun, and how many episodes are recorded."""
    try:
        with read_store(RunFolder(out).store) as reader:
            return len(reader.lives()), reader.count_episodes()
    except UserError:  # it is being made
        return 0, 0


def over(broker: Elsewhere) -> tuple[str, ...]:
    return ("--set", "transport.kind=mqtt", "--set", f"transport.mqtt.address={broker.address}")


def test_a_broker_that_takes_only_small_packets_ends_a_run_before_it_begins_with_both_numbers(
    elsewhere, tmp_path
) -> None:
    done = foretell(
        "run", "exchange-quick", *TINY, *over(elsewhere("max_packet_size 2000")), "--out", str(tmp_path / "r")
    )
    assert done.returncode == 2
    assert "takes packets of up to 2000 bytes, and this run needs " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_s_own_accounts_are_used_and_their_password_is_nowhere_to_be_read(elsewhere, tmp_path) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "somebody", PASSWORD], check=True)
    broker = elsewhere("allow_anonymous false", f"password_file {passwords}")
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    account = ("--set", "transport.mqtt.username=somebody", "--set", f"transport.mqtt.password_file={secret}")
    done = foretell(
        "run", "exchange-quick", "--episodes", "2", *TINY, *over(broker), *account, "--out", str(tmp_path / "r")
    )
    assert done.returncode == 0, done.stderr
    sliced = foretell("check", "exchange-quick", *over(broker), *account, "--slices", str(tmp_path / "slices"))
    assert sliced.returncode == 0, sliced.stderr
    for text in (done.stdout, done.stderr, sliced.stdout, sliced.stderr):
        assert PASSWORD not in text
    told = [path for folder in ("r", "slices") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert len(told) > 5
    assert not [path for path in told if PASSWORD.encode() in path.read_bytes()]
    secret.write_text("wrong\n", encoding="utf-8")
    refused = foretell("run", "exchange-quick", *TINY, *over(broker), *account, "--out", str(tmp_path / "refused"))
    assert refused.returncode == 2
    assert "Not authorized. Check transport.mqtt.username, its password" in refused.stderr


def test_a_password_in_an_address_is_refused_and_shown_nowhere(tmp_path) -> None:
    told = ("--transport", "mqtt", "--set", f"transport.mqtt.address=mqtt://me:{PASSWORD}@127.0.0.1:1")
    done = foretell("run", "exchange-quick", *told, "--out", str(tmp_path / "r"))
    assert done.returncode == 2
    assert "transport.mqtt.username" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("transport", "host"), [("zeromq", "[::1]"), ("forwarder", "::1")])
def test_a_run_listens_on_ipv6_where_its_host_is_given_with_brackets_or_without(tmp_path, transport, host) -> None:
    told = ("--transport", transport, "--set", "transport.zeromq.scheme=tcp", "--set", f"transport.zeromq.host={host}")
    port = ("--set", f"transport.zeromq.base_port={free_ports(5)}")
    done = foretell("run", "exchange-quick", "--episodes", "2", *TINY, *told, *port, "--out", str(tmp_path / "r"))
    assert done.returncode == 0, done.stderr
    assert summary(tmp_path / "r")["episodes"] == 2


def test_an_own_broker_listens_on_ipv6_with_keys_where_that_is_asked(tmp_path) -> None:
    own = ("--transport", "mqtt", "--set", "transport.mqtt.broker=amqtt", "--set", "transport.security.mode=on")
    port = free_port()
    host = (
        "--set",
        f"transport.mqtt.address=mqtts://[::1]:{port}",
        "--set",
        f"transport.security.keys={tmp_path}/keys",
    )
    made = foretell("keys", "exchange-quick", "--set", "transport.kind=mqtt", *host, "--out", str(tmp_path / "keys"))
    assert made.returncode == 0, made.stderr
    secure = (*own, "--set", f"transport.security.keys={tmp_path}/keys")
    with start(
        "broker", "exchange-quick", *secure, "--listen", f"mqtt://::1:{port}", "--out", str(tmp_path / "b")
    ) as served:
        assert served.stdout is not None
        assert served.stdout.readline().strip() == f"mqtts://[::1]:{port}"
        done = foretell("run", "exchange-quick", "--episodes", "2", *TINY, *own, *host, "--out", str(tmp_path / "r"))
        assert done.returncode == 0, done.stderr
        served.send_signal(signal.SIGINT)
        served.communicate()
    assert summary(tmp_path / "r")["episodes"] == 2


SHORT = ("--episodes", "60", *TINY, "--set", "learning.rounds=1", "--set", "environment.steps=3")


@contextmanager
def held_up(out: Path) -> Iterator[None]:
    """The environment does nothing meanwhile, so that the run does not end before it is hit."""
    environment = participant_pid(out, "environment")
    os.kill(environment, signal.SIGSTOP)
    yield
    os.kill(environment, signal.SIGCONT)


def test_what_a_broker_loses_is_told_once_where_no_other_life_makes_up_for_it(elsewhere, tmp_path) -> None:
    broker, out = elsewhere(), tmp_path / "r"
    told = ("--set", "recovery.on_crash=fail", *SHORT)
    with start("run", "exchange-quick", *told, *over(broker), "--out", str(out)) as running:
        until(lambda: lives_and_episodes(out)[1] >= 2, "two episodes")
        with held_up(out):
            broker.start_anew()
        output, errors = running.communicate()
    words = " ".join((output + errors).split())
    assert words.count(f"lost its connection to {broker.address}, and what was under way may be lost") == 1
    lives, episodes = lives_and_episodes(out)
    assert lives == 1
    if episodes == 60:
        assert running.returncode == 0, words
    else:  # a record had been confirmed to its sender, and the broker was killed before it handed it on
        assert running.returncode == 1, words
        assert f"only {episodes} of 60 episodes were recorded" in words


def test_a_run_whose_broker_starts_anew_again_and_again_ends_as_a_simulation_does(elsewhere, tmp_path) -> None:
    document = ("exchange-quick", "--set", "recovery.checkpoint_every=2", *SHORT)
    broker, out = elsewhere(), tmp_path / "r"
    with start("run", *document, *over(broker), "--out", str(out)) as running:
        for life in range(2):
            until(lambda life=life: lives_and_episodes(out) >= (life + 1, 2 * life + 2), "two episodes")
            with held_up(out):
                broker.start_anew()
            until(lambda life=life: lives_and_episodes(out)[0] == life + 2, "another life")
        output, errors = running.communicate()
        assert running.returncode == 0, (output, errors)
    ran, expected = summary(out), simulate_here(tmp_path / "s", *document)
    assert (ran["curve_digest"], ran["weights_digest"]) == (expected["curve_digest"], expected["weights_digest"])
