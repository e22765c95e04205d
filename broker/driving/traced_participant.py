"""A participant whose episodes and rounds are spans: which began when, and which shares each round has heard."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from broker.driving.wrapped_participant import WrappedParticipant
from broker.participants.participant import Command, Participant, Report, Save, Send
from broker.wire.messages import ENVIRONMENT, Message, Share, Timestep
from broker.wire.records import EpisodeRecord, RoundRecord
from broker.wire.trace_context import TraceContext

Attributes = dict[str, str | int]


class TakesSpans(Protocol):
    """Where spans go."""

    def put(
        self,
        name: str,
        own: TraceContext,
        parent: TraceContext,
        *,
        began_ns: int,
        links: Sequence[TraceContext],
        attributes: Attributes,
    ) -> None:
        """Take a span that ends now.

        Args:
            name: `episode` or `round`.
            own: Itself.
            parent: In which it lies.
            began_ns: When it began, in nanoseconds since 1970.
            links: Spans of others that it has heard.
            attributes: What it is of.
        """


class TracedParticipant(WrappedParticipant):
    """Does what its participant does; see `broker.participants.participant.Participant`.

    Args:
        inner: The participant.
        run: The span of the run.
        life: Which one of the participant's.
        spans: Where its spans go.
    """

    def __init__(self, inner: Participant, run: TraceContext, life: int, spans: TakesSpans) -> None:
        super().__init__(inner)
        self._run, self._life, self._spans = run, life, spans
        self._episode = -1
        self._episode_began_ns = self._round_began_ns = 0
        self._heard: defaultdict[tuple[int, int], list[str]] = defaultdict(list)

    def start(self, now: float) -> Sequence[Command]:
        """Begin."""
        return self._noted(self._inner.start(now))

    def receive(self, source: str, message: Message, now: float) -> Sequence[Command]:
        """Take a message."""
        if type(message) is Timestep and message.episode > self._episode:
            self._begin_episode(message.episode)
        elif type(message) is Share and message.episode >= self._episode:
            self._heard[message.episode, message.round].append(source)
        return self._noted(self._inner.receive(source, message, now))

    def expire(self, now: float) -> Sequence[Command]:
        """Take note that the deadline has passed."""
        return self._noted(self._inner.expire(now))

    def _noted(self, commands: Sequence[Command]) -> Sequence[Command]:
        for command in commands:
            if type(command) is Send:
                self._note_message(command.message)
            elif type(command) is Report and type(command.record) is RoundRecord:
                self._end_round(command.record)
            elif (type(command) is Report and type(command.record) is EpisodeRecord) or (
                type(command) is Save and self.name != ENVIRONMENT
            ):
                self._end_episode()
        return commands

    def _note_message(self, message: Message) -> None:
        if type(message) is Timestep and message.episode > self._episode:
            self._begin_episode(message.episode)
        elif type(message) is Share and not self._round_began_ns:
            self._round_began_ns = time.time_ns()

    def _begin_episode(self, episode: int) -> None:
        self._episode, self._episode_began_ns = episode, time.time_ns()
        self._round_began_ns = 0
        for past in [name for name in self._heard if name[0] < episode]:
            del self._heard[past]

    def _end_episode(self) -> None:
        if self._episode_began_ns:
            environment = span_of_episode(self._run, ENVIRONMENT, self._life, self._episode)
            own = span_of_episode(self._run, self.name, self._life, self._episode)
            parent = self._run if self.name == ENVIRONMENT else environment
            attributes: Attributes = {"foretell.participant": self.name, "foretell.episode": self._episode}
            self._spans.put("episode", own, parent, began_ns=self._episode_began_ns, links=(), attributes=attributes)
            self._episode_began_ns = 0

    def _end_round(self, record: RoundRecord) -> None:
        episode, number = record.episode, record.round
        heard = sorted(set(self._heard.pop((episode, number), ())))
        attributes: Attributes = {
            "foretell.participant": self.name,
            "foretell.episode": episode,
            "foretell.round": number,
            "foretell.partners": record.partners,
            "foretell.heard": record.heard,
        }
        self._spans.put(
            "round",
            span_of_round(self._run, self.name, self._life, episode, number),
            span_of_episode(self._run, self.name, self._life, episode),
            began_ns=self._round_began_ns or time.time_ns(),
            links=[span_of_round(self._run, source, self._life, episode, number) for source in heard],
            attributes=attributes,
        )
        self._round_began_ns = 0


def span_of_episode(run: TraceContext, participant: str, life: int, episode: int) -> TraceContext:
    """The span of an episode of a participant, which everybody can name."""
    return run.child(participant, life, episode)


def span_of_round(run: TraceContext, participant: str, life: int, episode: int, number: int) -> TraceContext:
    """The span of one of its rounds: that of the shares it sends in it."""
    return run.child(participant, life, episode, number)
