"""Agents and the real environment protocol in virtual time, on a network that loses, repeats, delays and reorders."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from agent_cases import agent_config
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from recording_learner import RecordingLearner

from agent_node.protocol import AgentPhase, AgentProtocol
from broker.participants.participant import Command, Participant, Report, Save, Send
from broker.wire.messages import ENVIRONMENT, Action, Ended, Message, Stop
from broker.wire.records import EdgeRecord, EpisodeRecord, FinishedRecord, Record, RoundRecord
from env_service.config import BarrierConfig, PredationConfig, ServiceConfig
from env_service.environments.task import Float, Integer, Outcome, Task
from env_service.protocol import EnvironmentProtocol

COPIES, STEPS, EPISODES = 2, 3, 2


@dataclass
class Weather:
    """How bad the network is."""

    seed: int
    loss: float
    repeats: float
    delay_s: float

    def delays(self, chance: random.Random, message: Message) -> list[float]:
        """When the copies of a message arrive; Stop is not asked for again, so it is only delayed."""
        if isinstance(message, Stop):
            return [chance.uniform(0, self.delay_s)]
        copies = 1 + (chance.random() < self.repeats)
        return [chance.uniform(0, self.delay_s) for _ in range(copies) if chance.random() >= self.loss]


class CountingTask(Task):
    """Does nothing; ends after STEPS and remembers who did what."""

    agent_names: tuple[str, ...] = ()
    noop_action: int | None = None
    steps = STEPS
    observation_size = 3

    def __init__(self, agents: int) -> None:
        self.action_counts = (5,) * agents
        self.taken: list[list[list[int]]] = []
        self._time = 0

    def reset(self, generator: Generator) -> None:
        self._time = 0

    def step(self, actions: Integer) -> Outcome:
        self.taken.append(actions.tolist())
        self._time += 1
        ended = Ended.TRUNCATED if self._time == STEPS else Ended.RUNNING
        shape = (COPIES, len(self.action_counts))
        return Outcome(np.ones(shape, np.float32), np.full(shape, ended, np.uint8))

    def observations(self) -> Float:
        return np.full((COPIES, 3), self._time, np.float32)

    def positions(self) -> None:
        return None

    def close(self) -> None:
        return None


@dataclass
class World:
    """A run: who takes part, what was said and what was reported."""

    agents: dict[str, AgentProtocol]
    learners: dict[str, RecordingLearner]
    environment: EnvironmentProtocol
    task: CountingTask
    weather: Weather
    now: float = 0.0
    answers: defaultdict[tuple[str, int, int], list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    records: list[Record] = field(default_factory=list)

    def run(self) -> None:
        """Until all are done; any exception is a failure, a refusal too: everybody here is correct."""
        participants: dict[str, Participant] = {ENVIRONMENT: self.environment, **self.agents}
        chance, order = random.Random(self.weather.seed), itertools.count()
        flying: list[tuple[float, int, str, str, Message]] = []

        def carry_out(name: str, commands: Sequence[Command]) -> None:
            for command in commands:
                if isinstance(command, Report):
                    self.records.append(command.record)
                    continue
                if isinstance(command, Save):
                    continue  # nobody keeps anything here
                assert isinstance(command, Send)
                assert command.destination in participants[name].peers
                if isinstance(command.message, Action):
                    key = (name, command.message.episode, command.message.step)
                    self.answers[key].append(command.message.arrays["actions"].tolist())
                for delay in self.weather.delays(chance, command.message):
                    item = (self.now + delay, next(order), name, command.destination, command.message)
                    heapq.heappush(flying, item)

        for name, participant in participants.items():
            carry_out(name, participant.start(0.0))
        for _ in range(200_000):
            deadlines = [(at, name) for name, one in participants.items() if (at := one.deadline) is not None]
            if not deadlines:
                break
            if flying and flying[0][0] <= min(deadlines)[0]:
                self.now, _, source, name, message = heapq.heappop(flying)
                carry_out(name, participants[name].receive(source, message, self.now))
            else:
                at, name = min(deadlines)
                self.now = max(self.now, at)
                carry_out(name, participants[name].expire(self.now))
        for _, _, source, name, message in sorted(flying):
            carry_out(name, participants[name].receive(source, message, self.now))


def world(
    agents: int, rounds: int, weather: Weather, exchange: dict[str, object], missing_action: str = "wait"
) -> World:
    configs = {
        f"agent-{number}": agent_config(
            f"agent-{number}",
            agents=agents,
            steps=STEPS,
            copies=COPIES,
            episodes=EPISODES,
            rounds=rounds,
            seed=weather.seed,
            give_up_s=1e6,
            joining_give_up_s=1e6,
            exchange=exchange,
        )
        for number in range(agents)
    }
    link = configs["agent-0"].link.model_copy(update={"name": ENVIRONMENT, "peers": tuple(configs)})
    service = ServiceConfig(
        link=link,
        environment=PredationConfig(agents=agents),
        service=BarrierConfig.model_validate(
            {"action_patience_s": 1.0, "ready_patience_s": 3.0, "give_up_s": 1e6, "missing_action": missing_action}
        ),
        neighbors=configs["agent-0"].neighbors,
        agent_names=tuple(configs),
        action_counts=tuple(configs["agent-0"].action_counts.values()),
        observation_size=configs["agent-0"].observation_size,
        masks=False,
        episodes=EPISODES,
        parallel_episodes=COPIES,
    )
    learners = {name: RecordingLearner(name, COPIES) for name in configs}
    task = CountingTask(agents)
    protocols = {name: AgentProtocol(config, learners[name]) for name, config in configs.items()}
    return World(protocols, learners, EnvironmentProtocol(service, task), task, weather)


weathers = st.builds(
    Weather,
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.5]),
    repeats=st.sampled_from([0.0, 0.5]),
    delay_s=st.sampled_from([0.0, 0.3, 2.0, 8.0]),
)
exchanges = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["all", "random-partner"]),
        "skip_probability": st.sampled_from([0.0, 0.5]),
        "skip_scope": st.sampled_from(["system", "agent", "edge"]),
        "patience_s": st.sampled_from([0.2, 2.0]),
    }
)


@pytest.mark.long
@settings(deadline=None, max_examples=300)
@given(st.integers(2, 3), st.integers(1, 3), weathers, exchanges)
def test_whatever_the_network_does_every_agent_finishes_with_k_updates_an_episode_and_one_action_a_step(
    agents: int, rounds: int, weather: Weather, exchange: dict[str, object]
) -> None:
    run = world(agents, rounds, weather, exchange)
    run.run()

    assert all(agent.phase is AgentPhase.DONE for agent in run.agents.values())
    assert run.environment.done
    finished = {record.participant for record in run.records if isinstance(record, FinishedRecord)}
    assert finished == {ENVIRONMENT, *run.agents}

    places = [(episode, step) for episode in range(EPISODES) for step in range(STEPS)]
    for name, learner in run.learners.items():
        assert [(episode, k) for episode, k, _ in learner.closed] == [
            (episode, k) for episode in range(EPISODES) for k in range(rounds)
        ]
        assert Counter(call[0] for call in learner.calls) == {
            "begin_episode": EPISODES,
            "act": EPISODES * STEPS,
            "see": EPISODES,
            "end_episode": EPISODES,
            "open_round": EPISODES * rounds,
            "close_round": EPISODES * rounds,
        }
        for episode, k, heard in learner.closed:
            for source, stamped in heard.items():
                assert stamped == [int(source[-1]), int(name[-1]), episode, k]
        for episode, step in [*places, *((episode, STEPS) for episode in range(EPISODES))]:
            answers = run.answers[name, episode, step]
            assert answers
            assert all(answer == answers[0] for answer in answers)

    assert len(run.task.taken) == len(places)
    for (episode, step), taken in zip(places, run.task.taken, strict=True):
        for number, name in enumerate(run.agents):
            assert [row[number] for row in taken] == run.answers[name, episode, step][0]

    check_totals(run, rounds)


def check_totals(run: World, rounds: int) -> None:
    """The counters agree with the rounds reported, and with what the weather allows."""
    episodes = [record for record in run.records if isinstance(record, EpisodeRecord)]
    assert [record.missing_actions for record in episodes] == [0] * EPISODES
    reported = [record for record in run.records if isinstance(record, RoundRecord)]
    for name, agent in run.agents.items():
        mine = [record for record in reported if record.agent == name]
        assert len(mine) == EPISODES * rounds
        totals = [record for record in agent.totals() if isinstance(record, EdgeRecord)]
        heard, missing = sum(edge.heard for edge in totals), sum(edge.missing for edge in totals)
        assert heard == sum(record.heard for record in mine)
        assert heard + missing == sum(record.partners for record in mine)
        assert all(edge.rejected == 0 for edge in totals)
        assert all(edge.late <= edge.missing for edge in totals)
        if not run.weather.loss:
            assert all(edge.late == edge.missing for edge in totals)
            if not run.weather.delay_s:
                assert missing == 0


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 3), st.integers(0, 2**32))
def test_on_a_good_network_every_share_is_heard_whatever_the_order(agents: int, seed: int) -> None:
    """Delays stay far below patience; messages overtake each other all the time."""
    run = world(agents, 3, Weather(seed, 0.0, 0.5, 0.1), {"patience_s": 2.0})
    run.run()
    for agent in run.agents.values():
        for edge in agent.totals():
            assert isinstance(edge, EdgeRecord)
            assert (edge.heard, edge.late, edge.missing, edge.rejected) == (EPISODES * 3, 0, 0, 0)
