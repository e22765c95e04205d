"""Reaching a host with the system's own `ssh`: its configuration, agent and jump hosts are the user's."""

from __future__ import annotations

import shlex

from broker.isolated import isolated_module

_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=10")
COMMAND = "scenarios"
"""The module that is the command `foretell`."""
_OURS = "foretell: "
_SHOWN = 300
_KNOWN = (
    ("IDENTIFICATION HAS CHANGED", "its key is not the one known here. Find out why, then: ssh-keygen -R HOST"),
    ("Host key verification failed", "its key is not known here. Look at it once: ssh {ssh}"),
    ("Could not resolve hostname", "its name does not resolve. Check the host's `ssh`"),
    ("Connection refused", "nothing there takes ssh. Start its SSH server, or check the host's `ssh` and its port"),
    ("timed out", "it does not answer. Is it on, and does its firewall let ssh in?"),
    ("No route to host", "the network does not reach it. Is it on, and is its address right?"),
    ("Permission denied", "it lets nobody in without a password. Set a key up: ssh-copy-id {ssh}"),
    ("Unknown option: -P", "its Python is older than 3.11. Set the host's `python`"),
    ("No module named", "its Python has no Foretell. Install it there, or set the host's `python`"),
    ("No such file or directory", "there is no such Python. Set the host's `python`"),
    ("not found", "there is no such Python. Set the host's `python`"),
)
"""First what `ssh` says, which may also warn of a file of keys that is not there; then what the shell there says."""


def ssh_command(ssh: str, python: str, folder: str, act: str, metrics: str) -> list[str]:
    """The command line that starts `foretell host --stdio` on another host.

    Args:
        ssh: The host, as `ssh` knows it.
        python: The Python there; `~/` is the home folder there.
        folder: Where it keeps its runs.
        act: The policy that its agents only act with; empty for none.
        metrics: Where it serves metrics; empty for nowhere.
    """
    home = "~/" if python.startswith("~/") else ""
    words = shlex.join(["-P", "-m", COMMAND, *_host(folder, act, metrics)])
    remote = f"{home}{shlex.quote(python.removeprefix('~/'))} {words}"
    return ["ssh", *_OPTIONS, "--", ssh, remote]


def local_command(folder: str, act: str, metrics: str) -> list[str]:
    """The command line that starts it on this host."""
    return isolated_module(COMMAND, *_host(folder, act, metrics))


def _host(folder: str, act: str, metrics: str) -> tuple[str, ...]:
    """The words behind the command; the place of a policy counts from the home folder without `~/`."""
    acting = ("--act", act.removeprefix("~/")) if act else ()
    served = ("--metrics", metrics) if metrics else ()
    return ("host", "--stdio", "--folder", folder, *acting, *served)


def explained(said: str, ssh: str) -> str:
    """A sentence from what `ssh`, the shell there, or Foretell there, said; empty if it said nothing."""
    lines = _lines(said)
    for mark, sentence in () if _ours(lines) else _KNOWN:
        if any(mark in line for line in lines):
            return f"{sentence.format(ssh=ssh)} ({lines[-1][:_SHOWN]})"
    return last_words(said, f"`ssh {ssh}`")


def last_words(said: str, who: str) -> str:
    """What Foretell itself said, or else the last words, which are those of `who`; empty if nothing was said."""
    lines = _lines(said)
    if ours := _ours(lines):
        return ours[-1][:_SHOWN]
    return f"{who} said: {lines[-1][:_SHOWN]}" if lines else ""


def _ours(lines: list[str]) -> list[str]:
    """What Foretell said, which was then reached."""
    return [line.removeprefix(_OURS) for line in lines if line.startswith(_OURS)]


def _lines(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.strip()]
