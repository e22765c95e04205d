"""A campaign of a kill at a random moment over each transport, by the command that makes the long one."""

from __future__ import annotations

import re

import pytest
from runs import foretell, need_mosquitto

pytestmark = [pytest.mark.processes, pytest.mark.long]


def test_a_campaign_of_kills_ends_every_run_with_the_figures_of_an_undisturbed_one() -> None:
    need_mosquitto()
    # It kills a launcher and an agent, on a fast machine after the first checkpoint; test_crash.py does so anywhere.
    done = foretell("bench", "recovery", "--kills", "2", "--episodes", "30", "--seed", "56")
    assert done.returncode == 0, done.stderr
    found = re.findall(r"recovery: (\d+) of (\d+) runs? over (\w+), with (\d+) kill, ended", done.stdout)
    assert [transport for _, _, transport, _ in found] == ["zeromq", "mqtt"]
    for faithful, runs, _, kills in found:
        assert faithful == runs, done.stdout
        assert int(kills) == 1
