"""The phases of an agent are those of the table, in the code and in the documents."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from test_agent_protocol import A1, A2, FINISHED, Bench, in_phase, in_the_last_episode, share

from agent_node import protocol
from agent_node.protocol import PHASES, AgentPhase, AgentProtocol
from broker.participants.checkpoint import State
from broker.participants.link import LifeConfig
from broker.wire.messages import ENVIRONMENT, Hello, Stop

PAGE = Path(__file__).parent.parent.parent / "docs" / "protocol.md"

Way = tuple[AgentPhase, AgentPhase]


def test_the_page_shows_the_table_as_it_is() -> None:
    _, section = PAGE.read_text(encoding="utf-8").split("## Phases of an agent\n")
    assert section.split("\n## ")[0].strip().startswith(f"{PHASES.markdown()}\n\n")


def test_every_phase_is_in_the_table() -> None:
    assert list(PHASES.waits_for) == list(AgentPhase)


def test_no_phase_is_entered_beside_the_table() -> None:
    entering = []
    for function in ast.walk(ast.parse(inspect.getsource(protocol))):
        if isinstance(function, ast.FunctionDef):
            stored = [node for node in ast.walk(function) if isinstance(node, ast.Attribute) and node.attr == "phase"]
            entering += [function.name for node in stored if isinstance(node.ctx, ast.Store)]
    assert entering == ["__init__", "_enter"]


# Every way of the table can be gone


def joined(bench: Bench) -> Bench:
    for peer in bench.agent.peers:
        bench.hear(peer, Hello(0, wants_reply=False))
    return bench


def started(**settings: int) -> Bench:
    bench = Bench(**settings)
    bench.agent.start(0.0)
    return bench


def after_the_last_episode() -> Bench:
    """A life that goes on from the checkpoint after it."""
    bench = Bench()
    link = bench.config.link.model_copy(update={"life": LifeConfig(incarnation=1, after_episode=1)})
    config, state = bench.config.model_copy(update={"link": link}), State(bench.learner.state(), {"edges": {}})
    bench.agent = AgentProtocol(config, bench.learner, state)
    bench.agent.start(0.0)
    return bench


def called_while_joining() -> Bench:
    bench = started(episodes=1)
    bench.see(0)
    return bench


def stopped_while_sharing() -> Bench:
    bench = in_the_last_episode(4)
    bench.hear(ENVIRONMENT, Stop(""))
    return bench


WAYS: dict[Way, tuple[Callable[[], Bench], Callable[[Bench], object]]] = {
    (AgentPhase.JOINING, AgentPhase.ACTING): (started, joined),
    (AgentPhase.JOINING, AgentPhase.LEAVING): (after_the_last_episode, joined),
    (AgentPhase.JOINING, AgentPhase.DONE): (called_while_joining, lambda bench: bench.hear(ENVIRONMENT, Stop(""))),
    (AgentPhase.ACTING, AgentPhase.SHARING): (lambda: in_phase(AgentPhase.ACTING), Bench.play),
    (AgentPhase.ACTING, AgentPhase.DONE): (
        lambda: in_the_last_episode(2),
        lambda bench: bench.hear(ENVIRONMENT, Stop("")),
    ),
    (AgentPhase.SHARING, AgentPhase.ACTING): (lambda: in_phase(AgentPhase.SHARING), Bench.finish_episode),
    (AgentPhase.SHARING, AgentPhase.LEAVING): (lambda: in_the_last_episode(4), lambda bench: bench.finish_episode(1)),
    (AgentPhase.SHARING, AgentPhase.DONE): (stopped_while_sharing, lambda bench: bench.finish_episode(1)),
    (AgentPhase.LEAVING, AgentPhase.DONE): (
        lambda: in_phase(AgentPhase.LEAVING),
        lambda bench: bench.hear(ENVIRONMENT, Stop("")),
    ),
}


@pytest.mark.parametrize("way", [(way.source, way.target) for way in PHASES.transitions], ids=str)
def test_every_way_of_the_table_can_be_gone(way: Way) -> None:
    begin, go = WAYS[way]
    bench = begin()
    assert bench.agent.phase is way[0]
    go(bench)
    assert bench.agent.phase is way[1]


def test_an_agent_stopped_with_a_whole_last_episode_before_it_is_done_once() -> None:
    """Timesteps and shares of the last episode came early: it goes through all of it in one go."""
    bench = Bench().join()
    bench.play()
    for step in range(4):
        bench.see(step, episode=1, last=step == 3)
    for source in (A1, A2):
        for k in range(2):
            bench.hear(source, share(source, k, episode=1))
    assert bench.hear(ENVIRONMENT, Stop("")) == []
    commands = bench.finish_episode()
    assert commands[-1] == FINISHED
    assert commands.count(FINISHED) == 1
    assert bench.closed() == [(episode, k, (A1, A2)) for episode in range(2) for k in range(2)]
