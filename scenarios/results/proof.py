"""Whether the faults that a run met are those that its scenario asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from broker.counting import counted, listed
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
from broker.faults.selector import touches
from broker.wire.messages import ENVIRONMENT, OBSERVER
from broker.wire.records import EdgeRecord, FaultCount, ProcessFaultRecord
from scenarios.document.agent_names import AgentNames
from scenarios.document.plan import Plan, strikable
from scenarios.document.process_faults import (
    START,
    LateJoinConfig,
    ProcessFaultConfig,
    episode_occasion,
    matching,
    second_occasion,
)
from scenarios.document.scenario import Scenario
from scenarios.results.answers import CRASHED, GONE, NOTHING_DONE, EdgeFates
from scenarios.results.document import read_document
from scenarios.results.folder import RunFolder
from scenarios.results.played import with_live_faults
from scenarios.results.reader import read_store

SIGNIFICANCE = 1e-6
"""Of a run: rates of which any would come about by chance less often than that are a fault of the injection."""
_TOLD = 8
_EARLY_S = 1e-6
"""Rounding of the clock; a message handed over earlier than that was not held as long as was asked for."""


def check(faults: Sequence[FaultConfig], counts: Sequence[FaultCount]) -> list[str]:
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


def mismatches(plan: Plan, store: Path) -> list[str]:
    """What of a run's faults is not as it was asked for, a sentence each; none when all is well.

    Args:
        plan: What ran, without what was added while it did.
        store: The run's SQLite file.
    """
    return _mismatches(plan.scenario, plan.strikable, store)


def mismatches_kept(folder: RunFolder) -> list[str]:
    """The same of a run that is over, read from its folder alone; agents stand there by their names.

    Args:
        folder: Of a run that came to its end.

    Raises:
        UserError: It cannot be read.
    """
    scenario, names = _begun_with(folder)
    return [*map(names.tell, _mismatches(scenario, strikable(scenario, names.by_id), folder.store))]


def excused_kept(folder: RunFolder) -> list[str]:
    """What `excused` says of a run that is over, read from its folder alone; agents stand there by their names.

    Args:
        folder: Of a run that came to its end.

    Raises:
        UserError: It cannot be read.
    """
    scenario, names = _begun_with(folder)
    return [*map(names.tell, _excused(scenario, folder.store))]


def _begun_with(folder: RunFolder) -> tuple[Scenario, AgentNames]:
    with read_store(folder.store) as reader:
        return read_document(folder), reader.agent_names()


def _mismatches(scenario: Scenario, names: tuple[str, ...], store: Path) -> list[str]:
    with read_store(store) as reader:
        whole = with_live_faults(scenario, reader.live_faults())
    wrong = [met.sentence for met in _unmet(scenario, store) if not met.excuse]
    return [*verify_ledger(whole, store), *wrong, *_verify_strikes(whole, names, store)]


def excused(plan: Plan, store: Path) -> list[str]:
    """What of a run's faults did not come about for a reason that is no fault of the run, a sentence each.

    Args:
        plan: What ran, without what was added while it did.
        store: The run's SQLite file.
    """
    return _excused(plan.scenario, store)


def _excused(scenario: Scenario, store: Path) -> list[str]:
    return [f"{met.sentence}: {met.excuse}" for met in _unmet(scenario, store) if met.excuse]


def verify_ledger(scenario: Scenario, store: Path) -> list[str]:
    """What of a run's ledger does not fit its scenario, a sentence each; none when all is well.

    Args:
        scenario: What ran.
        store: The run's SQLite file.
    """
    with read_store(store) as reader:
        counts, edges = reader.fault_counts(), reader.edges()
        early = reader.early_deliveries(_EARLY_S)
        sentences = _more_ended_than_sent(edges, reader.fates()) if len(reader.lives()) < 2 else []
        dead = reader.deaths()
    faults, used = scenario.message_faults, _used(edges, dead)
    aimed = [fault for fault in faults if not _touches_silenced(fault, used, counts)]
    sentences = [*check(faults, counts), *_aimed_at_nothing(aimed, used), *sentences]
    if early:
        sentences.append(f"{early} delayed messages were handed over before their time")
    return sentences


def _verify_strikes(scenario: Scenario, names: tuple[str, ...], store: Path) -> list[str]:
    """What was to happen to processes in a run and did not, a sentence each; none when all is well."""
    faults = scenario.process_faults
    if not faults:
        return []
    with read_store(store) as reader:
        return check_strikes(faults, reader.strikes(), names, reader.deaths())


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


def _more_ended_than_sent(edges: Sequence[EdgeRecord], fates: Sequence[EdgeFates]) -> list[str]:
    """Edges on which more messages met a fate than were sent, in a run of one life.

    Who died without being replaced has told nobody what it sent; and what is sent right after a checkpoint is forgotten
    by its sender in a crash, but not always by its receiver.
    """
    ended = {(found.source, found.destination): sum(found[2:]) for found in fates}
    return [
        f"{edge.source}->{edge.destination}: {counted(count, 'message')} ended there, but {edge.sent} were sent: "
        "others speak in that name"
        for edge in edges
        if (count := ended.get((edge.source, edge.destination))) is not None
        and edge.sent > 0
        and count + edge.lost > edge.sent + edge.dropped
    ]


class _Unmet(NamedTuple):
    """A fault of messages that had no chance in a whole run; `excuse` is why that need not be wrong."""

    sentence: str
    excuse: str


def _unmet(scenario: Scenario, store: Path) -> list[_Unmet]:
    """Faults that could strike nothing in the whole run, but for those that are aimed at nothing."""
    with read_store(store) as reader:
        live, counts, dead = reader.live_faults(), reader.fault_counts(), reader.deaths()
        used = _used(reader.edges(), dead)
    carried = {kind_on(*edge) for edge in used}
    changed = {change.name for change in live}
    found = []
    for position, fault in enumerate(with_live_faults(scenario, live).message_faults):
        name = name_of_fault(fault)
        of_fault = [count for count in counts if count.fault == name]
        if any(count.chances for count in of_fault):
            continue
        if aimed_at_nothing := _aimed_at_nothing([fault], used):
            if _touches_silenced(fault, used, counts):
                found.append(
                    _Unmet(aimed_at_nothing[0], "who sends there heard nothing: others had lost or held it all")
                )
            continue
        examined = sum(count.examined for count in of_fault)
        if examined:
            sentence = f"fault {name}: could strike none of the {counted(examined, 'message')} that it met"
        else:
            sentence = f"fault {name}: met no message in the whole run{_window_of(fault)}"
        if name in changed:
            excuse = "it was added or healed while the run went on"
        elif dead:
            excuse = "agents died, and the others went on without them"
        elif not carried & set(fault.messages):
            excuse = f"nobody sent any {' or '.join(fault.messages)}"
        else:
            excuse = "those before it had lost or held them all" if examined and position else ""
        found.append(_Unmet(sentence, excuse))
    return found


def _window_of(fault: FaultConfig) -> str:
    """Where no message came, as a clause; empty if that was nowhere in particular."""
    names = ("episodes", "rounds", "steps", "seconds")
    windows = [f"{name} [{window[0]:.12g}, {window[1]:.12g})" for name in names if (window := getattr(fault, name))]
    return f"; none came in its window of {' and '.join(windows)}" if windows else ""


def _used(edges: Sequence[EdgeRecord], dead: Container[str]) -> list[tuple[str, str]]:
    """Edges on which messages went; the dead told of none, so theirs are those on which somebody spoke to them."""
    used = [(edge.source, edge.destination) for edge in edges if edge.sent > 0]
    return used + [(to, source) for source, to in used if to in dead and source not in dead]


def _aimed_at_nothing(faults: Sequence[FaultConfig], used: Sequence[tuple[str, str]]) -> list[str]:
    """Faults whose selector fits none of the edges on which messages of their kinds went."""
    edges = [(*edge, kind) for edge in used if (kind := kind_on(*edge))]
    sentences = []
    for fault in faults:
        possible = [edge for edge in edges if edge[2] in fault.messages]
        if possible and not any(touches(fault, *edge) for edge in possible):
            name, kinds = name_of_fault(fault), ", ".join(fault.messages)
            sentences.append(
                f"fault {name}: none of the {counted(len(possible), 'edge')} that carried {kinds} is one it touches"
            )
    return sentences


def _touches_silenced(fault: FaultConfig, used: Sequence[tuple[str, str]], counts: Sequence[FaultCount]) -> bool:
    """Whether a fault touches an edge of somebody who had nothing to answer: faults took all that was sent there."""
    taken = {(count.source, count.destination) for count in counts if count.chances and count.hits == count.chances}
    incoming: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for edge in used:
        if kind_on(*edge):
            incoming[edge[1]].add(edge)
    speakers = {source for source, _ in used}
    silenced = [name for name, edges in incoming.items() if edges <= taken and name not in speakers]
    return any(
        kind in fault.messages and touches(fault, name, other, kind)
        for name in silenced
        for other in incoming
        if other != name and (kind := kind_on(name, other))
    )


def check_strikes(
    faults: Sequence[ProcessFaultConfig],
    found: Sequence[ProcessFaultRecord],
    names: tuple[str, ...],
    dead: Container[str],
) -> list[str]:
    """What was to strike and did not, a sentence each; none when all is well.

    A strike that could do nothing is none, unless it came to somebody whom a fault had killed before.

    Args:
        faults: As the scenario has them.
        found: Every strike in the ledger.
        names: Everybody who can be struck.
        dead: Agents that died and were not replaced.
    """
    struck: dict[tuple[str, str], set[str]] = {}
    idle: dict[tuple[str, str], list[str]] = {}
    killed: set[str] = set()
    for strike in found:
        name, when = strike.participant, (strike.fault, strike.occasion)
        if strike.what not in NOTHING_DONE or is_excused(strike, dead, killed):
            struck.setdefault(when, set()).add(name)
        else:
            idle.setdefault(when, []).append(f"{name} {strike.what}")
        if strike.what.startswith(CRASHED):
            killed.add(name)
    sentences = []
    for fault in faults:
        name, victims = name_of_fault(fault), set(matching(fault, names))
        if isinstance(fault, LateJoinConfig):
            occasions, wanted = [START], len(victims)
        else:
            occasions = [*map(episode_occasion, fault.at_episodes), *map(second_occasion, fault.at_s)]
            wanted = 1 if fault.pick == "one" else len(victims)
            if not occasions and not any(of == name for of, _ in struck):
                why = listed([each for when, said in idle.items() if when[0] == name for each in said], _TOLD)
                sentences.append(f"fault {name}: never struck; {why or 'the run was over before its time'}")
        for occasion in occasions:
            count = len(struck.get((name, occasion), set()) & victims)
            if count != wanted:
                why = listed(idle.get((name, occasion), []), _TOLD)
                told = f"fault {name}: struck {count} of {counted(wanted, 'participant')} at {occasion}"
                sentences.append(f"{told}: {why}" if why else told)
    return sentences


def is_excused(strike: ProcessFaultRecord, dead: Container[str], killed: Container[str]) -> bool:
    """Whether a strike could do nothing because another had killed whom it came to, or nobody was in its place."""
    return strike.what == GONE and (strike.participant in dead or strike.participant in killed)


def kind_on(source: str, destination: str) -> str:
    """What travels on an edge; nothing that counts here on those of the observer and of strangers."""
    if OBSERVER in (source, destination) or not all(map(_is_participant, (source, destination))):
        return ""
    return "timestep" if source == ENVIRONMENT else "action" if destination == ENVIRONMENT else "share"


def _is_participant(name: str) -> bool:
    return name == ENVIRONMENT or name.startswith("agent-")
