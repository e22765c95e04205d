"""What agents are called: people are told the environment's names with the ids, and documents may speak of either."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

from broker.errors import ScenarioError
from scenarios.document.agent_names import AgentNames
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan

MPE = AgentNames.of(3, ("adversary_0", "agent_0", "agent_1"))
PREY, WOLF, CUB = "prey", "wolf", "wolf cub"


class Named(ParallelEnv):
    """Agents without anything to do."""

    def __init__(self, names):
        self.possible_agents, self.agents = names, []

    def observation_space(self, _agent):
        return Box(-1, 1, (2,))

    def action_space(self, _agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents = self.possible_agents[:]
        return {agent: np.zeros(2) for agent in self.agents}, {agent: {} for agent in self.agents}

    def close(self):
        pass


@pytest.fixture
def planned(monkeypatch):
    """The plan of a scenario whose environment has agents of these names."""

    def plan(names, **settings):
        module = ModuleType("named")
        module.parallel_env = lambda: Named(list(names))
        monkeypatch.setitem(sys.modules, "named", module)
        environment = {"kind": "pettingzoo", "env": "named", "observation": "own", "steps": 3}
        dotted = {name.replace("__", "."): value for name, value in settings.items()}
        return make_plan(load_scenario("exchange-quick", {"environment": environment} | dotted))

    return plan


# What people are told


def test_people_are_told_the_environments_name_with_the_id_and_only_the_id_where_it_has_none():
    assert [MPE.told(agent) for agent in MPE.by_id] == [
        "adversary_0 (agent-0)",
        "agent_0 (agent-1)",
        "agent_1 (agent-2)",
    ]
    assert MPE.told("environment") == "environment"
    for own in (AgentNames.of(2, ()), AgentNames.of(2, ("agent-0", "agent-1"))):
        assert not own.own
        assert [own.told(agent) for agent in own.by_id] == ["agent-0", "agent-1"]
        assert own.tell("agent-0 waits for agent-1") == "agent-0 waits for agent-1"


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("agent-0 died: it hung", "adversary_0 (agent-0) died: it hung"),
        ("of agent-0, agent-2.", "of adversary_0 (agent-0), agent_1 (agent-2)."),
        ("agent-0->agent-1: 3", "adversary_0 (agent-0)->agent_0 (agent-1): 3"),
        ("agent-0->environment", "adversary_0 (agent-0)->environment"),
        ("agent-0 (3 of 7)", "adversary_0 (agent-0) (3 of 7)"),
        *(
            (same, same)
            for same in (
                "agent-17 is nobody",
                "Its log: runs/x/logs/agent-1.log",
                "agent-1.json, my-agent-1, agent-1-0.journal, agent-1/x",
                'added: {"participants":["agent-1"]}',
                "there is no 'agent-1'",
                'reward of "agent-1" at step 3 is nan',
            )
        ),
    ],
)
def test_in_a_sentence_ids_are_told_where_they_are_words_and_left_in_paths_and_quotes(sentence, told):
    assert MPE.tell(sentence) == told


def test_a_name_that_looks_like_an_id_is_told_once_and_with_the_id_that_is_meant():
    crossed = AgentNames.of(2, ("agent-1", "agent-0"))
    assert crossed.tell("agent-0 waits for agent-1") == "agent-1 (agent-0) waits for agent-0 (agent-1)"


def test_a_list_of_many_agents_is_cut_and_says_so():
    assert MPE.listed(3) == "adversary_0 (agent-0), agent_0 (agent-1), agent_1 (agent-2)"
    assert MPE.listed(1) == "adversary_0 (agent-0), ..."


# Whom a document means


def test_the_plan_knows_the_environments_names_and_tells_them_its_environment(planned):
    plan = planned((PREY, WOLF, CUB))
    assert plan.agents == ("agent-0", "agent-1", "agent-2")
    assert plan.names.by_id == {"agent-0": PREY, "agent-1": WOLF, "agent-2": CUB}


def test_own_tasks_keep_ids():
    assert make_plan(load_scenario("exchange-quick")).names.by_id == {name: name for name in MPE.by_id}


def test_edges_of_a_graph_may_be_named_by_either(planned):
    edges = [[PREY, "agent-1"], [WOLF, CUB]]
    plan = planned((PREY, WOLF, CUB), topology={"kind": "edges", "edges": edges})
    assert plan.graph.neighbors["agent-1"] == ("agent-0", "agent-2")
    assert plan.scenario.topology.edges == (("agent-0", "agent-1"), ("agent-1", "agent-2"))


def test_what_is_wrong_with_a_graph_is_said_with_names(planned):
    with pytest.raises(ScenarioError, match=r"wolf \(agent-1\) is joined with itself"):
        planned((PREY, WOLF), topology={"kind": "edges", "edges": [[WOLF, "agent-1"]]})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"agents": [PREY]}, {"agents": ("agent-0",)}),
        ({"agents": ["wolf*"]}, {"agents": ("agent-1", "agent-2")}),
        ({"agents": ["agent-*", PREY]}, {"agents": ("agent-*", "agent-0")}),
        ({"agents": ["*"]}, {"agents": ("*",)}),
        ({"agents": ["environment"], "messages": ["action"]}, {"agents": ("environment",)}),
        ({"source": CUB, "destination": "agent-0"}, {"source": "agent-2", "destination": "agent-0"}),
        ({"edges": ["wolf*->prey", "agent-0->*"]}, {"edges": ("agent-1->agent-0", "agent-2->agent-0", "agent-0->*")}),
        ({"edges": ["*"]}, {"edges": ("*",)}),
        ({"kind": "partition", "groups": [[PREY], ["wolf*"]]}, {"groups": (("agent-0",), ("agent-1", "agent-2"))}),
    ],
)
def test_faults_of_messages_may_name_agents_by_either(planned, given, meant):
    fault = {"kind": "drop", "probability": 0.5} | given
    if fault["kind"] == "partition":
        del fault["probability"]
    (found,) = planned((PREY, WOLF, CUB), faults=[fault]).scenario.faults
    assert {name: getattr(found, name) for name in meant} == meant


def test_a_fault_of_messages_that_names_nobody_is_refused_with_the_names_there_are(planned):
    with pytest.raises(ScenarioError, match=r"prey \(agent-0\), wolf \(agent-1\), found 'nobody'"):
        planned((PREY, WOLF), faults=[{"kind": "drop", "probability": 0.5, "agents": ["nobody"]}])


def test_faults_of_processes_may_name_agents_by_either(planned):
    fault = {"kind": "crash", "participants": ["wolf*", "environment"], "at_episodes": [1]}
    (found,) = planned((PREY, WOLF, CUB), faults=[fault]).scenario.faults
    assert found.participants == ("agent-1", "agent-2", "environment")
    with pytest.raises(ScenarioError, match=r"some of environment, prey \(agent-0\), wolf \(agent-1\)"):
        planned((PREY, WOLF), faults=[fault | {"participants": ["lion"]}])


def test_a_document_that_names_agents_by_either_is_the_same_run(planned):
    """Its resolved document is what slices, digest and the run's folder are made of."""
    by_name = planned((PREY, WOLF), faults=[{"kind": "drop", "probability": 0.5, "agents": [PREY]}])
    by_id = planned((PREY, WOLF), faults=[{"kind": "drop", "probability": 0.5, "agents": ["agent-0"]}])
    assert by_name.scenario == by_id.scenario
    assert by_name.scenario.digest == by_id.scenario.digest


