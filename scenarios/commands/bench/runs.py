"""What runs cost and endure: `foretell bench startup`, `growth`, `recovery` and `soak`."""

from __future__ import annotations

import statistics
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import click
from rich.table import Table

from broker.counting import counted
from scenarios.commands.bench.showing import figures_table, live_bar
from scenarios.commands.command_line import FORETELL
from scenarios.commands.options import Number
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say

if TYPE_CHECKING:
    from scenarios.bench.recovery import Campaign
    from scenarios.bench.startup import Memory, Startup

JOINED_LIMIT_S = 1.5
MEMORY_LIMIT_MB = 250.0
LIMITS_AGENTS = 20
GROWTH_LIMIT = 1.3
JOINED_100_LIMIT_S = 6.0
MEMORY_100_LIMIT_MB = 1000.0
_RECOVERED = "recovered: an episode was recorded that was not before the kill; the phase is the last one reported"


@click.command()
@click.option("--scenario", default="predation-20", show_default=True, help="Catalogue name or file.")
def startup(scenario: str) -> None:
    """Seconds until every participant of a run is there, and the memory they hold."""
    from scenarios.bench.startup import measure_startup  # noqa: PLC0415
    from scenarios.document.loading import load_scenario  # noqa: PLC0415
    from scenarios.document.planning import make_plan  # noqa: PLC0415

    plan = make_plan(load_scenario(scenario, {"episodes": 1_000_000}))
    found = measure_startup(plan)
    Screen().print(_startup_table(found, plan.agents))
    about = f"limit {{}} for {LIMITS_AGENTS} agents"
    agents = sum(found.joined.get(agent, 0) for agent in plan.agents) / 1e6
    everything = sum(found.learned.values()) / 1e6
    say(f"startup: {found.joined_s:.2f} s until all have joined ({about.format(f'{JOINED_LIMIT_S:.0f} s')})")
    limit = about.format(f"{MEMORY_LIMIT_MB:.0f} MB")
    say(f"startup: {agents:.0f} MB of PSS in all agents when all have joined ({limit})")
    say(f"startup: {everything:.0f} MB of PSS in all processes of the run when agents have learned")


@click.command()
@click.option("--agents", type=click.IntRange(min=5), multiple=True, default=(10, 100, 1000), show_default=True)
@click.option("--blocks", type=click.IntRange(min=1), default=5, show_default=True, help="Blocks of each number.")
@click.option("--episodes", type=click.IntRange(min=1), default=2, show_default=True, help="Of the most, in a block.")
@click.option("--processes", type=click.IntRange(min=5), multiple=True, default=(10, 100), show_default=True)
def growth(agents: tuple[int, ...], blocks: int, episodes: int, processes: tuple[int, ...]) -> None:
    """What an agent costs as there are more: simulated, by time and memory, and as a process, until all have joined."""
    from scenarios.bench.growth import measure_growth, measure_joining  # noqa: PLC0415

    found = measure_growth(sorted(set(agents)), blocks, episodes)
    table = figures_table(
        "simulated, degree 4", "agents", "to begin, ms each", "ms a round", "MiB each", "times the fewest"
    )
    for size in found:
        memory = f"{size.memory_bytes / 2**20:.3f}"
        table.add_row(f"{size.agents:,}", f"{size.begun_ms:.2f}", f"{size.round_ms:.3f}", memory, f"{size.ratio:.2f}")
    Screen().print(table)
    joined = [(number, measure_joining(number)) for number in sorted(set(processes))]
    table = figures_table(
        "as processes, degree 4", "agents", "s until joined", "MB of PSS joined", "MB learned", "MB each"
    )
    for number, start in joined:
        everything, learned = (sum(look.values()) / 1e6 for look in (start.joined, start.learned))
        each = sum(start.learned[name] for name in start.learned if name.startswith("agent-")) / 1e6 / number
        row = (f"{start.joined_s:.2f}", f"{everything:.0f}", f"{learned:.0f}", f"{each:.1f}")
        table.add_row(f"{number:,}", *row)
    Screen().print(table)
    most, last = found[-1], joined[-1]
    say(
        f"growth: {most.ratio:.2f} times the processor time a round of {counted(found[0].agents, 'agent')} with "
        f"{most.agents} (limit {GROWTH_LIMIT})"
    )
    say(
        f"growth: {counted(last[0], 'agent')} as processes have joined after {last[1].joined_s:.2f} s "
        f"(limit {JOINED_100_LIMIT_S:.0f} s for 100) and hold {sum(last[1].learned.values()) / 1e6:.0f} MB of PSS "
        f"with all that is around them (limit {MEMORY_100_LIMIT_MB:.0f} MB for 100)"
    )


