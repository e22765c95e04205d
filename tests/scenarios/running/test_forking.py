"""What becomes of Ctrl-C and of a terminal's end while a run's processes are being started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from scenarios.commands.terminal import interruptible
from scenarios.running.processes.fork_server_start import forking

pytestmark = pytest.mark.processes

SIGNALS = (signal.SIGINT, signal.SIGHUP)
MASK = "import json, signal; print(json.dumps([int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])]))"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_comes_while_processes_are_started_reaches_the_launcher(number):
    with interruptible() as asked:
        with forking():
            os.kill(os.getpid(), number)
        assert asked()


def test_what_is_started_meanwhile_does_not_end_of_them():
    with forking():
        said = subprocess.run([sys.executable, "-c", MASK], check=True, capture_output=True).stdout
    assert set(SIGNALS) <= set(json.loads(said))
    assert not set(SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, [])
