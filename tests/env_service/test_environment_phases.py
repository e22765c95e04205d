"""The environment's phases: each way of the table is gone and no other one, and the documents show it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from environment_cases import FakeTask, all_act, all_answer, all_ready, joining, records, sends, stepping

from broker.participants.link import LifeConfig
from broker.wire.messages import OBSERVER, GoOn, Timestep
from broker.wire.records import PausedRecord
from env_service import protocol as written
from env_service.protocol import PHASES, EnvironmentPhase

JOINING, STEPPING, PAUSED, DONE = EnvironmentPhase
PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def learning(**settings):
    """A protocol that waits for readiness after its first episode."""
    protocol, _ = stepping(FakeTask(lengths=[(1, 1, 1)] * 2), **settings)
    all_act(protocol, step=0)
    return protocol


def be_ready(protocol):
    return all_ready(protocol, step=1)


def paused(episode=0):
    protocol, commands = stepping(life=LifeConfig(breakpoints=(episode,)))
    assert records(commands, PausedRecord) == [PausedRecord(episode)]
    return protocol


def let_go_on(protocol, episode=0):
    return protocol.receive(OBSERVER, GoOn(episode), 1.0)


WAYS = {
    (JOINING, STEPPING): (joining, all_answer),
    (JOINING, PAUSED): (lambda: joining(life=LifeConfig(breakpoints=(0,))), all_answer),
    (JOINING, DONE): (lambda: joining(episodes=2, life=LifeConfig(after_episode=1)), all_answer),
    (STEPPING, STEPPING): (lambda: learning(episodes=2), be_ready),
    (STEPPING, PAUSED): (lambda: learning(life=LifeConfig(breakpoints=(1,))), be_ready),
    (STEPPING, DONE): (lambda: learning(episodes=1), be_ready),
    (PAUSED, STEPPING): (paused, let_go_on),
}


@pytest.mark.parametrize(("source", "target"), WAYS, ids=lambda phase: phase.value)
def test_each_way_is_gone(source, target):
    begin, happen = WAYS[source, target]
    protocol = begin()
    assert protocol.phase is source
    happen(protocol)
    assert protocol.phase is target


def test_these_are_all_ways_of_the_table():
    assert [(way.source, way.target) for way in PHASES.transitions] == list(WAYS)


def test_every_phase_is_entered_through_the_table():
    tree = ast.parse(inspect.getsource(written))
    entered = [
        ast.unparse(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target, value in assigned(node)
        if ast.unparse(target) == "self.phase"
    ]
    assert entered[0] == "JOINING"
    assert len(entered) > 3
    assert all(value.startswith("PHASES.enter(self.phase, ") for value in entered[1:])


def assigned(node):
    """Target and value of each single assignment in a statement."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=True)
        else:
            yield target, node.value


def test_the_documents_show_the_table():
    section = PAGE.read_text(encoding="utf-8").split("\n## Phases of the environment\n")[1].split("\n## ")[0]
    assert "\n".join(line for line in section.split("\n") if line.startswith("|")) == PHASES.markdown()


# Paused


def test_paused_it_says_so_again_until_it_may_go_on():
    protocol = paused()
    for now in (0.1, 0.2):
        assert protocol.deadline == pytest.approx(now)
        assert records(protocol.expire(now), PausedRecord) == [PausedRecord(0)]
        assert protocol.phase is PAUSED
    assert protocol.waits_for() == "environment in PAUSED (episode -1) waits for observer to let episode 0 begin"


def test_it_pauses_before_every_episode_where_it_shall_and_not_after_the_last():
    protocol, commands = stepping(FakeTask(lengths=[(1, 1, 1)] * 2), episodes=2, life=LifeConfig(pauses=True))
    for episode in range(2):
        assert records(commands, PausedRecord) == [PausedRecord(episode)]
        let_go_on(protocol, episode)
        all_act(protocol, step=0, episode=episode)
        commands = all_ready(protocol, step=1, episode=episode)
    assert records(commands, PausedRecord) == []
    assert protocol.phase is DONE


def test_leave_for_another_episode_is_not_meant_for_this_one():
    protocol = paused()
    assert let_go_on(protocol, episode=1) == []
    assert protocol.phase is PAUSED
    assert {timestep.episode for timestep in sends(let_go_on(protocol), Timestep).values()} == {0}
    assert let_go_on(protocol) == [], "it came twice"
