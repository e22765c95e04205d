"""What is said of a run in lines: its head, its timeline, who waits for whom. Pure."""

from __future__ import annotations

from scenarios.watching.seen import ParticipantSeen, RunSeen, RunState
from scenarios.watching.terminal.columns import clean, seconds


def head(seen: RunSeen) -> str:
    """What runs, how far it is, and how well it does."""
    scenario = seen.scenario
    parts = [
        clean(scenario.name),
        seen.state.value,
        f"episode {len(seen.team)} of {scenario.episodes}",
        "" if not len(seen.team) else f"team {seen.team[-20:].mean():.2f}",
        f"life {seen.life}" if seen.life > 0 else "",
        clean(scenario.algorithm.name),
    ]
    return "  ".join(part for part in parts if part)


def timeline(seen: RunSeen) -> str:
    """What has happened, the newest first."""
    lines = [
        f"{'at first' if each.after_episode < 0 else f'after {each.after_episode}':>12}  {each.kind.value:<12} "
        f"{clean(seen.names.tell(each.text))}"
        for each in reversed(seen.happenings)
    ]
    return "\n".join(lines) or "nothing has happened yet"


def waits(seen: RunSeen) -> str:
    """Who waits for whom, the longest first."""
    if seen.state is not RunState.GOES_ON:
        return f"nobody waits: the run is {seen.state.value}"
    waiting = [each for each in (seen.environment, *seen.agents) if each.waits_for and not each.gone]
    return "\n".join(_wait(seen, each) for each in sorted(waiting, key=_longest)) or "nobody has given a sign yet"


def _longest(participant: ParticipantSeen) -> float:
    return -participant.waits_s


def _wait(seen: RunSeen, participant: ParticipantSeen) -> str:
    return f"{seconds(participant.waits_s):>6}  {clean(seen.names.tell(participant.waits_for))}"
