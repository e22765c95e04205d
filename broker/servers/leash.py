"""`python -P -m broker.servers.leash PARENT POLICY COMMAND ...`: become COMMAND, and end with who started it.

However that ends: the kernel kills, so not even `kill -9` of the starter leaves a process behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from broker.isolated import isolated_module
from broker.own_clock import OwnClock
from broker.threads import schedule

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux; outlives exec, unless the command changes its user


def leashed(command: Sequence[str], scheduling: str) -> list[str]:
    """The command line that runs `command` on a leash of this process, scheduled by `broker.threads.schedule`'s policy.

    Start it from a thread that lives as long as the command shall: the kernel watches the thread.
    """
    return isolated_module("broker.servers.leash", str(os.getpid()), scheduling, *command)


def end_with_parent() -> None:
    """Let the kernel kill this process as soon as the thread that started it has ended, even while it is stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def end(process: subprocess.Popen[Any], within_s: float) -> None:
    """End a process that was started here: ask, and insist after `within_s` seconds."""
    process.terminate()
    end_of_input(process, within_s)


def end_of_input(process: subprocess.Popen[Any], within_s: float) -> None:
    """Wait for a process that ends with its input; insist after `within_s` seconds."""
    clock = OwnClock()
    give_up_at = clock() + within_s
    while process.poll() is None and (left_s := clock.left_s(give_up_at)) > 0:
        with suppress(subprocess.TimeoutExpired):
            process.wait(left_s)
    if process.poll() is None:
        process.kill()
        process.wait()


def main() -> None:
    """Put this process on the leash and become the command."""
    parent, policy, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    end_with_parent()
    schedule(policy)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the starter's own command line


if __name__ == "__main__":
    main()
