"""How a launcher goes on trying to reach a host that it has lost, and when it stops."""

from __future__ import annotations

import pytest
from runs import until

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.release import FORETELL
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.frames import OpenRun, StopNode

pytestmark = pytest.mark.processes


def test_a_host_that_cannot_be_reached_for_long_enough_is_tried_no_more(tmp_path):
    tries, log = tmp_path / "tries", tmp_path / "host.log"
    command = ["sh", "-c", f'echo x >> "{tries}"; echo no route to host >&2; exit 1']
    opening = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {})
    client = HostClient("pi1", command, opening, log, explain=str.strip, try_for_s=1.0)
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