def test_an_id_means_its_agent_even_where_another_agent_has_it_as_its_name(planned):
    plan = planned(("agent-1", "agent-0"), faults=[{"kind": "drop", "probability": 0.5, "agents": ["agent-1"]}])
    assert plan.scenario.faults[0].agents == ("agent-1",)
    assert plan.names.told("agent-1") == "agent-0 (agent-1)"


def test_a_name_of_several_agents_is_refused_where_one_is_meant_and_said_with_their_ids(planned):
    twins = (1, "1", "2")
    assert planned(twins).names.by_id == {"agent-0": "1", "agent-1": "1", "agent-2": "2"}
    with pytest.raises(ScenarioError, match="'1' is what the environment calls agent-0, agent-1: say which by its id"):
        planned(twins, faults=[{"kind": "drop", "probability": 0.5, "agents": ["1"]}])
    with pytest.raises(
        ScenarioError, match=r"^topology.edges\[0\]: '1' is what the environment calls agent-0, agent-1"
    ):
        planned(twins, topology={"kind": "edges", "edges": [["1", "2"]]})
    with pytest.raises(ScenarioError, match=r"found 'wolf\*' for wolf \(agent-1\), wolf cub \(agent-2\): use `agents`"):
        planned((PREY, WOLF, CUB), faults=[{"kind": "drop", "probability": 0.5, "source": "wolf*"}])


@pytest.mark.parametrize("name", ["[ab]", "x*", "?"])
def test_a_name_that_looks_like_a_pattern_is_taken_word_by_word_first(planned, name):
    plan = planned(("a", name, "b"), faults=[{"kind": "drop", "probability": 0.5, "agents": [name]}])
    assert plan.scenario.faults[0].agents == ("agent-1",)
