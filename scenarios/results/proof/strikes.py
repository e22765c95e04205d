"""Whether what was to happen to processes has happened. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Container, Sequence

from broker.counting import counted, listed
from broker.faults.config import name_of_fault
from broker.wire.records import ProcessFaultRecord
from scenarios.document.process_faults import (
    START,
    LateJoinConfig,
    ProcessFaultConfig,
    episode_occasion,
    matching,
    second_occasion,
)
from scenarios.results.answers import CRASHED, GONE, NOTHING_DONE

_TOLD = 8


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
