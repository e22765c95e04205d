"""Episodes of a run as they were played: its environment led through one of them again, from its journal.

The agents need not be there, nor their policies: what they did stands in the journal. What the environment tells them
is compared with what it told them then, so that nothing is drawn that was not played.
"""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial

from pydantic import ValidationError

from broker.driving.connect import refitted
from broker.driving.driver import Driver
from broker.errors import UserError
from broker.faults import Judge
from broker.participants.life import ParticipantLife
from broker.release import FORETELL
from broker.transports.faulty import FaultyTransport
from broker.transports.journal import Polled, Sent, Turn
from broker.wire.codec import Codec, read_written
from broker.wire.messages import ENVIRONMENT, Envelope, Timestep
from env_service.build import make_planned_task
from env_service.config import ServiceConfig
from env_service.protocol import EnvironmentProtocol
from scenarios.document.agent_names import AgentNames
from scenarios.play.acting import drawing_itself
from scenarios.play.frame import Frame
from scenarios.replay.differences import called, difference
from scenarios.replay.journals import LifeJournal, journals_of
from scenarios.replay.recorded.drawn_task import DrawnTask, EpisodeOver
from scenarios.replay.recorded.entries import entries_of, whole_episodes
from scenarios.replay.replayed_life import RecordedTransport
from scenarios.results.folder import RunFolder


class RecordedEpisodes:
    """What stands in the journal of a run's environment.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def newest(self) -> int | None:
        """The last episode that was played to its end; None where none was.

        Raises:
            UserError: There is no such journal, or it cannot be read.
        """
        return max(self._lives(), default=None)

    def frames(self, episode: int, mode: str) -> list[Frame]:
        """One of them, moment by moment, in its first copy.

        Args:
            episode: From 0.
            mode: The render mode in which a foreign environment shows itself, if it has that.

        Raises:
            UserError: There is no such journal or episode in it, or here the environment does something else.
            UserCodeFailed: The environment raised.
        """
        lives = self._lives()
        if episode not in lives:
            known = f"one of {min(lives)} to {max(lives)}" if lives else "none is there yet"
            msg = f"episode {episode} was not played to its end in {self._folder.root}: {known}"
            raise UserError(msg)
        journal = lives[episode]
        return _Led(journal, _config(journal, episode), episode, mode).frames()

    def _lives(self) -> dict[int, LifeJournal]:
        """The last life that played it, by episode."""
        return {
            episode: journal
            for journal in journals_of(self._folder, ENVIRONMENT)
            for episode in whole_episodes(journal.entries())
        }


class _Led:
    """An environment that is led through one episode."""

    def __init__(self, journal: LifeJournal, config: ServiceConfig, episode: int, mode: str) -> None:
        link = config.link
        self._journal, self._episode = journal, episode
        drawn = config.model_copy(update={"environment": drawing_itself(config.environment, link.seed, mode)})
        names = AgentNames(dict(zip(config.neighbors, config.agent_names, strict=True)))
        self._task = DrawnTask(make_planned_task(drawn), tuple(map(names.told, config.neighbors)), episode)
        self._recorded = RecordedTransport(link.name, Codec(link.run, link.transport.max_message_bytes))
        judge = Judge(link.faults, link.seed, link.episodes_before)
        transport = FaultyTransport(self._recorded, judge) if link.faults else self._recorded
        self._driver = Driver(
            link.run,
            EnvironmentProtocol(config, self._task),
            transport,
            lambda _: None,
            ParticipantLife(link.life.incarnation),
            refit=partial(refitted, link),
        )

    def frames(self) -> list[Frame]:
        with closing(self._task), suppress(EpisodeOver):
            self._lead()
        return self._task.frames

    def _lead(self) -> None:
        for entry in entries_of(self._journal.entries(), self._episode):
            if type(entry) is Polled:
                self._recorded.arrived = list(map(read_written, entry.frames))
                self._driver.deliver(entry.now_s)
            elif type(entry) is Turn and entry.call == "start":
                self._driver.start(entry.now_s)
            elif type(entry) is Turn:
                self._driver.expire(entry.now_s)
            elif type(entry) is Sent:
                self._compare(read_written(entry.frame))

    def _compare(self, then: Envelope) -> None:
        """See whether what was told then is told here."""
        sent = self._recorded.sent
        told = "nothing"
        while sent:
            now = read_written(sent.popleft())
            if type(now.message) is Timestep:
                told = called(now.source, now.destination, now.message)
                break
        name = called(then.source, then.destination, then.message)
        said = difference(then, now) if told == name else f"here it is {told}"
        if said:
            msg = (
                f"episode {self._episode} comes out differently here: {name} differs in {said}. "
                "Has the environment changed since?"
            )
            raise UserError(msg)


def _config(journal: LifeJournal, episode: int) -> ServiceConfig:
    """What the environment was told, as if its life began with the episode.

    Raises:
        UserError: Another version told it.
    """
    try:
        config = ServiceConfig.model_validate_json(journal.slice() or "")
    except ValidationError as error:
        msg = f"{journal.path} was written by Foretell {journal.opened.foretell}, and this is {FORETELL}: {error}"
        raise UserError(msg) from None
    life = config.link.life.model_copy(update={"after_episode": episode - 1, "checkpoints": None})
    return config.model_copy(update={"link": config.link.model_copy(update={"life": life})})
