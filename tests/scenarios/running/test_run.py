"""A run of real processes: who dies is named, who attacks is counted, nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from journal_frames import frames_in
from limits import LIMIT_S
from message_cases import action_of, timestep_of
from ports import free_ports
from runs import (
    TINY,
    Started,
    StartedAfresh,
    children_of,
    foretell,
    foretell_afresh,
    participant_pid,
    run_name,
    simulate_here,
    start,
    start_afresh,
    summary,
    until,
)

from broker.wire.codec import Codec
from broker.wire.messages import ENVIRONMENT, OBSERVER, Envelope, Share, Stop
from scenarios.running.procfs import is_alive

pytestmark = pytest.mark.processes

LONG = ("--episodes", "100000", *TINY, "--set", "recovery.on_crash=fail")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Started, Path]]:
    """A run that is in its episodes, and its folder."""
    out = tmp_path / "run"
    with start("run", "exchange-quick", *LONG, "--out", str(out)) as process:
        until(lambda: has_episodes(out), "the first episodes")
        yield process, out


@pytest.fixture
def running_afresh(tmp_path: Path) -> Iterator[tuple[StartedAfresh, Path]]:
    """The same, of interpreters of its own."""
    out = tmp_path / "run"
    with start_afresh("run", "exchange-quick", *LONG, "--out", str(out)) as process:
        until(lambda: has_episodes(out), "the first episodes")
        yield process, out


def has_episodes(out: Path) -> bool:
    try:
        with sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True) as database:
            return bool(database.execute("SELECT count(*) FROM episodes").fetchone()[0])
    except sqlite3.OperationalError:
        return False


def test_a_run_leaves_everything_a_user_asks_for(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = foretell_afresh(
        "run", "exchange-quick", "--episodes", "12", *TINY, "--set", "transport.journal=true", "--out", str(out)
    )
    assert done.returncode == 0, done.stderr
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    names = [ENVIRONMENT, "agent-0", "agent-1", "agent-2"]
    assert {"scenario.toml", "run.sqlite", "summary.json", "learning_curve.png"} <= found
    assert {f"logs/{name}.log" for name in names} <= found
    assert {f"journal/{name}.journal" for name in names} <= found
    assert any(name.startswith("tensorboard/events") for name in found)
    figures = summary(out)
    assert figures["substrate"] == "run"
    assert figures["complete"]
    assert figures["shares_heard"] == figures["shares_sent"] == 12 * 3 * 6
    assert (figures["rejected"], figures["dropped"], figures["lost"]) == (0, 0, 0)
    assert str(out / "learning_curve.png") in done.stdout


@pytest.mark.parametrize("victim", ["agent-1", ENVIRONMENT])
def test_a_killed_participant_is_named(running: tuple[Started, Path], victim: str) -> None:
    process, out = running
    children = children_of(process.pid)
    os.kill(participant_pid(out, victim), signal.SIGKILL)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3
    assert f"{victim} died: signal SIGKILL" in said
    assert str(out / "logs" / f"{victim}.log") in said
    assert "Traceback" not in said
    until(lambda: not any(is_alive(child) for child in children), "the end of all processes")
    assert not summary(out)["complete"]


def test_ctrl_c_ends_everything_and_keeps_what_was_learned(running_afresh: tuple[StartedAfresh, Path]) -> None:
    process, out = running_afresh
    children = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "interrupted after" in said
    assert "Traceback" not in said
    until(lambda: not any(is_alive(child) for child in children), "the end of all processes")
    figures = summary(out)
    assert not figures["complete"]
    assert figures["episodes"] > 0
    assert (out / "learning_curve.png").exists()


def test_no_process_outlives_a_launcher_that_was_killed(running: tuple[Started, Path]) -> None:
    process, _ = running
    children = children_of(process.pid)
    assert len(children) >= 4
    process.kill()
    process.communicate()
    until(lambda: not any(is_alive(child) for child in children), "the end of all processes")


def test_an_address_in_use_is_a_sentence(tmp_path: Path) -> None:
    port = free_ports(5)  # one for each participant: the others shall be free
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        settings = ("--set", "transport.zeromq.scheme=tcp", "--set", f"transport.zeromq.base_port={port}")
        done = foretell("run", "exchange-quick", "--episodes", "2", *TINY, *settings, "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert f"cannot listen on tcp://127.0.0.1:{port}: the address is in use" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


class Attacker:
    """A stranger with a socket of its own."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}

    def send(self, address: str, *parts: bytes) -> None:
        if address not in self._sockets:
            self._sockets[address] = self._context.socket(zmq.PUSH)
            self._sockets[address].setsockopt(zmq.SNDTIMEO, int(LIMIT_S * 1000))
            self._sockets[address].connect(address)
        self._sockets[address].send_multipart(parts)

    def close(self) -> None:
        for each in self._sockets.values():
            each.close(linger=int(LIMIT_S * 1000))
        self._context.term()


