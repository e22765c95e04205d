"""What each kind of fault makes of a verdict."""

from __future__ import annotations

from typing import assert_never

from broker.faults.case import Case, Draw
from broker.faults.config import (
    DelayConfig,
    DropConfig,
    DuplicateConfig,
    DutyCycleConfig,
    GilbertElliottConfig,
    HoldConfig,
    IsolateConfig,
    PartitionConfig,
    RateLimitConfig,
    ReorderConfig,
    SlowNodeConfig,
    VerdictConfig,
)
from broker.faults.delays import DelayDistribution
from broker.faults.distributions import quantile

Verdict = tuple[float, ...]
UNTOUCHED: Verdict = (0.0,)
LOST: Verdict = ()


class Link:
    """A slow link on one edge: when it is busy, also with copies that other faults bring to it later.

    A gap of `least_s` is none: what seconds round off lets nobody slip in between two who follow on each other.
    """

    __slots__ = ("_busy",)

    def __init__(self) -> None:
        self._busy: list[tuple[float, float]] = []

    def idle_at(self, now_s: float, arrives_s: float, least_s: float) -> float:
        """When it can begin with a copy.

        Args:
            now_s: Nobody asks about an earlier time any more.
            arrives_s: When the copy comes to the link.
            least_s: What takes no longer does not count.
        """
        self._busy = [each for each in self._busy if each[1] > now_s]
        runs = (free_s for busy_s, free_s in self._busy if busy_s - least_s <= arrives_s < free_s)
        return next(runs, arrives_s)

    def carry(self, begins_s: float, takes_s: float, least_s: float) -> float:
        """Take a copy through in the time that those leave who were promised to go through; returns when it is."""
        ends_s = begins_s + takes_s
        for busy_s, free_s in self._busy:
            if begins_s <= busy_s < ends_s - least_s:
                ends_s += free_s - busy_s
        runs: list[tuple[float, float]] = []
        for busy_s, free_s in sorted([*self._busy, (begins_s, ends_s)]):
            if runs and busy_s - runs[-1][1] <= least_s:
                runs[-1] = (runs[-1][0], max(runs[-1][1], free_s))
            else:
                runs.append((busy_s, free_s))
        self._busy = runs
        return ends_s


def changed(verdict: Verdict, config: VerdictConfig, case: Case, link: Link) -> Verdict:
    """The verdict behind a fault, given the one before it."""
    match config:
        case DropConfig():
            return drop(verdict, config, case.draw)
        case DelayConfig():
            return delay(verdict, config, case.strengths(config.delay_s, case.draw))
        case GilbertElliottConfig():
            return drop_in_bursts(verdict, config, case.draw, bad=case.link_is_bad(config))
        case DuplicateConfig():
            return duplicate(verdict, config, case.draw, case.strengths(config.extra_s, case.second))
        case ReorderConfig():
            return reorder(verdict, config, case.draw, case.strengths(config.by_s, case.second))
        case RateLimitConfig():
            return limit_rate(verdict, config, case, link)
        case DutyCycleConfig():
            return switched_on(verdict, config, case.at_s)
        case PartitionConfig() | IsolateConfig():
            return LOST
        case HoldConfig():
            return tuple(max(before, config.seconds[1] - case.at_s) for before in verdict)
        case SlowNodeConfig():
            return _later(verdict, config.compute_s, case.strengths(config.compute_s, case.draw))
        case _:
            assert_never(config)


def drop(verdict: Verdict, config: DropConfig, draw: Draw) -> Verdict:
    """Lose each copy with the configured probability."""
    return tuple(before for copy, before in enumerate(verdict) if draw(copy) >= config.probability)


def delay(verdict: Verdict, config: DelayConfig, draw: Draw) -> Verdict:
    """Hold each copy back by a draw of the configured distribution."""
    return _later(verdict, config.delay_s, draw)


def drop_in_bursts(verdict: Verdict, config: GilbertElliottConfig, draw: Draw, *, bad: bool) -> Verdict:
    """Lose each copy with the probability of the link's state."""
    probability = config.drop_in_bad if bad else config.drop_in_good
    return tuple(before for copy, before in enumerate(verdict) if draw(copy) >= probability)


def duplicate(verdict: Verdict, config: DuplicateConfig, draw: Draw, strength: Draw) -> Verdict:
    """Add a second copy of each with the configured probability, behind all others so that none changes its number."""
    added = tuple(
        before + quantile(config.extra_s, strength(copy))
        for copy, before in enumerate(verdict)
        if draw(copy) < config.probability
    )
    return verdict + added


def reorder(verdict: Verdict, config: ReorderConfig, draw: Draw, strength: Draw) -> Verdict:
    """Hold each copy back with the configured probability."""
    return tuple(
        before + quantile(config.by_s, strength(copy)) if draw(copy) < config.probability else before
        for copy, before in enumerate(verdict)
    )


def limit_rate(verdict: Verdict, config: RateLimitConfig, case: Case, link: Link) -> Verdict:
    """Put each copy into the link's queue, or lose it when it does not fit.

    A verdict stands. So a copy that comes to the link before one that was promised to go through later, because a fault
    held that back, pauses for it. Whole bytes wait: what seconds of any size round off decides over no message.
    """
    kept, takes_s, least_s = [], case.size_bytes / config.bytes_per_s, 0.5 / config.bytes_per_s
    for before in verdict:
        arrives_s = case.at_s + before
        begins_s = link.idle_at(case.at_s, arrives_s, least_s)
        waiting_bytes = round((begins_s - arrives_s) * config.bytes_per_s)
        if waiting_bytes and waiting_bytes + case.size_bytes > config.queue_bytes:
            continue
        kept.append(link.carry(begins_s, takes_s, least_s) - case.at_s)
    return tuple(kept)


def switched_on(verdict: Verdict, config: DutyCycleConfig, at_s: float) -> Verdict:
    """Hold each copy back that comes while the radio is off; the others are as they were, to the last bit."""
    slots = [(before, at_s + before, next_slot(config, at_s + before)) for before in verdict]
    return tuple(before if slot == comes_s else slot - at_s for before, comes_s, slot in slots)


def next_slot(config: DutyCycleConfig, at_s: float) -> float:
    """`at_s` if the radio is on then, else when it is switched on next."""
    into_s = (at_s - config.offset_s) % config.period_s
    return at_s if into_s < config.on_s else at_s + config.period_s - into_s


def _later(verdict: Verdict, distribution: DelayDistribution, draw: Draw) -> Verdict:
    return tuple(before + quantile(distribution, draw(copy)) for copy, before in enumerate(verdict))
