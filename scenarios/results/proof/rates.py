"""Whether faults struck as often as was asked for, or as chance explains. Pure: no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from broker.counting import counted
from broker.faults.chains import bad_share
from broker.faults.config import (
    CONTENT,
    ClockOffsetConfig,
    DelayConfig,
    DropConfig,
    DuplicateConfig,
    FaultConfig,
    GilbertElliottConfig,
    HoldConfig,
    IsolateConfig,
    PartitionConfig,
    ReorderConfig,
    SlowNodeConfig,
    name_of_fault,
)
from broker.faults.delays import Constant, Trace, Uniform
from broker.faults.delays import DelayDistribution as Delays
from broker.wire.records import FaultCount

SIGNIFICANCE = 1e-6
"""Of a run: rates of which any would come about by chance less often than that are a fault of the injection."""


def check_rates(faults: Sequence[FaultConfig], counts: Sequence[FaultCount]) -> list[str]:
    """What of the counts does not fit what was asked for, a sentence each; none when all is well.

    A rate is tested on each edge, and over all edges of the fault, by an exact binomial test with two sides. All tests
    share one significance (Bonferroni), so that a run of many edges is as rarely blamed for nothing as one of few. The
    losses of a link with bursts depend on each other, so there the test takes as many chances as tell the same.

    Args:
        faults: As the scenario has them.
        counts: Of all receivers.
    """
    by_fault: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for count in counts:
        by_fault[count.fault][f"{count.source}->{count.destination}"] = (count.chances, count.hits)
    rated = [
        (fault, rate, _tested(by_fault[name_of_fault(fault)]))
        for fault in faults
        if (rate := rate_of(fault)) is not None
    ]
    tests = sum(len(tested) for _, rate, tested in rated if 0 < rate < 1)
    sentences = []
    for fault, rate, tested in rated:
        for where, (chances, hits) in tested.items():
            if not _fits(fault, rate, chances, hits, SIGNIFICANCE / max(tests, 1)):
                sentences.append(
                    f"fault {name_of_fault(fault)}: struck {hits} of {counted(chances, 'time')} {where}, "
                    f"expected {rate * chances:.6g} (a rate of {rate:.6g})"
                )
                break
    return sentences


def rate_of(fault: FaultConfig) -> float | None:
    """How often a fault strikes a message that it may strike, or None where that is not known beforehand."""
    match fault:
        case DropConfig() | DuplicateConfig():
            return fault.probability
        case ReorderConfig():
            return fault.probability if always_later(fault.by_s) else None
        case GilbertElliottConfig():
            bad = bad_share(fault)
            return bad * fault.drop_in_bad + (1 - bad) * fault.drop_in_good
        case PartitionConfig() | IsolateConfig() | HoldConfig():
            return 1.0
        case ClockOffsetConfig():
            return 1.0 if fault.offset_s else 0.0
        case DelayConfig():
            return 1.0 if always_later(fault.delay_s) else None
        case SlowNodeConfig():
            return 1.0 if always_later(fault.compute_s) else None
        case _:
            return fault.probability if isinstance(fault, CONTENT) else None


def always_later(delays: Delays) -> bool:
    """Whether a draw of the distribution is above 0, but for one in a quadrillion."""
    match delays:
        case Constant():
            return delays.value_s > 0
        case Uniform():
            return delays.high_s > 0
        case Trace():
            return all(delays.values_s)
        case _:
            return delays.distribution in ("lognormal", "exponential", "pareto")


def _tested(edges: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Chances and hits of a fault, by where its rate is tested: where it had any chance, and over all its edges."""
    tested = {f"on {edge}": found for edge, found in sorted(edges.items()) if any(found)}
    total = sum(chances for chances, _ in edges.values()), sum(hits for _, hits in edges.values())
    return tested | {"on all its edges": total} if len(tested) > 1 else tested


def _fits(fault: FaultConfig, rate: float, chances: int, hits: int, significance: float) -> bool:
    if rate in (0.0, 1.0):
        return hits == rate * chances
    if isinstance(fault, GilbertElliottConfig):
        memory = max(0.0, 1 - fault.to_bad - fault.to_good)
        telling = (1 - memory) / (1 + memory)
        chances, hits = round(chances * telling), round(hits * telling)
    if not chances:
        return True
    from scipy.special import bdtr, bdtrc  # noqa: PLC0415 - only runs with faults need it; scipy.stats takes half a second

    hits = min(hits, chances)
    at_most, at_least = bdtr(hits, chances, rate), bdtrc(hits - 1, chances, rate)
    return bool(2 * min(at_most, at_least) >= significance)
