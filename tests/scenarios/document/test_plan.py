"""From the document to what each participant is told, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from agent_node.config import AgentConfig
from agent_node.partners import ExchangePlan
from broker.arithmetic.version import ARITHMETIC
from broker.config import LONGEST_KEEPALIVE_S, MqttConfig
from broker.errors import ScenarioError, UserCodeFailed
from broker.wire.messages import ENVIRONMENT, OBSERVER
from env_service.config import ServiceConfig
from scenarios.document import planning
from scenarios.document.loading import load_scenario
from scenarios.document.needs import needs_of
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring

AGENTS = ("agent-0", "agent-1", "agent-2", "agent-3")
EVERYBODY = (ENVIRONMENT, *AGENTS, OBSERVER)
WIRING = Wiring("run-1", {name: f"ipc:///tmp/{name}" for name in EVERYBODY}, observed=True)
LINE = {
    "agent-0": ("agent-1",),
    "agent-1": ("agent-0", "agent-2"),
    "agent-2": ("agent-1", "agent-3"),
    "agent-3": ("agent-2",),
}
DROP = {"kind": "drop", "probability": 0.5}


def scenario(**parts):
    document = {
        "name": "planned",
        "seed": 5,
        "episodes": 12,
        "parallel_episodes": 3,
        "environment": {"kind": "exchange", "agents": 4, "steps": 17},
        "topology": {"kind": "line"},
    }
    return Scenario.model_validate(document | parts)


def refused(**parts):
    with pytest.raises(ScenarioError) as caught:
        make_plan(scenario(**parts))
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_environment_comes_first_and_agents_in_order():
    assert make_plan(scenario()).participants == (ENVIRONMENT, *AGENTS)


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_is_told_of_the_environment_and_its_own_neighbors_only(agent):
    link = make_plan(scenario()).agent(agent, WIRING).link
    assert link.name == agent
    assert link.peers == (ENVIRONMENT, *LINE[agent])


def test_the_environment_is_told_of_all_agents():
    link = make_plan(scenario()).environment(WIRING).link
    assert (link.name, link.peers) == (ENVIRONMENT, AGENTS)
    assert set(link.addresses) == set(EVERYBODY)


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_knows_no_address_but_its_own_its_peers_and_the_observers(agent):
    addresses = make_plan(scenario()).agent(agent, WIRING).link.addresses
    known = {agent, ENVIRONMENT, OBSERVER, *LINE[agent]}
    assert addresses == {name: f"ipc:///tmp/{name}" for name in known}


@pytest.mark.parametrize(
    ("mqtt", "keepalive_s"),
    [({}, LONGEST_KEEPALIVE_S), ({"address": "mqtt://pi.local:1883"}, MqttConfig().keepalive_s)],
)
def test_a_broker_of_the_runs_own_takes_the_silence_of_stopped_participants_for_nothing(mqtt, keepalive_s):
    plan = make_plan(scenario(transport={"kind": "mqtt", "mqtt": mqtt}))
    links = (plan.agent("agent-0", WIRING).link, plan.environment(WIRING).link, plan.observer(WIRING))
    assert {link.transport.mqtt.keepalive_s for link in links} == {keepalive_s}


def test_who_is_observed_is_said_once_for_all():
    plan = make_plan(scenario())
    assert plan.agent("agent-0", WIRING).link.observed
    assert not plan.agent("agent-0", Wiring("run-1", WIRING.addresses)).link.observed
    assert not plan.environment(Wiring("run-1")).link.observed


def test_the_observer_hears_everybody_and_is_not_observed_itself():
    link = make_plan(scenario()).observer(WIRING)
    assert (link.name, link.peers, link.observed) == (OBSERVER, (ENVIRONMENT, *AGENTS), False)
    assert set(link.addresses) == set(EVERYBODY)


@pytest.mark.parametrize("name", [*AGENTS, ENVIRONMENT])
def test_each_is_told_of_the_broker_and_of_its_own_folder_of_keys_alone(name):
    wiring = Wiring("run-1", broker="mqtts://10.0.0.7:8883", keys=Path("/keys"))
    plan = make_plan(scenario())
    link = (plan.environment(wiring) if name == ENVIRONMENT else plan.agent(name, wiring)).link
    assert (link.broker, link.credentials) == ("mqtts://10.0.0.7:8883", Path("/keys") / name)


def test_every_participant_keeps_its_own_journal_or_none():
    plan = make_plan(scenario())
    wiring = Wiring("run-1", journals=Path("/journals"))
    assert plan.agent("agent-2", wiring).link.journal == Path("/journals/agent-2.journal")
    assert plan.environment(wiring).link.journal == Path("/journals/environment.journal")
    assert plan.agent("agent-2", WIRING).link.journal is None


def test_all_are_told_the_same_about_the_run():
    plan = make_plan(scenario(faults=[DROP], joining={"give_up_s": 9}, service={"give_up_s": 77}))
    links = [plan.environment(WIRING).link, *(plan.agent(agent, WIRING).link for agent in AGENTS)]
    assert {(link.run, link.seed, link.joining.give_up_s) for link in links} == {("run-1", 5, 9)}
    assert {link.faults for link in links} == {plan.scenario.faults}
    agent, environment = plan.agent("agent-0", WIRING), plan.environment(WIRING)
    assert agent.give_up_s == environment.service.give_up_s == 77
    assert (agent.episodes, agent.parallel_episodes, agent.steps) == (12, 3, 17)
    assert (environment.episodes, environment.parallel_episodes) == (12, 3)
    assert environment.neighbors == LINE
    assert (agent.action_counts, agent.observation_size) == (dict.fromkeys(AGENTS, 6), 20)


@pytest.mark.parametrize("topology", [{"kind": "line"}, {"kind": "proximity", "distance": 1.5}])
def test_only_proximity_is_decided_step_by_step(topology):
    plan = make_plan(scenario(topology=topology))
    near = topology.get("distance")
    assert plan.environment(WIRING).proximity_distance == near
    assert plan.agent("agent-0", WIRING).proximity is (near is not None)


def test_a_slice_survives_as_json():
    plan = make_plan(scenario(faults=[DROP], topology={"kind": "proximity", "distance": 1.5}))
    agent, environment = plan.agent("agent-1", WIRING), plan.environment(WIRING)
    assert AgentConfig.model_validate_json(agent.model_dump_json()) == agent
    assert ServiceConfig.model_validate_json(environment.model_dump_json()) == environment


class Placeless:
    """A task that does not say where its agents are."""

    agent_names, action_counts, observation_size, steps, noop_action = (), (5, 5), 3, 10, None

    def __init__(self):
        self.closed = 0

    def positions(self):
        return None

    def action_masks(self):
        return None

    def close(self):
        self.closed += 1


def test_proximity_without_positions_is_refused(monkeypatch):
    task = Placeless()
    monkeypatch.setattr(planning, "make_task", lambda _config, _copies, _seed: task)
    error = refused(topology={"kind": "proximity", "distance": 1.5})
    assert (error.path, task.closed) == ("topology.kind", 1)
    assert "does not say where its agents are" in error.problem


def test_why_a_scenario_is_refused_is_said_although_its_environment_cannot_be_closed(monkeypatch):
    class Stuck(Placeless):
        def close(self):
            raise UserCodeFailed("environment", "the window is gone")

    monkeypatch.setattr(planning, "make_task", lambda _config, _copies, _seed: Stuck())
    assert refused(topology={"kind": "proximity", "distance": 1.5}).path == "topology.kind"
    with pytest.raises(UserCodeFailed, match="the window is gone"):
        make_plan(scenario(topology={"kind": "complete"}))


def test_the_task_that_was_looked_at_is_closed(monkeypatch):
    task = Placeless()
    monkeypatch.setattr(planning, "make_task", lambda _config, _copies, _seed: task)
    make_plan(scenario(topology={"kind": "complete"}))
    assert task.closed == 1


def test_no_op_for_missing_actions_needs_a_task_that_has_one():
    predation = {"kind": "predation", "agents": 4}
    error = refused(environment=predation, service={"missing_action": "noop"})
    assert error.path == "service.missing_action"
    assert error.problem == "expected wait or repeat: this task has no action that does nothing"
    make_plan(scenario(environment=predation, service={"missing_action": "repeat"}))
    make_plan(scenario(service={"missing_action": "noop"}))


def test_an_agent_without_neighbors_is_refused_by_name():
    error = refused(topology={"kind": "edges", "edges": [["agent-0", "agent-1"], ["agent-1", "agent-3"]]})
    assert error.path == "topology.edges"
    assert "agent-2" in error.problem


@pytest.mark.parametrize(
    ("faults", "name"),
    [
        ([DROP, DROP], "drop"),
        ([DROP, DROP | {"name": "drop"}], "drop"),
        (
            [
                DROP | {"name": "rain"},
                {"kind": "delay", "name": "rain", "delay_s": {"distribution": "constant", "value_s": 1}},
            ],
            "rain",
        ),
    ],
)
def test_two_faults_with_one_name_are_refused(faults, name):
    error = refused(faults=faults)
    assert error.path == "faults[1].name"
    assert repr(name) in error.problem


def test_faults_with_names_of_their_own_are_taken():
    assert len(make_plan(scenario(faults=[DROP, DROP | {"name": "second"}])).scenario.faults) == 2


def test_an_algorithm_that_does_not_exist_is_refused_with_those_that_do():
    error = refused(algorithm={"name": "telepathy"})
    assert error.path == "algorithm.name"
    assert error.problem.startswith("expected one of anticipation-sharing, dna-marl, independent, networked-actor-")
    assert error.problem.endswith(", found 'telepathy'")


def test_an_algorithm_of_our_own_takes_no_settings_of_others():
    error = refused(algorithm={"name": "value-sharing", "settings": {"boldness": 1}})
    assert (error.path, error.problem.split(".")[0]) == ("algorithm.settings.boldness", "there is no such setting")


@pytest.mark.parametrize("name", ["anticipation-sharing", "value-sharing", "reward-sharing", "independent"])
def test_late_shares_are_reused_only_where_parameters_are_shared(name):
    error = refused(algorithm={"name": name}, exchange={"late_shares": "reuse"})
    assert error.path == "exchange.late_shares"
    assert error.problem.startswith(f"expected drop: {name} shares no parameters")


def test_calibrated_weights_are_refused_where_advantages_are_not_normalized():
    calibrated = {"anticipation_sharing": {"weights": "calibrated"}}
    make_plan(scenario(algorithm=calibrated))
    error = refused(algorithm=calibrated, learning={"normalize_advantages": False})
    assert error.path == "learning.normalize_advantages"
    assert error.problem.startswith("expected true: with calibrated weights")
    make_plan(scenario(algorithm=calibrated | {"name": "value-sharing"}, learning={"normalize_advantages": False}))


@pytest.mark.parametrize("name", ["value-parameter-sharing", "networked-actor-critic", "dna-marl", "policy-sharing"])
def test_agents_that_share_parameters_cannot_start_from_their_own(name):
    make_plan(scenario(algorithm={"name": name}, exchange={"late_shares": "reuse"}))
    make_plan(scenario(algorithm={"name": name}, learning={"initial_parameters": "common"}))
    error = refused(algorithm={"name": name}, learning={"initial_parameters": "own"})
    assert error.path == "learning.initial_parameters"
    assert error.problem.startswith(f"expected auto or common: {name} averages parameters")


def test_shares_too_large_for_the_transport_are_refused_before_anything_starts():
    """The largest share of policy-sharing: 4 policies of 20 -> 128 -> 64 -> 6, actions, bits, degree, head."""
    policies = 4 * (20 * 128 + 128 + 128 * 64 + 64 + 64 * 6 + 6)
    needed = 4 * policies + 4 * 17 * 3 + 7 + 4 + 1024
    crowded = {"algorithm": {"name": "policy-sharing"}, "transport": {"max_message_bytes": needed - 1}}
    error = refused(**crowded)
    assert error.path == "transport.max_message_bytes"
    expected = f"expected at least {needed}, which a share of policy-sharing may take here, found {needed - 1}"
    assert error.problem == expected
    make_plan(scenario(**crowded | {"transport": {"max_message_bytes": needed}}))
    make_plan(scenario(**crowded | {"algorithm": {"name": "value-sharing"}}))


def test_networks_of_an_algorithms_own_are_in_what_a_share_may_take_and_in_the_bill():
    """Critic 20 -> 128 -> 64 -> 1 and team reward 40 -> 128 -> 64 -> 1, degree, head."""
    critic, team = ((inputs * 128 + 128) + (128 * 64 + 64) + (64 + 1) for inputs in (20, 40))
    needed = 4 * (critic + team) + 4 + 1024
    networked = {"algorithm": {"name": "networked-actor-critic"}}
    error = refused(**networked | {"transport": {"max_message_bytes": needed - 1}})
    assert error.problem.startswith(f"expected at least {needed}, which a share of networked-actor-critic may take")
    make_plan(scenario(**networked | {"transport": {"max_message_bytes": needed}}))
    alike = scenario(algorithm={"name": "value-parameter-sharing"})
    bills = [needs_of(make_plan(each)).by_participant["agent-1"] for each in (scenario(**networked), alike)]
    assert bills[0] - bills[1] == 2 * 4 * team + 4 * 4 * team  # two neighbors' shares; itself, moments and gradient


@pytest.mark.parametrize("name", ["value-parameter-sharing", "dna-marl"])
def test_of_what_an_algorithm_keeps_nothing_is_in_a_share(name):
    """Critic 20 -> 128 -> 64 -> 1, degree, head; no target critic."""
    needed = 4 * (20 * 128 + 128 + 128 * 64 + 64 + 64 + 1) + 4 + 1024
    error = refused(algorithm={"name": name}, transport={"max_message_bytes": needed - 1})
    assert error.problem.startswith(f"expected at least {needed}, which a share of {name} may take here")
    make_plan(scenario(algorithm={"name": name}, transport={"max_message_bytes": needed}))


def test_the_joint_policy_of_twenty_agents_fits_into_a_message_of_default_size():
    twenty = {"kind": "predation", "agents": 20}
    for name in ("policy-sharing", "value-parameter-sharing"):
        make_plan(scenario(environment=twenty, topology={"kind": "complete"}, algorithm={"name": name}))


def test_all_participants_say_which_arithmetic_they_expect_of_each_other():
    plan = make_plan(scenario())
    wiring = Wiring("toy-aaaaaaaa", {})
    agents = [plan.agent(name, wiring).link for name in plan.agents]
    links = [plan.observer(wiring), plan.environment(wiring).link, *agents]
    assert {link.identity.arithmetic for link in links} == {ARITHMETIC}


def test_an_agent_is_told_of_the_graph_what_its_rounds_depend_on():
    told = make_plan(scenario()).agent("agent-0", WIRING)
    assert told.neighbors == {"agent-0": LINE["agent-0"]}
    plan = make_plan(scenario(exchange={"mode": "random-partner"}))
    assert plan.agent("agent-0", WIRING).neighbors == {name: LINE[name] for name in ("agent-0", "agent-1")}
    whole = ExchangePlan(plan.scenario.seed, LINE, plan.scenario.exchange)
    for agent in AGENTS:
        own = ExchangePlan(plan.scenario.seed, plan.agent(agent, WIRING).neighbors, plan.scenario.exchange)
        rounds = [(episode, number) for episode in range(20) for number in range(3)]
        assert [own.partners(agent, *each) for each in rounds] == [whole.partners(agent, *each) for each in rounds]


def test_what_all_are_told_is_there_once_however_many_hear_it():
    plan = make_plan(scenario())
    slices = [plan.agent(agent, WIRING) for agent in AGENTS]
    assert all(told.action_counts is plan.action_counts for told in slices)
    assert all(told.neighbors[name] is plan.graph.neighbors[name] for told in slices for name in told.neighbors)
    assert plan.environment(WIRING).neighbors is plan.graph.neighbors


def test_what_is_not_right_as_it_is_is_still_checked_and_made_right():
    told = make_plan(scenario()).agent("agent-0", WIRING)
    again = AgentConfig.model_validate_json(told.model_dump_json())
    assert again == told
    assert type(again.neighbors["agent-0"]) is tuple
    with pytest.raises(ValidationError, match="action_counts"):
        AgentConfig.model_validate_json(told.model_dump_json().replace('"agent-3":', '"agent-3":"x","agent-3b":'))


@pytest.mark.parametrize(
    ("table", "path", "problem"),
    [
        ({"source": "agnt-*"}, "source", "found 'agnt-*', which is none of them"),
        ({"destination": "agent-4"}, "destination", "some of environment, agent-0, agent-1, agent-2, agent-3, found"),
        ({"agents": ["agent-1", "agent-7"]}, "agents", "found 'agent-7'"),
        ({"kind": "partition", "groups": [["agent-0"], ["agent-7"]]}, "groups[1]", "found 'agent-7'"),
        ({"edges": ["agent-0->agent-1", "agent-0->agent-2"]}, "edges", "found 'agent-0->agent-2'"),
        ({"edges": ["agent-0->environment"]}, "edges", "expected edges that carry share (agent-0->agent-1, "),
        ({"episodes": [12, 13]}, "episodes", "begins below episodes = 12, found [12, 13]"),
        ({"rounds": [3, 4]}, "rounds", "begins below learning.rounds = 3, found [3, 4]"),
        ({"steps": [17, 18], "messages": ["action"]}, "steps", "begins below the steps of an episode = 17"),
        ({"steps": [18, 19], "messages": ["timestep"]}, "steps", "begins below the steps of an episode = 18"),
        ({"kind": "scaled", "factor": 2.0, "arrays": ["critc"]}, "arrays", "expected some of policy, anticipation"),
        ({"kind": "scaled", "factor": 2.0, "arrays": ["actions"]}, "arrays", "found 'actions'"),
        ({"source": "environment"}, "", "found one that touches none"),
        ({"kind": "partition", "groups": [["agent-*"]]}, "", "found one that touches none"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_fault_of_messages_that_could_never_strike_is_refused(table, path, problem):
    kind = table.get("kind", "drop")
    fault = {"kind": kind} | ({} if kind == "partition" else {"probability": 1.0}) | table
    error = refused(faults=[DROP, {"name": "never"} | fault], learning={"rounds": 3})
    assert error.path == f"faults[1].{path}".rstrip(".")
    assert problem in error.problem


def test_a_lie_about_arrays_that_an_algorithm_does_not_share_is_refused():
    lie = {"kind": "byzantine", "probability": 1.0, "lie": "uniform"}
    error = refused(faults=[lie], algorithm={"name": "value-sharing"})
    assert (error.path, error.problem) == ("faults[0].arrays", "expected some of advantages, found 'anticipation'")
    make_plan(scenario(faults=[lie]))


def test_faults_that_may_strike_are_planned():
    late = [
        {"rounds": [2, 9], "episodes": [11, 99]},
        {"steps": [17, 18], "messages": ["timestep", "action"]},
        {"edges": ["agent-0->*", "*->agent-3"]},
        {"agents": ["environment"], "messages": ["action"]},
    ]
    make_plan(
        scenario(faults=[DROP | {"name": str(n)} | table for n, table in enumerate(late)], learning={"rounds": 3})
    )


def test_an_algorithm_that_shares_nothing_is_compared_under_faults_of_shares():
    lie = {"kind": "byzantine", "probability": 1.0, "lie": "uniform"}
    make_plan(scenario(faults=[DROP, lie], algorithm={"name": "independent"}))


@pytest.mark.parametrize(("rounds", "longest"), [(3, 21), (50, 50)])
def test_each_participant_is_told_how_many_messages_an_episode_has_at_most(rounds, longest):
    plan = make_plan(load_scenario("exchange-quick", {"learning.rounds": rounds, "environment.steps": 20}))
    links = [plan.agent("agent-0", WIRING).link, plan.environment(WIRING).link]
    assert [link.longest_episode for link in links] == [longest, longest]
