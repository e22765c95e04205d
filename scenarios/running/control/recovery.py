"""Recovery: after a crash all begin anew, with the states after the last episode that they have in common.

Nobody is asked to repair itself: survivors are ended too, and what was under way between them is forgotten. An
episode depends on nothing but the states after the one before it, so what is played again is played the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from broker.errors import ParticipantDied, UserCodeDied, UserError
from broker.participants.checkpoint import Checkpoints, Kept
from broker.participants.link import LifeConfig
from scenarios.document.plan import Plan
from scenarios.results.answers import NONE_TO_LOSE
from scenarios.results.observer import Observer
from scenarios.running.substrate import THE_BROKER

_MANY = 1 << 30
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
"""Where an object lies in memory: the only part of what an error says that is new in every life."""


class Recovery:
    """Which life a run is in, and from where the next one goes on.

    Args:
        plan: What runs.
        observer: Knows which episodes are recorded.
        checkpoints: What each participant kept.
    """

    def __init__(self, plan: Plan, observer: Observer, checkpoints: Mapping[str, Checkpoints]) -> None:
        self._settings = plan.scenario.recovery
        self._observer = observer
        self._agents = plan.agents
        self._episodes = plan.scenario.episodes
        evaluation = plan.scenario.evaluation
        self._kept_every = None if evaluation is None else evaluation.every
        self._checkpoints = checkpoints
        self._tidy_at = 0
        self._deaths = 0
        self._deaths_after: int | None = None
        self._of_user_code: set[tuple[str, str, int]] = set()
        self._lost: set[str] = set()

    @property
    def mends(self) -> bool:
        """Whether a crash is followed by another life."""
        return self._settings.on_crash == "restart"

    def spare(self, death: ParticipantDied) -> bool:
        """Whether the others have to be told of a death, and go on without who died.

        Raises:
            ParticipantDied: Nobody may go on so, or it is one that cannot be spared.
        """
        if death.participant == THE_BROKER and not self.mends:
            return False  # there is another in its place, and its messages are as good as lost ones
        left = [agent for agent in self._agents if agent not in (*self._observer.gone, death.participant)]
        if self._settings.on_crash != "degrade" or death.participant not in self._agents or not left:
            raise death
        before = self._observer.played if death.before_episode is None else death.before_episode
        self._observer.leave(death.participant, death.cause, before)
        return True

    def begin(self, why: str) -> LifeConfig:
        """Go back to where all can go on, and begin the next life there.

        Args:
            why: What ended the one before; empty for the first.
        """
        after = self._common()
        incarnation = self._observer.begin_life(after, why)
        for checkpoints in self._living():
            checkpoints.forget_after(after)
        self._tidy_at = self._observer.recorded
        return LifeConfig(
            incarnation=incarnation,
            after_episode=after,
            checkpoint_every=self._settings.checkpoint_every,
            kept_every=self._kept_every,
            gone=self._observer.gone,
            spared=self._settings.on_crash == "degrade",
        )

    def bury(self, death: ParticipantDied, *, asked: bool = False) -> str:
        """Take note of a death; returns what to say of it, if there is to be another life.

        Args:
            death: Whose, and how.
            asked: Whether the scenario asks for it; such a death is no sign that death follows death.

        Raises:
            ParticipantDied: There is none: the scenario says so, death follows death, or it would end the same.
        """
        if not self.mends:
            raise death
        after = self._common()
        self._deaths = (self._deaths if after == self._deaths_after else 0) + (not asked)
        self._deaths_after = after
        if self._comes_again(death, after):
            raise death
        if self._deaths > self._settings.restarts:
            why = f"{death.cause}, for the {self._deaths}th time after episode {after} (recovery.restarts)"
            raise ParticipantDied(death.participant, why, death.log) from death
        return f"{death.participant} died: {death.cause}"

    def _comes_again(self, death: ParticipantDied, after: int) -> bool:
        """Whether another life would end as this one: it says so, or one from the same episode has ended so."""
        if not isinstance(death, UserCodeDied):
            return False
        place = (death.participant, _ADDRESS.sub("0x", death.cause), after)
        came_before = place in self._of_user_code
        self._of_user_code.add(place)
        return death.final or came_before

    def tidy(self, needed_from: int | None = None) -> None:
        """Bring to the disk what has been recorded, and then delete checkpoints that nobody will go back to.

        Args:
            needed_from: Of this episode, and of later ones, somebody else needs them.
        """
        every = self._settings.checkpoint_every
        if self._observer.recorded < self._tidy_at + every:
            return
        self._tidy_at = self._observer.recorded // every * every
        self._observer.flush()
        # Never beyond what all have: somebody may find no room for what it would keep.
        oldest = min(self._tidy_at - every - 1, self._written_by_all())
        for checkpoints in self._living():
            checkpoints.prune(oldest if needed_from is None else min(oldest, needed_from))

    def kept(self) -> dict[str, Kept]:
        """What each agent knows where another life would begin; of one that is gone, the last that it kept.

        Raises:
            UserError: All episodes are recorded, and somebody has not kept what it knows after the last.
        """
        found, after, gone = {}, self._common(), self._observer.gone
        if self._observer.recorded == self._episodes and after + 1 < self._episodes:
            found_one = f"the last one after episode {after}" if after >= 0 else "none"
            msg = (
                "what the agents have learned is not kept: expected a checkpoint of everybody after episode "
                f"{self._episodes - 1}, found {found_one}. The run's events say why; `foretell resume` plays on from "
                "there"
            )
            raise UserError(msg)
        for agent in self._agents:
            checkpoints = self._checkpoints[agent]
            episode = max(self._left_by(agent), default=-1) if agent in gone else after
            if episode >= 0:
                found[agent] = Kept(episode, checkpoints.read(episode))
        return found

    def _left_by(self, agent: str) -> set[int]:
        """What one that is gone has left; nothing where its host is gone, too, which is asked once."""
        if agent not in self._lost:
            try:
                return self._checkpoints[agent].intact()
            except UserError:
                self._lost.add(agent)
        return set()

    def _living(self) -> list[Checkpoints]:
        """Those of everybody who goes on; what the dead have left stays as it is."""
        gone = self._observer.gone
        return [checkpoints for name, checkpoints in self._checkpoints.items() if name not in gone]

    def _written_by_all(self) -> int:
        """The last recorded episode of which all that go on have a file, whatever is in it; -1 where there is none."""
        files = set.intersection(*(set(checkpoints.newest(_MANY)) for checkpoints in self._living()))
        return max((episode for episode in files if episode < self._observer.recorded), default=-1)

    def _common(self) -> int:
        """The last recorded episode of which all that go on from it have a checkpoint; -1 where there is none."""
        kept = set.intersection(*(checkpoints.intact() for checkpoints in self._living()))
        found = {episode for episode in kept if episode < self._observer.recorded}
        for agent, before in self._observer.deaths().items():
            played, own = before - 1, self._left_by(agent)
            found = {episode for episode in found if episode >= played or episode in own}
        return max(found, default=-1)


def lose_newest(checkpoints: Checkpoints, count: int) -> str:
    """Delete the newest checkpoints of a participant; returns what was done."""
    lost = checkpoints.newest(count)
    if not lost:
        return NONE_TO_LOSE
    checkpoints.forget_after(min(lost) - 1)
    return f"lost its checkpoints of episodes {', '.join(map(str, lost))}"
