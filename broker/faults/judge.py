"""All faults of a run, in the order in which they apply."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from broker.errors import ScenarioError
from broker.faults.case import Case
from broker.faults.chains import LONGEST_EPISODE, Chains
from broker.faults.config import (
    CONTENT,
    ClockOffsetConfig,
    ContentConfig,
    FaultConfig,
    GilbertElliottConfig,
    HoldConfig,
    RateLimitConfig,
    StaleConfig,
    name_of_fault,
)
from broker.faults.selector import has_window, in_window, touches
from broker.faults.verdicts import UNTOUCHED, Link, Verdict, changed, drop_in_bursts
from broker.wire.messages import MessageName


class Examining(NamedTuple):
    """A fault that looks at the messages of an edge, with its name; `windowed` if it skips some of them."""

    name: str
    config: FaultConfig
    windowed: bool


class Look(NamedTuple):
    """What one fault did with one message.

    Attributes:
        fault: Its name.
        before: The verdict it found.
        after: The verdict it left; a fault of content changes none.
        content: Its settings, if it is a fault of content.
        case: The draws it made.
        chances: How many copies it could strike, of those that a rate is tested with.
        hits: How many of these were lost, held back, added or met by a wrong clock.
    """

    fault: str
    before: Verdict
    after: Verdict
    content: ContentConfig | None
    case: Case
    chances: int
    hits: int

    @property
    def struck(self) -> bool:
        """Whether anything came of it."""
        return self.hits > 0 or self.after != self.before


class Judge:
    """Gives every message of a run its verdict.

    Args:
        faults: In the order in which they apply.
        seed: What draws derive from.
        episodes_before: Draws are named by episodes counted on from there; windows in episodes are those of the run.
        longest_episode: How many messages of a kind an edge carries in an episode at most.

    Raises:
        ScenarioError: Two faults have one name.
    """

    def __init__(
        self,
        faults: Sequence[FaultConfig],
        seed: int,
        episodes_before: int = 0,
        longest_episode: int = LONGEST_EPISODE,
    ) -> None:
        self._seed = seed
        self._episodes_before = episodes_before
        self._longest_episode = longest_episode
        self._chains = Chains(seed, longest_episode)
        self._links: defaultdict[tuple[str, str, str], Link] = defaultdict(Link)
        self._faults = [Examining(name_of_fault(fault), fault, has_window(fault)) for fault in faults]
        self._matching: dict[tuple[str, str, str], list[Examining]] = {}
        names = [fault.name for fault in self._faults]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise ScenarioError(
                    f"faults[{position}].name", f"two faults are called {name!r}; give each its own name"
                )

    def inherit(self, other: Judge) -> None:
        """Take over the queues of slow links from another judge: they do not empty because other faults change."""
        self._links = other._links

    def examining(self, source: str, destination: str, kind: str) -> list[Examining]:
        """The faults that look at messages of this kind on this edge, if they are in their windows."""
        key = (source, destination, kind)
        matching = self._matching.get(key)
        if matching is None:
            matching = [fault for fault in self._faults if touches(fault.config, *key)]
            self._matching[key] = matching
        return matching

    def repeats(self, source: str, destination: str, share: MessageName) -> bool:
        """Whether a fault may put a share of this edge in the place of a later one, before its window begins, too."""
        return 0 <= share.number < self._longest_episode and any(
            isinstance(fault.config, StaleConfig) for fault in self.examining(source, destination, share.kind)
        )

    def looks(self, source: str, destination: str, message: MessageName, at_s: float, size_bytes: int) -> list[Look]:
        """What each fault does with a message, in order; the last one's verdict counts.

        Args:
            source: Who sent it.
            destination: Who received it.
            message: Its name.
            at_s: When it came, in seconds since the receiver began.
            size_bytes: Of its arrays.
        """
        verdict, looks, true_s, named = UNTOUCHED, [], at_s, message
        if self._episodes_before:
            named = message._replace(episode=self._episodes_before + message.episode)
        for name, config, windowed in self.examining(source, destination, message.kind):
            if windowed and not in_window(config, message, at_s):
                continue
            edge = (source, destination)
            met_s = true_s if isinstance(config, RateLimitConfig) else at_s  # bytes take their time by any clock
            case = Case(self._seed, self._chains, name, edge, named, at_s=met_s, size_bytes=size_bytes)
            if isinstance(config, CONTENT):
                looks.append(Look(name, verdict, verdict, config, case, 0, 0))
                continue
            if isinstance(config, ClockOffsetConfig):
                at_s += config.offset_s
                met = len(verdict) if config.offset_s else 0
                looks.append(Look(name, verdict, verdict, None, case, len(verdict), met))
                continue
            after = changed(verdict, config, case, self._links[name, source, destination]) if verdict else verdict
            looks.append(Look(name, verdict, after, None, case, *_tested(config, case, verdict, after)))
            verdict = after
        return looks


def _tested(config: FaultConfig, case: Case, before: Verdict, after: Verdict) -> tuple[int, int]:
    """How many copies a fault could strike, and how many of them were lost, held back or added.

    The copies of a message meet a link with bursts in one state, and it comes again because it was lost: they tell
    nothing of how often that state is. What is held for longer anyway cannot be held back.
    """
    if isinstance(config, GilbertElliottConfig):
        if case.message.attempt or not before:
            return 0, 0
        return 1, int(not drop_in_bursts(before[:1], config, case.draw, bad=case.link_is_bad(config)))
    lost_or_added = abs(len(after) - len(before))
    hits = lost_or_added or sum(one != two for one, two in zip(before, after, strict=True))
    if isinstance(config, HoldConfig):
        return sum(copy < config.seconds[1] - case.at_s for copy in before), hits
    return len(before), hits
