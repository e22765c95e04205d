"""What becomes of Ctrl-C and of a terminal's end while a run's processes are being started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from runs import until

from scenarios.running.control.interrupting import interruptible
from scenarios.running.processes.fork_server_start import forking

pytestmark = pytest.mark.processes

SIGNALS = (signal.SIGINT, signal.SIGHUP)
MASK = "import json, signal; print(json.dumps([int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])]))"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_comes_while_processes_are_started_reaches_the_launcher(number):
    with interruptible() as asked:
        with forking():
            os.kill(os.getpid(), number)
        until(asked, "the signal")  # which another thread may take, a little later


def test_what_is_started_meanwhile_does_not_end_of_them():
    with forking():
        said = subprocess.run([sys.executable, "-c", MASK], check=True, capture_output=True).stdout
    assert set(SIGNALS) <= set(json.loads(said))
    assert not set(SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, [])


SCRIPT = """
import os, sys
from scenarios.running.processes.fork_server_start import forking, start_fork_server

print("the script is executed", flush=True)
server = start_fork_server(["os"])
with forking():
    process = server.Process(target=os.mkdir, args=(sys.argv[1],))
    process.start()
process.join()
"""


def test_a_script_that_starts_processes_is_not_executed_again_in_each_of_them(tmp_path):
    script, made = tmp_path / "script.py", tmp_path / "made"
    script.write_text(SCRIPT)
    said = subprocess.run([sys.executable, script, made], capture_output=True, text=True, check=False)
    assert (said.stdout.count("executed"), said.stderr, made.is_dir()) == (1, "", True)


THREADS = """
import os, threading, time
from multiprocessing import forkserver
from scenarios.running.processes.fork_server_start import forking, start_fork_server

def fork():
    server = start_fork_server(["scenarios.running.processes.fork_server"])
    with forking():
        process = server.Process(target=os.getpid)
        process.start()
    process.join()
    servers.append(forkserver._forkserver._forkserver_pid)

servers = []
for _ in range(2):
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    time.sleep(0.2)
print(len(set(servers)))
"""


def test_runs_in_threads_share_a_server_that_outlives_the_thread_that_started_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(THREADS)
    said = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (said.stdout, said.stderr) == ("1\n", "")
