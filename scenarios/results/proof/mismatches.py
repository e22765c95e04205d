"""What of a run's faults is not as its scenario asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from broker.counting import counted
from broker.wire.records import EdgeRecord
from scenarios.document.agent_names import AgentNames
from scenarios.document.plan import Plan, strikable
from scenarios.document.scenario import Scenario
from scenarios.results.answers import EdgeFates
from scenarios.results.document import read_document
from scenarios.results.folder import RunFolder
from scenarios.results.played import with_live_faults
from scenarios.results.proof.aim import check_aim, unmet
from scenarios.results.proof.evidence import Evidence
from scenarios.results.proof.rates import check_rates
from scenarios.results.proof.strikes import check_strikes
from scenarios.results.reader import read_store

_EARLY_S = 1e-6
"""Rounding of the clock; a message handed over earlier than that was not held as long as was asked for."""


def mismatches(plan: Plan, store: Path) -> list[str]:
    """What of a run's faults is not as it was asked for, a sentence each; none when all is well.

    Args:
        plan: What ran, without what was added while it did.
        store: The run's SQLite file.
    """
    return _mismatches(plan.scenario, plan.strikable, gather(store))


def mismatches_kept(folder: RunFolder) -> list[str]:
    """The same of a run that is over, read from its folder alone; agents stand there by their names.

    Args:
        folder: Of a run that came to its end.

    Raises:
        UserError: It cannot be read.
    """
    scenario, names = _begun_with(folder)
    return [*map(names.tell, _mismatches(scenario, strikable(scenario, names.by_id), gather(folder.store)))]


def excused(plan: Plan, store: Path) -> list[str]:
    """What of a run's faults did not come about for a reason that is no fault of the run, a sentence each.

    Args:
        plan: What ran, without what was added while it did.
        store: The run's SQLite file.
    """
    return _excused(plan.scenario, gather(store))


def excused_kept(folder: RunFolder) -> list[str]:
    """What `excused` says of a run that is over, read from its folder alone; agents stand there by their names.

    Args:
        folder: Of a run that came to its end.

    Raises:
        UserError: It cannot be read.
    """
    scenario, names = _begun_with(folder)
    return [*map(names.tell, _excused(scenario, gather(folder.store)))]


def verify_ledger(scenario: Scenario, evidence: Evidence) -> list[str]:
    """What of a run's ledger does not fit its scenario, a sentence each; none when all is well.

    Args:
        scenario: What ran, with all that was added while it did.
        evidence: What the run has recorded.
    """
    faults = scenario.message_faults
    sentences = [*check_rates(faults, evidence.counts), *check_aim(faults, evidence)]
    if evidence.lives < 2:
        sentences += _more_ended_than_sent(evidence.edges, evidence.fates)
    if evidence.early:
        sentences.append(f"handed over before their time: {counted(evidence.early, 'delayed message')}")
    return sentences


def gather(store: Path) -> Evidence:
    """What a run has recorded of its faults.

    Args:
        store: The run's SQLite file.

    Raises:
        UserError: It cannot be read.
    """
    with read_store(store) as reader:
        return Evidence(
            counts=reader.fault_counts(),
            edges=reader.edges(),
            fates=reader.fates(),
            early=reader.early_deliveries(_EARLY_S),
            strikes=reader.strikes(),
            live=reader.live_faults(),
            dead=reader.deaths(),
            lives=len(reader.lives()),
        )


def _begun_with(folder: RunFolder) -> tuple[Scenario, AgentNames]:
    with read_store(folder.store) as reader:
        return read_document(folder), reader.agent_names()


def _mismatches(scenario: Scenario, names: tuple[str, ...], evidence: Evidence) -> list[str]:
    whole = with_live_faults(scenario, evidence.live)
    return [
        *verify_ledger(whole, evidence),
        *(met.sentence for met in unmet(whole, evidence) if not met.excuse),
        *check_strikes(whole.process_faults, evidence.strikes, names, evidence.dead),
    ]


def _excused(scenario: Scenario, evidence: Evidence) -> list[str]:
    whole = with_live_faults(scenario, evidence.live)
    return [f"{met.sentence}: {met.excuse}" for met in unmet(whole, evidence) if met.excuse]


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