def bad_messages(run: str) -> dict[str, list[bytes]]:
    """Frames for agent-0, the environment and the observer that must be counted and never used.

    Those without a fault in themselves bear a number that their edge has passed long ago.
    """
    codec = Codec(run, 1 << 24)

    def frame(source: str, destination: str, message: Any) -> bytes:
        return codec.encode(Envelope(run, source, destination, 0, message))

    def share(rows: int, **changes: np.ndarray) -> Share:
        arrays = {
            "policy": np.full((rows, 6), 1 / 6, np.float32),
            "actions": np.zeros(rows, np.int32),
            "anticipation": np.full((rows, 6), 1 / 6, np.float32),
        }
        return Share.of(0, 0, arrays | changes)

    good = frame("agent-1", "agent-0", share(2))
    nan = np.full((2, 6), np.nan, np.float32)
    unfair = np.full((40, 6), 0.5, np.float32)
    seen = (np.zeros((2, 3), np.float32), np.zeros(2, np.float32), np.zeros(2, np.uint8))
    return {
        "agent-0": [
            b"garbage",
            b"",
            bytes(range(256)),
            good[:-3],
            frame("agent-1", "agent-0", share(2, policy=nan)),
            frame("agent-1", "agent-0", share(2)),
            frame(ENVIRONMENT, "agent-0", Stop("")),
            frame("agent-1", "agent-2", share(2)),
            frame(ENVIRONMENT, "agent-0", timestep_of(0, 0, 0, False, *seen)),
            frame("agent-2", "agent-0", share(40, policy=unfair)),
        ],
        ENVIRONMENT: [
            frame("agent-0", ENVIRONMENT, action_of(0, 0, 0, np.full(2, 77, np.int32))),
            frame("agent-0", ENVIRONMENT, action_of(0, 0, 0, np.zeros(2, np.int32))),
            frame("agent-0", ENVIRONMENT, share(2)),
        ],
        OBSERVER: [b"garbage", frame("agent-0", ENVIRONMENT, share(2))],
    }


def first_shares(journal: Path) -> dict[str, bytes]:
    """The first share of each neighbor that a running participant has written down, as a frame."""
    first: dict[str, bytes] = {}
    for direction, frame in frames_in(journal) if journal.exists() else ():
        envelope = msgspec.msgpack.decode(frame, type=Envelope)
        if direction == "received" and isinstance(envelope.message, Share):
            first.setdefault(envelope.source, frame)
            if len(first) == 2:
                break
    return first


def test_forged_and_repeated_messages_are_counted_and_the_run_goes_on_undisturbed(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    arguments = ("exchange-quick", "--episodes", "60", *TINY, "--set", "recovery.hung_after_s=600")
    simulate_here(plain, *arguments)
    out = tmp_path / "run"
    port = free_ports(5)
    tcp = ("--set", "transport.zeromq.scheme=tcp", "--set", f"transport.zeromq.base_port={port}")
    ports = {ENVIRONMENT: port, "agent-0": port + 1, OBSERVER: port + 4}
    addresses = {victim: f"tcp://127.0.0.1:{port}" for victim, port in ports.items()}
    journaled = ("--set", "transport.journal=true")
    attacker = Attacker()
    with start("run", *arguments, *tcp, *journaled, "--out", str(out)) as process:
        journal = out / "journal" / "agent-0.journal"
        until(lambda: len(first_shares(journal)) == 2, "the first shares of both neighbors")
        forged = bad_messages(run_name(out))
        forged["agent-0"] += first_shares(journal).values()
        bystander = participant_pid(out, "agent-2")
        os.kill(bystander, signal.SIGSTOP)  # so that the run does not end before it is attacked
        for victim, frames in forged.items():
            for each in frames:
                attacker.send(addresses[victim], each)
            attacker.send(addresses[victim], b"two", b"parts")
        attacker.close()
        os.kill(bystander, signal.SIGCONT)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, said
    undisturbed, attacked = summary(plain), summary(out)
    for name in ("curve_digest", "weights_digest", "shares_heard", "edge_bytes", "lost"):
        assert attacked[name] == undisturbed[name]
    with sqlite3.connect(out / "run.sqlite") as database:
        rejected = dict(
            database.execute("SELECT destination, sum(rejected) FROM edges WHERE rejected > 0 GROUP BY destination")
        )
        reasons = " ".join(row[0] for row in database.execute("SELECT text FROM events WHERE kind = 'rejected'"))
    assert rejected == {victim: len(frames) + 2 for victim, frames in forged.items()}
    assert attacked["rejected"] == sum(rejected.values())
    for reason in ("NaN", "is not an in-edge", "repeated or out of order"):
        assert reason in reasons


def test_participants_can_be_started_by_hand_from_their_slices(tmp_path: Path) -> None:
    sockets = Path(tempfile.mkdtemp(prefix="foretell-test-"))
    try:
        names = [ENVIRONMENT, "agent-0", "agent-1"]
        addresses = ",".join(f'"{name}"="ipc://{sockets}/{name}"' for name in names)
        slices = tmp_path / "slices"
        done = foretell(
            *("check", "exchange-quick", "--episodes", "3", *TINY, "--slices", str(slices)),
            *("--set", "environment.agents=2"),
            *("--set", f"transport.zeromq.addresses={{{addresses}}}"),
        )
        assert done.returncode == 0, done.stderr
        modules = {name: "env_service" if name == ENVIRONMENT else "agent_node" for name in names}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", modules[name], str(slices / f"{name}.json")], stderr=subprocess.PIPE, text=True
            )
            for name in names
        ]
        said = [process.communicate(timeout=LIMIT_S)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], said
        assert "FinishedRecord" in said[1]
    finally:
        shutil.rmtree(sockets)


def test_a_participant_reads_its_slice_from_standard_input_and_refuses_a_wrong_one() -> None:
    for text in ("", "{}", json.dumps({"link": 3})):
        done = subprocess.run(
            [sys.executable, "-m", "env_service"],
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("the slice is wrong: ")
        assert "Traceback" not in done.stderr
