"""How a launcher goes on trying to reach a host that it has lost, and when it stops."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from limits import LIMIT_S
from runs import until

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.release import FORETELL
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.running.hosts.client import LOST, HostClient
from scenarios.running.hosts.frames import IntactKept, OpenRun, StartNode, StopNode
from scenarios.running.hosts.piped import Piped
from scenarios.running.hosts.ssh import local_command
from scenarios.running.meeting.addresses import make_addresses

pytestmark = pytest.mark.processes
OPENING = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {})


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostClient]:
    """A host that is a process of this one."""
    log = tmp_path / "host.log"
    dial = partial(Piped, local_command(str(tmp_path), "", ""), log, str.strip)
    made = HostClient("pi1", dial, OPENING, log, try_for_s=LIMIT_S)
    made.dial()
    made.greet()
    yield made
    made.close()


def pid_of_host(root: Path) -> int:
    return int(json.loads((root / "tiny" / "host.json").read_bytes())["pid"])


def test_who_ran_on_a_host_that_was_lost_is_lost_though_it_is_reached_again_before_anybody_looked(host, tmp_path):
    plan = make_plan(load_scenario("exchange-quick"))
    wiring = Wiring("tiny", make_addresses(plan.participants, plan.scenario.transport.zeromq, tmp_path))
    host.ask(StartNode("agent-0", plan.agent("agent-0", wiring).model_dump_json()))  # it waits for the others
    os.kill(pid_of_host(tmp_path), signal.SIGKILL)
    until(lambda: host.is_lost, "the end of the connection")
    assert host.ask(IntactKept("agent-0")) == []
    assert host.ended()["agent-0"].code == LOST


def test_what_is_kept_on_a_host_is_asked_again_where_it_is_lost_before_it_answers(host, tmp_path):
    pid, answers = pid_of_host(tmp_path), []
    os.kill(pid, signal.SIGSTOP)
    asking = threading.Thread(target=lambda: answers.append(host.ask(IntactKept("agent-0"))))
    asking.start()
    os.kill(pid, signal.SIGKILL)
    asking.join(LIMIT_S)
    assert answers == [[]]


def test_a_host_that_cannot_be_reached_for_long_enough_is_tried_no_more(tmp_path):
    tries, log = tmp_path / "tries", tmp_path / "host.log"
    command = ["sh", "-c", f'echo x >> "{tries}"; echo no route to host >&2; exit 1']
    client = HostClient("pi1", partial(Piped, command, log, str.strip), OPENING, log, try_for_s=1.0)
    client.dial()
    until(lambda: client.is_lost, "the end of the first try")
    counts = []
    for _ in range(2):
        with pytest.raises(UserError, match=r"^host pi1 cannot be used: no route to host$"):
            client.ask(StopNode("agent-0"))
        counts.append(len(tries.read_text().split()))
    client.close()
    assert counts[0] > 1
    assert counts[1] == counts[0]
