"""Episodes of a run as they were played: its environment led through one of them again, from its journal.

The agents need not be there, nor their policies: what they did stands in the journal. What the environment tells them
is compared with what it told them then, so that nothing is drawn that was not played.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from broker.driving.connect import refitted
from broker.driving.driver import Driver
from broker.errors import UserError
from broker.participants.life import ParticipantLife
from broker.transports.journal import Polled, Sent, Turn
from broker.wire.codec import read_written
from broker.wire.messages import ENVIRONMENT, Envelope, Timestep
from env_service.build import make_planned_task
from env_service.config import ServiceConfig
from env_service.environments.task import closing_task
from env_service.protocol import EnvironmentProtocol
from scenarios.document.agent_names import AgentNames
from scenarios.play.acting import drawing_itself
from scenarios.play.frame import Frame
from scenarios.replay.differences import called, difference
from scenarios.replay.journals import LifeJournal, journals_of
from scenarios.replay.recorded.drawn_task import DrawnTask, EpisodeOver
from scenarios.replay.recorded.entries import entries_of, whole_episodes
from scenarios.replay.replayed_life import recorded_way
from scenarios.results.folder import RunFolder


def recorded_frames(folder: RunFolder, episode: int | None, mode: str) -> list[Frame]:
    """An episode of a run, moment by moment, in its first copy.

    Args:
        folder: The run's.
        episode: From 0; None for the last one that was played to its end.
        mode: The render mode in which a foreign environment shows itself, if it has that.

    Raises:
        UserError: There is no such journal or episode in it, or here the environment does something else.
        UserCodeFailed: The environment raised.
    """
    lives = {number: life for life in journals_of(folder, ENVIRONMENT) for number in whole_episodes(life.entries())}
    if not lives:
        msg = f"no episode was played to its end yet in {folder.root}"
        raise UserError(msg)
    number = max(lives) if episode is None else episode
    if number not in lives:
        msg = (
            f"episode {number} was not played to its end in {folder.root}: expected one of {min(lives)} to {max(lives)}"
        )
        raise UserError(msg)
    return _Led(lives[number], number, mode).frames()


class _Led:
    """An environment that is led through one episode."""

    def __init__(self, journal: LifeJournal, episode: int, mode: str) -> None:
        config = _beginning_with(journal, episode)
        link = config.link
        self._journal, self._episode = journal, episode
        drawn = config.model_copy(update={"environment": drawing_itself(config.environment, link.seed, mode)})
        names = AgentNames(dict(zip(config.neighbors, config.agent_names, strict=True)))
        self._task = DrawnTask(make_planned_task(drawn), tuple(map(names.told, config.neighbors)), episode)
        self._recorded, transport = recorded_way(link)
        self._driver = Driver(
            link.run,
            EnvironmentProtocol(config, self._task),
            transport,
            lambda _: None,
            ParticipantLife(link.life.incarnation),
            refit=partial(refitted, link),
        )

    def frames(self) -> list[Frame]:
        with closing_task(self._task), suppress(EpisodeOver):
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


def _beginning_with(journal: LifeJournal, episode: int) -> ServiceConfig:
    """What the environment was told, as if its life began with the episode."""
    config = journal.told(ServiceConfig)
    assert config is not None  # noqa: S101 - who has played an episode was told something
    life = config.link.life.model_copy(update={"after_episode": episode - 1, "checkpoints": None})
    return config.model_copy(update={"link": config.link.model_copy(update={"life": life})})
