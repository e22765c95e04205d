"""A slice that was changed by hand, or that another Foretell wrote, is refused before anything is done with it."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path

import pytest

from agent_node.config import AgentConfig
from broker.arithmetic.version import ARITHMETIC
from broker.driving.process import main
from broker.driving.slices import reader_of
from broker.participants.link import LinkConfig
from broker.participants.seal import OF_THE_HOST
from broker.release import FORETELL
from scenarios.commands.check import write_slices
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan

PAGE = Path(__file__).parents[3] / "docs/protocol.md"


@pytest.fixture
def slices(tmp_path):
    write_slices(make_plan(load_scenario("exchange-quick", {"episodes": 2})), tmp_path)
    return tmp_path


@pytest.fixture
def start(slices, monkeypatch, caplog):
    """Starts agent-1 with something else in its slice; its exit code, what it said, and whether it began."""

    def start(*path, value):
        place, begun = slices / "agent-1.json", []
        told = json.loads(place.read_text())
        holder = told
        for name in path[:-1]:
            holder = holder[name]
        assert holder[path[-1]] != value
        holder[path[-1]] = value
        place.write_text(json.dumps(told))
        monkeypatch.setattr(sys, "argv", ["agent", str(place)])
        with caplog.at_level(logging.INFO):
            code = main("agent", reader_of(AgentConfig), lambda config: begun.append(config) or 0)
        return code, caplog.messages, begun

    return start


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("link", "seed"), 8),
        (("link", "name"), "agent-2"),
        (("link", "run"), "exchange-quick-aaaaaaaa"),
        (("link", "identity", "document"), "0" * 64),
        (("learning", "actor_learning_rate"), 0.5),
        (("episodes",), 7),
        (("algorithm", "name"), "independent"),
    ],
)
def test_a_slice_in_which_a_number_was_changed_by_hand_is_refused(start, path, value):
    code, (said,), begun = start(*path, value=value)
    assert (code, begun) == (2, [])
    assert "was changed: expected the seal" in said
    assert "Change the scenario instead, and write all slices anew" in said


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("link", "addresses"), {"agent-1": "tcp://10.0.0.7:5670"}),
        (("link", "listen"), "tcp://0.0.0.0:5670"),
        (("link", "broker"), "tcp://10.0.0.7:5670"),
        (("link", "credentials"), "/of/this/host"),
        (("link", "journal"), "/of/this/host"),
        (("link", "counters"), "/of/this/host"),
        (("link", "trace"), {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "folder": "/of/this/host"}),
        (("link", "observed"), True),
        (("link", "life", "checkpoints"), "/of/this/host"),
        (("link", "joining", "give_up_s"), 300.0),
        (("link", "transport", "scheduling"), "normal"),
    ],
)
def test_where_things_are_may_be_changed_in_a_slice(start, path, value):
    code, said, begun = start(*path, value=value)
    assert (code, said, len(begun)) == (0, [], 1)


THE_RUNS = {"run", "identity", "name", "peers", "seed", "episodes_before", "longest_episode", "faults", "largest_bytes"}


def test_of_each_setting_of_a_link_it_is_said_whether_the_run_or_the_host_has_it():
    assert not THE_RUNS & OF_THE_HOST
    assert set(LinkConfig.model_fields) == THE_RUNS | OF_THE_HOST


def test_the_page_names_all_that_may_be_changed_in_a_slice():
    (told,) = re.findall(r"A slice that is started by hand.*?\n\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", told)) == OF_THE_HOST - {"seal"} | {"link", "environment", "file"}


def test_a_slice_that_another_foretell_wrote_is_refused_with_both_versions(start):
    code, (said,), begun = start("link", "identity", "version", value="0.0.9")
    assert (code, begun) == (2, [])
    assert said.startswith(f"the slice is of another Foretell: expected {FORETELL}, found '0.0.9'. Install one version")


def test_a_slice_of_another_arithmetic_is_refused_with_both(start):
    code, (said,), begun = start("link", "identity", "arithmetic", value=ARITHMETIC + 1)
    assert (code, begun) == (2, [])
    expected = f"expected arithmetic {ARITHMETIC}, found {ARITHMETIC + 1}. Install one version for all"
    assert said.startswith(f"the slice is of another Foretell: {expected}")
