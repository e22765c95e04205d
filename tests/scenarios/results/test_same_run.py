"""What must not change for a run to go on, asked of what it was begun with alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from scenarios.document.agent_names import AgentNames
from scenarios.document.loading import load_scenario
from scenarios.results.answers import DocumentRow
from scenarios.results.reader import RunReader
from scenarios.results.same_run import require_agents, require_same_run

ROOT = Path("runs/one")
SCENARIO = load_scenario("exchange-quick", {"episodes": 4})
BEGUN = DocumentRow(SCENARIO.digest, 4, "simulate", ARITHMETIC)


@pytest.mark.parametrize("begun", [None, BEGUN, BEGUN._replace(episodes=3)])
def test_a_run_goes_on_as_it_was_begun_or_to_more_episodes_and_begins_with_anything(begun):
    require_same_run(ROOT, begun, SCENARIO, "simulate")


@pytest.mark.parametrize(
    ("begun", "sentence"),
    [
        (BEGUN._replace(digest="a" * 64), f"another document: expected {'a' * 16}, found {SCENARIO.digest[:16]}. Only"),
        (BEGUN._replace(episodes=5), "another document: expected at least 5 episodes, found 4. Only more episodes"),
        (BEGUN._replace(substrate="run"), "runs/one was begun with `foretell run`: go on with `foretell resume runs/"),
        (BEGUN._replace(arithmetic=7), f"arithmetic 7, and this Foretell computes with arithmetic {ARITHMETIC}: go on"),
    ],
)
def test_a_run_that_was_begun_otherwise_is_refused_by_the_one_question_for_all_of_it(begun, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        require_same_run(ROOT, begun, SCENARIO, "simulate")


def test_other_agents_or_another_order_of_them_are_refused_once_there_are_any():
    names, others = AgentNames({"agent-0": "wolf", "agent-1": "dog"}), AgentNames({"agent-0": "dog", "agent-1": "wolf"})
    require_agents(ROOT, AgentNames({}), names)
    require_agents(ROOT, names, names)
    with pytest.raises(UserError, match="begun with the agents wolf, dog; its environment has now dog, wolf"):
        require_agents(ROOT, names, others)


def test_the_reader_answers_and_refuses_nothing_but_a_store_of_another_version():
    assert [name for name in dir(RunReader) if name.startswith("require")] == ["require_version"]
