"""`foretell watch RUN --on ssh://HOST`: the page of another host, through the system's own `ssh` and its forwarding."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import asyncssh
import pytest
from limits import LIMIT_S
from ports import free_port
from runs import TINY, foretell, simulate_here, start, until

from broker import free_ports
from broker.errors import AddressInUse
from broker.free_ports import on_a_free_port
from scenarios.commands.looking.watch_elsewhere import _forwarded

pytestmark = [pytest.mark.processes, pytest.mark.long]
SERVER = Path(__file__).parents[1] / "hosts/ssh_server.py"


@pytest.fixture
def path(tmp_path):
    """PATH with an `ssh` that knows the host `there`, and, for that host, with `foretell`."""
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    for name in ("host", "user"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(tmp_path / name)
        key.write_public_key(tmp_path / f"{name}.pub")
        (tmp_path / name).chmod(0o600)
    search = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(tmp_path / "host"), str(tmp_path / "user.pub"), "0"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PATH": search},
    )
    port = server.stdout.readline().strip()
    config = tmp_path / "config"
    config.write_text(
        f"Host there\nHostName 127.0.0.1\nPort {port}\nUser root\nIdentityFile {tmp_path / 'user'}\n"
        f"UserKnownHostsFile {tmp_path / 'known'}\nStrictHostKeyChecking accept-new\nIdentitiesOnly yes\n"
    )
    wrapper = tmp_path / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    wrapper.chmod(0o755)
    yield search
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.communicate()


def status_of(url):
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=LIMIT_S)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status


def test_the_page_of_a_run_on_another_host_is_here(path, tmp_path):
    simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "1", *TINY)
    with start("watch", str(tmp_path / "run"), "--on", "ssh://there", PATH=path) as process:
        said = process.stdout.readline()
        found = re.fullmatch(rf"watching {tmp_path / 'run'} on there: (http://127\.0\.0\.1:\d+/\?token=\S+)\n", said)
        assert found is not None, said or process.stderr.read()
        url = found.group(1)

        def answers():
            with suppress(OSError):
                return status_of(url) == 303
            return False

        until(answers, "an answer through the tunnel")
        assert status_of(url.partition("?")[0]) == 403
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        with pytest.raises(OSError, match="refused"):
            status_of(url)


def test_a_port_here_that_is_taken_meanwhile_is_replaced_unless_it_was_asked_for(path, monkeypatch):
    monkeypatch.setenv("PATH", path)
    with socket.create_server(("127.0.0.1", 0)) as page, socket.create_server(("127.0.0.1", 0)) as somebody:
        taken, there = somebody.getsockname()[1], page.getsockname()[1]
        with (
            pytest.raises(AddressInUse, match=rf"127.0.0.1:{taken}: the address is in use.*choose another --port"),
            _forwarded("there", taken, there),
        ):
            pass
        ports = iter([taken, free_port()])
        monkeypatch.setattr(free_ports, "_free_port", lambda: next(ports))
        with ExitStack() as tunnel:

            def forward(port):
                tunnel.enter_context(_forwarded("there", port, there))
                return port

            with socket.create_connection(("127.0.0.1", on_a_free_port(forward)), LIMIT_S):
                page.settimeout(LIMIT_S)
                page.accept()[0].close()


def test_what_cannot_be_watched_there_is_one_sentence_that_says_why(path, tmp_path):
    done = foretell("watch", str(tmp_path / "nowhere"), "--on", "ssh://there", PATH=path)
    assert done.returncode == 2
    assert "foretell: cannot watch" in done.stderr
    assert "expected the folder of a run, or one that holds runs" in done.stderr


@pytest.mark.parametrize("elsewhere", ["there", "ssh://", "http://there", "ssh://-oProxyCommand=true"])
def test_another_address_than_of_ssh_is_refused(tmp_path, elsewhere):
    done = foretell("watch", str(tmp_path), "--on", elsewhere)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected ssh://HOST" in done.stderr
