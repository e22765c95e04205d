"""The leash: a command never outlives who started it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from broker.servers.leash import leashed

pytestmark = pytest.mark.processes

SAY = [sys.executable, "-c", "print('said')"]
HOLDER = """
import subprocess, sys
from broker.servers.leash import leashed
code = "print('runs', flush=True); import time; time.sleep(30); print('outlived it')"
subprocess.run(leashed([sys.executable, "-c", code], "normal"))
"""


def test_who_was_started_by_another_does_nothing():
    command = leashed(SAY, "normal")
    command[command.index(str(os.getpid()))] = str(os.getppid())
    ended = subprocess.run(command, check=False, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


def test_who_was_started_by_its_parent_becomes_the_command():
    assert subprocess.run(leashed(SAY, "normal"), check=True, capture_output=True).stdout == b"said\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel kills on Linux alone")
def test_a_command_ends_with_its_starter_even_if_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"runs\n"
        holder.kill()
        assert holder.stdout.read() == b"", "a pipe is at its end when all who write to it are gone"