@click.command()
@click.option("--kills", type=click.IntRange(min=1), default=20, show_default=True, help="In all.")
@click.option("--episodes", type=click.IntRange(min=10), default=100, show_default=True, help="Of each run.")
@click.option("--seed", default=0, show_default=True, help="Of moments and victims.")
def recovery(kills: int, episodes: int, seed: int) -> None:
    """Kill agents, environment, broker and launcher at random moments, and see whether the results stay the same."""
    from scenarios.bench.recovery import TRANSPORTS, measure_recovery, undisturbed_figures  # noqa: PLC0415

    undisturbed, campaigns = undisturbed_figures(FORETELL, episodes), []
    for transport in TRANSPORTS:
        share = -(-kills // len(TRANSPORTS))
        with live_bar(share, "kill") as show:
            kill = partial(measure_recovery, FORETELL, undisturbed, kills=share, episodes=episodes, seed=seed)
            campaigns.append(kill(transport=transport, show=show))
    Screen().print(_recovery_table(campaigns))
    for campaign in campaigns:
        for sentence in campaign.wrong:
            say(f"recovery: {sentence}")
        say(
            f"recovery: {campaign.faithful} of {counted(campaign.runs, 'run')} over {campaign.transport}, with "
            f"{counted(len(campaign.kills), 'kill')}, ended by themselves with the figures of an undisturbed run"
        )


@click.command()
@click.option("--minutes", type=Number(0.5, 100_000), default=30.0, show_default=True, help="How long it runs.")
@click.option("--kill-every", type=Number(10, 86_400), default=60.0, show_default=True, help="Seconds.")
def soak(minutes: float, kill_every: float) -> None:
    """20 agents, 10% loss, 20 ms delays and a kill a minute: memory of all processes, and an exact ledger."""
    from scenarios.bench.soak import measure_soak  # noqa: PLC0415

    with live_bar(int(60 * minutes), "second") as show:
        found = measure_soak(FORETELL, minutes, kill_every, show)
    table = figures_table("resident memory, medians", "process", "second quarter MB", "last quarter MB", "growth MB")
    for role, (early, late) in sorted(found.memory_mb.items()):
        table.add_row(role, f"{early:.1f}", f"{late:.1f}", f"{late - early:+.1f}")
    Screen().print(table)
    rows = ", ".join(f"{count} {table}" for table, count in found.compared.items())
    say(
        f"soak: {found.seconds / 60:.1f} min, {counted(found.episodes, 'episode')}, {counted(found.kills, 'kill')}, "
        f"{counted(found.lives, 'life', 'lives')}; "
        f"compared with a simulation: {rows}"
    )
    for sentence in found.wrong or ["every row is that of the simulation, and every rate that was asked for"]:
        say(f"soak: {sentence}")


def _startup_table(found: Startup, agents: tuple[str, ...]) -> Table:
    table = figures_table("PSS in MB", "processes", "when all have joined", "after two episodes")
    looks = (found.joined, found.learned)
    table.add_row(counted(len(agents), "agent"), *(_sum_and_range(look, agents) for look in looks))
    for name in [name for name in found.learned if name not in agents]:
        table.add_row(name, *(f"{look.get(name, 0) / 1e6:.1f}" for look in looks))
    table.add_section()
    table.add_row("total", *(f"{sum(look.values()) / 1e6:.1f}" for look in looks))
    return table


def _sum_and_range(memory: Memory, agents: tuple[str, ...]) -> str:
    held = [memory.get(agent, 0) / 1e6 for agent in agents]
    return f"{sum(held):.1f} ({min(held):.1f} to {max(held):.1f} each)"


def _recovery_table(campaigns: list[Campaign]) -> Table:
    table = figures_table(
        "kills with -9", "transport", "victim", "phase", "kills", "recovered", "median s", "p95 s", caption=_RECOVERED
    )
    groups: defaultdict[tuple[str, str, str], list[float | None]] = defaultdict(list)
    for campaign in campaigns:
        for kill in campaign.kills:
            groups[campaign.transport, kill.victim, kill.phase].append(kill.recovered_s)
            groups[campaign.transport, "all", ""].append(kill.recovered_s)
    for group, times in sorted(groups.items()):
        known = sorted(time for time in times if time is not None)
        median = f"{statistics.median(known):.2f}" if known else ""
        late = f"{known[round(0.95 * (len(known) - 1))]:.2f}" if known else ""
        table.add_row(*group, str(len(times)), str(len(known)), median, late)
    return table
