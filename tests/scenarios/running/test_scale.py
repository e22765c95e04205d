"""What is computed of large runs is what is counted in small ones."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
from running.transports import plan_over
from running.watched_run import look, watched_run
from runs import need_mosquitto

from broker.wire.messages import ENVIRONMENT, OBSERVER
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.running.machine import files_needed
from scenarios.running.scale import Role, scale_of

EPISODES, LOOK_AFTER = 20, 4
"""Early enough for nobody to have hung up."""
SPARE_FILES = 24
"""So many fewer may be open than are reckoned with."""


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize(("transport", "agents", "neighbors"), [("zeromq", 7, 4), ("forwarder", 6, 4), ("mqtt", 6, 2)])
def test_connections_files_messages_and_bytes_are_those_of_a_run(transport, agents, neighbors, tmp_path):
    if transport == "mqtt":
        need_mosquitto()
    gc.collect()  # what earlier tests of this process have left open would be closed meanwhile
    open_before = look()[Role.LAUNCHER].files
    plan = plan_over(transport, agents, neighbors, episodes=EPISODES)
    scale = scale_of(plan)
    watch = watched_run(plan, tmp_path / "run", LOOK_AFTER, EPISODES, 2 * scale.connections)
    seen = watch.looks[0]
    assert seen.keys() == {*plan.participants, Role.LAUNCHER, *([Role.BROKER] if Role.BROKER in scale.roles else [])}
    for name, found in seen.items():
        role = Role.AGENT if name in plan.agents else Role(name)
        assert found.connections == scale.connections_of(role), name
        files = found.files - (open_before if role is Role.LAUNCHER else 0)  # what runs this test has its own
        assert scale.files_of(role) - SPARE_FILES <= files <= scale.files_of(role), name
        assert scale.files_of(role) <= files_needed(plan, as_processes=True)
    assert sum(found.connections for found in seen.values()) == 2 * scale.connections
    with read_store(RunFolder(tmp_path / "run").store) as store:
        edges = store.edges()
    between = [edge for edge in edges if ENVIRONMENT not in (edge.source, edge.destination)]
    shares = [edge for edge in between if OBSERVER not in (edge.source, edge.destination)]
    steps = [edge for edge in edges if edge not in between and OBSERVER not in (edge.source, edge.destination)]
    assert sum(edge.sent for edge in shares) == EPISODES * scale.shares
    assert sum(edge.sent for edge in steps) == EPISODES * scale.steps_sent + agents  # and a Stop for each
    assert sum(edge.sent_bytes for edge in shares) == pytest.approx(3 * EPISODES * scale.round_bytes, rel=0.02)
    assert sum(edge.sent_bytes for edge in (*shares, *steps)) == pytest.approx(EPISODES * scale.episode_bytes, rel=0.05)
    assert watch.records >= EPISODES * scale.records


def test_agents_that_tell_each_other_nothing_send_no_shares():
    plan = plan_over("zeromq", 6, 2, episodes=1)
    algorithm = plan.scenario.algorithm.model_copy(update={"name": "independent"})
    alone = replace(plan, scenario=plan.scenario.model_copy(update={"algorithm": algorithm}))
    assert scale_of(plan).shares == 6 * 2 * 3
    assert (scale_of(alone).shares, scale_of(alone).round_bytes) == (0, 0)
    assert scale_of(alone).connections == scale_of(plan).connections
