"""Policies that a training keeps on its way, to be evaluated when it has ended."""

from __future__ import annotations

from collections.abc import Mapping

from agent_node.policy_files import holds_policy
from broker.counting import counted
from broker.errors import UserError
from broker.participants.checkpoint import Checkpoints, Kept
from scenarios.document.plan import Plan
from scenarios.results.evaluation import place_of_evaluation
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.policy import keep_policy


class Milestones:
    """Which policy is to be kept next, and from which checkpoints.

    Every agent writes a checkpoint at a milestone; when the episode behind it is recorded, all have, or could not.

    Args:
        plan: What runs.
        folder: Of the run.
        observer: Knows which episodes are recorded, and who is gone.
        checkpoints: What each participant kept.
    """

    def __init__(
        self, plan: Plan, folder: RunFolder, observer: Observer, checkpoints: Mapping[str, Checkpoints]
    ) -> None:
        self._plan, self._folder, self._observer, self._checkpoints = plan, folder, observer, checkpoints
        self._next = 0
        self._go_on()

    @property
    def needed_from(self) -> int | None:
        """The episode from which on checkpoints are still needed; None where none are."""
        return self._next - 1 if self._next else None

    def look(self, *, ended: bool = False) -> None:
        """Keep what is due.

        Args:
            ended: Whether nobody will write a checkpoint any more.
        """
        while self._next and self._observer.recorded >= self._next + (not ended):
            if not self._keep(self._next - 1):
                if ended and self._observer.recorded < self._plan.scenario.episodes:
                    return  # it is played again when the run is resumed
                played = counted(self._next, "episode")
                self._observer.tell(f"the policy after {played} is not evaluated: not everybody kept it")
            self._go_on()

    def _go_on(self) -> None:
        """To the next milestone that has neither a policy nor an evaluation yet; the last episode is always one."""
        config, episodes = self._plan.scenario.evaluation, self._plan.scenario.episodes
        if config is None or self._plan.scenario.acts_only is not None:
            return
        before = self._next
        while before < episodes:
            before = min(before + config.every, episodes)
            place = place_of_evaluation(self._folder, before)
            if not place.exists() and not holds_policy(place.with_suffix("")):
                self._next = before
                return
        self._next = 0

    def _keep(self, episode: int) -> bool:
        gone = self._observer.gone
        living = [agent for agent in self._plan.agents if agent not in gone]
        if not all(episode in self._checkpoints[agent].intact() for agent in living):
            return False
        kept = {agent: Kept(episode, self._checkpoints[agent].read(episode)) for agent in living}
        for agent in gone:
            last = self._last_of_the_dead(agent, episode)
            if last is None:
                return False
            kept[agent] = last
        keep_policy(self._plan, place_of_evaluation(self._folder, episode + 1).with_suffix(""), kept, gone)
        return True

    def _last_of_the_dead(self, agent: str, episode: int) -> Kept | None:
        checkpoints = self._checkpoints[agent]
        try:
            last = max((each for each in checkpoints.intact() if each <= episode), default=-1)
            return None if last < 0 else Kept(last, checkpoints.read(last))
        except UserError:  # its host is gone, too
            return None
