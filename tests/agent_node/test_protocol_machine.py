"""Agents and the environment against a network that does whatever Hypothesis thinks of, one message at a time.

Rules deliver, lose and repeat messages in any order, let deadlines expire and kill agents; after each of them the
invariants must hold, and at the end everybody who lives must come through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from recording_learner import RecordingLearner
from test_agents_on_a_bad_network import EPISODES, STEPS, Weather, world

from agent_node.protocol import AgentPhase, AgentProtocol
from broker.participants.participant import Command, Forget, Participant, Report, Save, Send
from broker.wire.messages import ENVIRONMENT, OBSERVER, Action, Gone, Hello, Message, Stop
from broker.wire.records import RoundRecord

pytestmark = pytest.mark.long

Flying = tuple[str, str, Message]
LOSABLE_NEVER = (Stop, Gone)
"""Nobody asks for them again: what carries them has to bring them, once."""
ENOUGH = 20_000
PATIENT_S = 1e5
"""Whoever gives up on a peer does so later: only where nothing more can come."""


class AnyNetwork(RuleBasedStateMachine):
    """A run whose messages lie on a table until a rule takes one."""

    missing_action = "wait"

    @initialize(agents=st.integers(2, 3), rounds=st.integers(1, 3), seed=st.integers(0, 2**32))
    def begin(self, agents: int, rounds: int, seed: int) -> None:
        weather = Weather(seed, 0.0, 0.0, 0.0)
        made = world(agents, rounds, weather, {"patience_s": 2.0}, missing_action=self.missing_action)
        self.rounds = rounds
        self.task = made.task
        self.environment = made.environment
        self.agents: dict[str, AgentProtocol] = dict(made.agents)
        self.learners: dict[str, RecordingLearner] = made.learners
        self.participants: dict[str, Participant] = {ENVIRONMENT: made.environment, **made.agents}
        self.flying: list[Flying] = []
        self.told: defaultdict[str, set[str]] = defaultdict(set)
        self.now = 0.0
        self.answers: defaultdict[tuple[str, int, int], set[bytes]] = defaultdict(set)
        for name, participant in self.participants.items():
            self.carry_out(name, participant.start(0.0))

    # What may happen

    @precondition(lambda self: self.flying)
    @rule(place=st.integers(0, 1000))
    def deliver_any(self, place: int) -> None:
        self.deliver(self.flying.pop(place % len(self.flying)))

    @precondition(lambda self: self.flying)
    @rule(count=st.integers(1, 40))
    def deliver_the_oldest(self, count: int) -> None:
        for _ in range(min(count, len(self.flying))):
            self.deliver(self.flying.pop(0))

    @precondition(lambda self: any(type(message) not in LOSABLE_NEVER for _, _, message in self.flying))
    @rule(place=st.integers(0, 1000))
    def lose(self, place: int) -> None:
        losable = [item for item in self.flying if type(item[2]) not in LOSABLE_NEVER]
        self.flying.remove(losable[place % len(losable)])

    @precondition(lambda self: self.flying)
    @rule(place=st.integers(0, 1000))
    def repeat(self, place: int) -> None:
        self.flying.append(self.flying[place % len(self.flying)])

    @precondition(lambda self: self.deadlines() and min(self.deadlines())[0] < PATIENT_S)
    @rule()
    def expire(self) -> None:
        self.expire_first()

    def expire_first(self) -> None:
        at, name = min(self.deadlines())
        self.now = max(self.now, at)
        self.carry_out(name, self.participants[name].expire(self.now))

    @precondition(lambda self: not self.flying and not self.deadlines())
    @rule()
    def all_is_over(self) -> None:
        assert self.environment.done

    # What must hold

    @invariant()
    def every_round_is_updated_once_and_in_order(self) -> None:
        for name, learner in self.learners.items():
            closed = [(episode, k) for episode, k, _ in learner.closed]
            played = sorted({episode for episode, _ in closed})
            everything = [(episode, k) for episode in played for k in range(self.rounds)]
            assert closed == everything[: len(closed)], name
            assert played == list(range(len(played))) or self.missing_action == "repeat", name

    @invariant()
    def a_step_has_one_action_however_often_it_is_asked_for(self) -> None:
        assert all(len(said) == 1 for said in self.answers.values())

    @invariant()
    def an_update_uses_shares_of_its_own_round_alone(self) -> None:
        for name, learner in self.learners.items():
            for episode, k, heard in learner.closed[-1:]:
                for source, stamped in heard.items():
                    assert stamped == [int(source[-1]), int(name[-1]), episode, k]

    @invariant()
    def neighbors_who_hear_each_other_are_at_most_a_round_apart(self) -> None:
        for name, learner in self.learners.items():
            if name not in self.agents or not learner.closed:
                continue
            episode, newest, _ = learner.closed[-1]
            for other, its in self.learners.items():
                through = [k for at, k, heard in learner.closed if at == episode and other in heard]
                if other != name and through == list(range(newest + 1)):
                    # All its shares until round `newest` were heard, so it has closed those before.
                    assert (episode, newest - 1) in _closed(its, episode)

    @invariant()
    def the_task_goes_on_step_by_step(self) -> None:
        assert len(self.task.taken) <= EPISODES * STEPS

    def teardown(self) -> None:
        """From here on the network is good: everybody who lives comes through, or there is a deadlock."""
        if not hasattr(self, "participants"):
            return
        for _ in range(ENOUGH):
            if self.flying:
                self.deliver(self.flying.pop(0))
            elif self.deadlines():
                self.expire_first()
            else:
                break
        assert self.environment.done
        assert len(self.task.taken) == EPISODES * STEPS
        for name, agent in self.agents.items():
            assert agent.phase is AgentPhase.DONE, name
            episodes = {episode for episode, _, _ in self.learners[name].closed}
            assert len(self.learners[name].closed) == len(episodes) * self.rounds
            assert len(episodes) == EPISODES or self.missing_action == "repeat"

    # How it is done

    def deliver(self, item: Flying) -> None:
        source, name, message = item
        if name in self.participants:
            if isinstance(message, Gone):
                self.told[name].add(message.participant)
            self.carry_out(name, self.participants[name].receive(source, message, self.now))

    def deadlines(self) -> list[tuple[float, str]]:
        return [(at, name) for name, one in self.participants.items() if (at := one.deadline) is not None]

    def carry_out(self, name: str, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Send(destination, message):
                    assert destination in self.participants[name].peers
                    # What the dead said before may still be greeted; nobody keeps a HELLO.
                    assert destination not in self.told[name] or isinstance(message, Hello)
                    if isinstance(message, Action):
                        self.answers[name, message.episode, message.step].add(bytes(message.data))
                    if destination in self.participants:
                        self.flying.append((name, destination, message))
                case Report(RoundRecord() as record):
                    assert record.heard <= record.partners
                case Report() | Forget() | Save():
                    pass
                case _:
                    raise AssertionError(command)


class AnyNetworkAndDeaths(AnyNetwork):
    """The same with agents that die; the environment acts for the dead, and for those that answer too late."""

    missing_action = "repeat"

    @precondition(lambda self: len(self.agents) > 1)
    @rule(number=st.integers(0, 2), late=st.booleans())
    def kill(self, number: int, late: bool) -> None:
        name = sorted(self.agents)[number % len(self.agents)]
        if late and self.agents[name].phase is AgentPhase.JOINING:
            return  # otherwise hardly anybody would live to see an episode
        del self.agents[name], self.participants[name]
        self.flying = [item for item in self.flying if item[1] != name]
        self.flying += [(OBSERVER, other, Gone(name)) for other in self.participants]


def _closed(learner: RecordingLearner, episode: int) -> list[tuple[int, int]]:
    """Rounds of an episode that are over; the one before the first always is."""
    return [(episode, -1), *((at, k) for at, k, _ in learner.closed if at == episode)]


TestAnyNetwork = AnyNetwork.TestCase
TestAnyNetworkAndDeaths = AnyNetworkAndDeaths.TestCase
for _case in (TestAnyNetwork, TestAnyNetworkAndDeaths):
    _case.settings = settings(deadline=None, max_examples=60, stateful_step_count=60)
