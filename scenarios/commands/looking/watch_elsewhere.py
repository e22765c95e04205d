"""`foretell watch RUN --on ssh://HOST`: the page of a run on another host, over the system's own `ssh`."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from broker.errors import AddressInUse, UserError
from broker.free_ports import on_a_free_port
from scenarios.commands.looking.browser import open_in_browser
from scenarios.commands.screen import say
from scenarios.results.temporary import temporary_folder
from scenarios.running.hosts.ssh import explained

_SHOWN = re.compile(r"http://127\.0\.0\.1:(?P<port>\d+)/(?P<rest>\S*)")
_LEADS, _IN_USE = "foretell-leads-there", "Address already in use"
_END_WITHIN_S = 5.0


def watch_elsewhere(root: Path, elsewhere: str, port: int, *, opens: bool) -> None:
    """Start the same command there, bring its port here, and stay until Ctrl-C.

    Args:
        root: The run's folder there.
        elsewhere: ssh://HOST, the host as `ssh` knows it.
        port: Of the page here; 0: any that is free.
        opens: Whether to open it in this host's browser.

    Raises:
        UserError: The host cannot be reached, or the command fails there.
    """
    scheme, _, host = elsewhere.partition("://")
    if scheme != "ssh" or not host or host.startswith("-"):
        msg = f"--on: expected ssh://HOST, such as ssh://pi@pi1.local, found {elsewhere!r}"
        raise UserError(msg)
    with suppress(KeyboardInterrupt), _there(root, host) as (there, shown), ExitStack() as kept:

        def forward(from_port: int) -> int:
            kept.enter_context(_forwarded(host, from_port, int(shown["port"])))
            return from_port

        url = f"http://127.0.0.1:{forward(port) if port else on_a_free_port(forward)}/{shown['rest']}"
        say(f"watching {root} on {host}: {url}")
        if opens:
            open_in_browser(url, kept.enter_context(temporary_folder()))
        there.wait()


@contextmanager
def _there(root: Path, host: str) -> Iterator[tuple[subprocess.Popen[str], re.Match[str]]]:
    """The command on the other host, and where it says that its page is; it ends with its connection."""
    remote = f"foretell watch {shlex.quote(str(root))}"
    # -tt: with a terminal, what runs there is hung up when this end goes.
    with _started("ssh", "-tt", "-o", "ConnectTimeout=10", "--", host, remote) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        said = ""
        for line in process.stdout:
            said += line
            if shown := _SHOWN.search(line):
                yield process, shown
                return
        msg = f"cannot watch {root} on {host}: {_reason(said, host)}"
        raise UserError(msg)


def _reason(said: str, host: str) -> str:
    """What the command there said, else what `ssh` did."""
    lines = [line for line in said.splitlines() if not line.startswith("Connection to ")]  # `ssh` says goodbye
    own = [line.removeprefix("foretell: ") for line in lines if line.startswith("foretell: ")]
    return own[-1] if own else explained("\n".join(lines), host) or "it said nothing"


@contextmanager
def _forwarded(host: str, port: int, there: int) -> Iterator[None]:
    """A port here that leads to one of the other host's own.

    `ssh` listens here before it starts a command there: so one that says a word, and then waits for the end.

    Raises:
        AddressInUse: Another program listens here.
        UserError: `ssh` cannot do it for another reason.
    """
    leads = f"127.0.0.1:{port}:127.0.0.1:{there}"
    words = ("ssh", "-T", "-o", "ExitOnForwardFailure=yes", "-L", leads, "--", host, f"echo {_LEADS} && cat")
    with _started(*words, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        said = ""
        for line in process.stdout:
            if line.strip() == _LEADS:
                yield
                return
            said += line
        if _IN_USE in said:
            raise AddressInUse("the page", f"127.0.0.1:{port}", "--port")
        msg = f"cannot bring the page on {host} here: {explained(said, host) or '`ssh` said nothing'}"
        raise UserError(msg)


@contextmanager
def _started(*words: str, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's ssh
            words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        msg = f"cannot start {words[0]}: {error.strerror}"
        raise UserError(msg) from None
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_END_WITHIN_S)
        process.kill()
