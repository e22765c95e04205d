"""The commands of `foretell bench`. Each ends with a plain line per claim, and with 0 whatever the figures are."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from broker.counting import counted
from broker.errors import UserError
from scenarios.bench.trip_names import CURVE, FORWARDER, QOS_1
from scenarios.commands.command_line import FORETELL
from scenarios.commands.hosts.footprint import footprint
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say
from scenarios.results.temporary import temporary_folder

if TYPE_CHECKING:
    from scenarios.bench.messages import Barrier
    from scenarios.bench.overhead import Pace, Profile
    from scenarios.bench.recovery import Campaign
    from scenarios.bench.round_trips import RoundTrip
    from scenarios.bench.startup import Memory, Startup

OVERHEAD_LIMIT = 0.35
PACE_LIMIT = 1.5
REFERENCE_MS = {4: 21.0, 32: 65.0}
"""What such a bare script once needed per episode, by number of copies, on a machine of this kind."""
JOINED_LIMIT_S = 1.5
MEMORY_LIMIT_MB = 250.0
LIMITS_AGENTS = 20
BARRIER_TARGET = 0.7
MQTT_TARGET = 0.6
TRIP_LIMITS = {CURVE: 1.5, FORWARDER: 2.5}
QOS_1_LIMIT_MS = 5.0
FAULTS_LIMIT_US = 5.0
JOURNAL_LIMIT_US = 10.0
ARITHMETIC_LIMIT = 0.55
GROWTH_LIMIT = 1.3
JOINED_100_LIMIT_S = 6.0
MEMORY_100_LIMIT_MB = 1000.0
_TRIPS = 300
_RECOVERED = "recovered: an episode was recorded that was not before the kill; the phase is the last one reported"

_EPISODES_OF = ("exchange", "navigation", "predation-12", "exchange-quick")
_FIRST_EPISODES = 2
_PROFILED = "exchange-quick"
_AS_THE_SCRIPT = {"algorithm.anticipation_sharing.weights": "fixed"}
"""The bare script knows the paper's weights alone."""
_PAIRS = 5


@click.command()
@click.option("--episodes", type=click.IntRange(min=10), default=100, show_default=True, help="Episodes profiled.")
def overhead(episodes: int) -> None:
    """Share of `simulate exchange-quick` that is neither environment nor mathematics, and a bare script beside it."""
    from scenarios.bench.overhead import measure_pace, measure_profile  # noqa: PLC0415
    from scenarios.document.loading import load_scenario  # noqa: PLC0415

    console = Screen()
    with _bar(episodes, "episode") as show:
        scenario = load_scenario(_PROFILED, {"episodes": episodes} | _AS_THE_SCRIPT)
        profile = measure_profile(scenario, lambda progress: show(progress.episode))
    console.print(_profile_table(profile, episodes))
    scenarios = [load_scenario(_PROFILED, {"parallel_episodes": copies} | _AS_THE_SCRIPT) for copies in REFERENCE_MS]
    paces = [measure_pace(scenario, _PAIRS, episodes // 5) for scenario in scenarios]
    console.print(_pace_table(paces))
    say(f"overhead: {profile.overhead:.2f} of CPU time is neither environment nor mathematics (limit {OVERHEAD_LIMIT})")
    for pace in paces:
        say(f"pace: {pace.ratio:.2f} times the bare script at E={pace.copies} (limit {PACE_LIMIT})")


@click.command()
@click.option(
    "--scenario", "names", multiple=True, default=_EPISODES_OF, show_default=True, help="Catalogue name or file."
)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Of each, about.")
def episode(names: tuple[str, ...], seconds: float) -> None:
    """Processor time of a simulated episode, by part, as one learns in `simulate`."""
    from scenarios.bench.overhead import measure_profile  # noqa: PLC0415
    from scenarios.document.loading import load_scenario  # noqa: PLC0415

    found: dict[str, Profile] = {}
    for name in names:
        first = measure_profile(load_scenario(name, {"episodes": _FIRST_EPISODES}), lambda _: None)
        episodes = max(_FIRST_EPISODES, int(1e3 * seconds / first.total_ms))
        with _bar(episodes, f"episode of {name}") as show:
            scenario = load_scenario(name, {"episodes": episodes})
            found[name] = measure_profile(scenario, lambda progress, show=show: show(progress.episode))  # type: ignore[misc]
    Screen().print(_episode_table(found))
    for name, profile in found.items():
        say(f"episode: {profile.total_ms:.2f} ms of processor time for one of {name}")


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
@click.option("--blocks", type=click.IntRange(min=1), default=5, show_default=True, help="Pairs of blocks.")
@click.option("--seconds", type=click.FloatRange(min=0.01), default=1.0, show_default=True, help="Length of a block.")
def messages(blocks: int, seconds: float) -> None:
    """Step barriers per second beside bare loops that send the same bytes, over ZeroMQ and MQTT, and round trips."""
    from scenarios.bench import messages as bench  # noqa: PLC0415
    from scenarios.bench.mqtt import measure_mqtt_barriers  # noqa: PLC0415
    from scenarios.bench.round_trips import measure_round_trips  # noqa: PLC0415
    from scenarios.running.processes.fork_server_start import start_fork_server  # noqa: PLC0415

    workers = ("messages", "mqtt", "round_trips")
    start_fork_server(
        [*(f"scenarios.bench.{each}" for each in workers), "scenarios.running.processes.frozen"]
    )  # as agents of a run have it
    direct = [bench.measure_barriers(agents, blocks, seconds) for agents in bench.AGENTS]
    Screen().print(_barrier_table("step barriers per second, ZeroMQ", direct, BARRIER_TARGET))
    through = []
    try:
        through = [measure_mqtt_barriers(agents, blocks, seconds) for agents in bench.AGENTS]
        Screen().print(_barrier_table("step barriers per second, MQTT QoS 0 on mosquitto", through, MQTT_TARGET))
    except UserError as error:
        say(f"messages: no figures of MQTT: {error}")
    with temporary_folder() as folder:
        trips = measure_round_trips(blocks, _TRIPS, Path(folder))
    Screen().print(_trip_table(trips))
    for bare, target, barriers in (("bare loop", BARRIER_TARGET, direct), ("bare paho loop", MQTT_TARGET, through)):
        for barrier in barriers:
            say(
                f"messages: {barrier.ratio:.2f} of the {bare}'s barriers with "
                f"{counted(barrier.agents, 'agent')} (target {target})"
            )
    for trip in trips:
        if trip.way in TRIP_LIMITS:
            say(f"messages: {trip.way}: {trip.ratio:.2f} times the direct round trip (limit {TRIP_LIMITS[trip.way]})")
        elif trip.way == QOS_1:
            say(f"messages: {trip.way}: {trip.median_us / 1000:.2f} ms a round trip (limit {QOS_1_LIMIT_MS:.0f} ms)")


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
        with _bar(share, "kill") as show:
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
@click.option("--blocks", type=click.IntRange(min=1), default=31, show_default=True, help="Pairs of blocks per case.")
def faults(blocks: int) -> None:
    """Microseconds that the fault layer adds to a message, where no fault matches and where one does."""
    from scenarios.bench.faults import measure_costs  # noqa: PLC0415

    costs = measure_costs(blocks)
    table = _table("a message of 256 bytes, read from memory", "faults", "bare us", "added us")
    for cost in costs:
        table.add_row(cost.case, f"{cost.bare_us:.2f}", f"{cost.added_us:.2f}")
    Screen().print(table)
    for cost in costs:
        limit = f" (limit {FAULTS_LIMIT_US:.0f})" if cost.none_matches else ""
        say(f"faults: {cost.added_us:.2f} us a message where {cost.case}{limit}")


@click.command()
@click.option("--blocks", type=click.IntRange(min=1), default=31, show_default=True, help="Pairs of blocks per size.")
def journal(blocks: int) -> None:
    """Processor time in microseconds that journals at both ends add to a message."""
    from scenarios.bench.journal import measure_journals  # noqa: PLC0415

    costs = measure_journals(blocks)
    table = _table("a message through memory, taken by a participant", "array bytes", "bare us", "added us")
    for cost in costs:
        table.add_row(str(cost.array_bytes), f"{cost.bare_us:.2f}", f"{cost.added_us:.2f}")
    Screen().print(table)
    for cost in costs:
        limit = f" (limit {JOURNAL_LIMIT_US:.0f})" if cost.array_bytes == costs[0].array_bytes else ""
        say(f"journal: {cost.added_us:.2f} us a message of {cost.array_bytes} bytes{limit}")


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.5), default=30.0, show_default=True, help="How long it runs.")
@click.option("--kill-every", type=click.FloatRange(min=10), default=60.0, show_default=True, help="Seconds.")
def soak(minutes: float, kill_every: float) -> None:
    """20 agents, 10% loss, 20 ms delays and a kill a minute: memory of all processes, and an exact ledger."""
    from scenarios.bench.soak import measure_soak  # noqa: PLC0415

    with _bar(int(60 * minutes), "second") as show:
        found = measure_soak(FORETELL, minutes, kill_every, show)
    table = _table("resident memory, medians", "process", "second quarter MB", "last quarter MB", "growth MB")
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


@click.command()
@click.option("--agents", type=click.IntRange(min=5), multiple=True, default=(10, 100, 1000), show_default=True)
@click.option("--blocks", type=click.IntRange(min=1), default=5, show_default=True, help="Blocks of each number.")
@click.option("--episodes", type=click.IntRange(min=1), default=2, show_default=True, help="Of the most, in a block.")
@click.option("--processes", type=click.IntRange(min=5), multiple=True, default=(10, 100), show_default=True)
def growth(agents: tuple[int, ...], blocks: int, episodes: int, processes: tuple[int, ...]) -> None:
    """What an agent costs as there are more: simulated, by time and memory, and as a process, until all have joined."""
    from scenarios.bench.growth import measure_growth, measure_joining  # noqa: PLC0415

    found = measure_growth(sorted(set(agents)), blocks, episodes)
    table = _table("simulated, degree 4", "agents", "to begin, ms each", "ms a round", "MiB each", "times the fewest")
    for size in found:
        memory = f"{size.memory_bytes / 2**20:.3f}"
        table.add_row(f"{size.agents:,}", f"{size.begun_ms:.2f}", f"{size.round_ms:.3f}", memory, f"{size.ratio:.2f}")
    Screen().print(table)
    joined = [(number, measure_joining(number)) for number in sorted(set(processes))]
    table = _table("as processes, degree 4", "agents", "s until joined", "MB of PSS joined", "MB learned", "MB each")
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
@click.option("--calls", type=click.IntRange(min=1), default=100, show_default=True, help="Rounds of calls.")
def arithmetic(calls: int) -> None:
    """Microseconds a call of every set of kernels that can be used here, beside torch and the reference."""
    from broker.arithmetic.chosen import possible  # noqa: PLC0415
    from scenarios.bench.arithmetic import TORCH, measure_kernels  # noqa: PLC0415

    usable = possible()
    costs = measure_kernels(usable, calls)
    table = _table("the least of all calls, us", "call", TORCH, *usable)
    for cost in costs:
        table.add_row(cost.call, *(f"{cost.least_us[name]:.1f}" for name in (TORCH, *usable)))
    Screen().print(table)
    for cost in costs:
        limit = f" (limit {ARITHMETIC_LIMIT})" if cost.call.startswith("evaluate") else ""
        fast = ", ".join(f"{cost.ratio(name):.2f} with {name}" for name in usable if name != "reference")
        say(f"arithmetic: {cost.call}: of torch's time {fast}{limit}")


COMMANDS: dict[str, click.Command] = {
    "arithmetic": arithmetic,
    "episode": episode,
    "faults": faults,
    "footprint": footprint,
    "growth": growth,
    "journal": journal,
    "messages": messages,
    "overhead": overhead,
    "recovery": recovery,
    "soak": soak,
    "startup": startup,
}


@contextmanager
def _bar(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A live bar, as `foretell simulate` has one."""
    columns = (TextColumn(what, markup=False), MofNCompleteColumn(), BarColumn(bar_width=24))
    with Bar(*columns, console=Screen(stderr=True), refresh_per_second=4, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _profile_table(profile: Profile, episodes: int) -> Table:
    table = _table(
        f"simulate {_PROFILED}, {counted(episodes, 'episode')}", "part", "ms/episode", "share", "calls/episode"
    )
    for part in profile.parts:
        calls = "" if part.calls is None else f"{part.calls:.1f}"
        table.add_row(part.name, f"{part.ms:.3f}", f"{part.ms / profile.total_ms:.1%}", calls)
    table.add_section()
    overhead_ms = profile.overhead * profile.total_ms
    table.add_row("neither environment nor mathematics", f"{overhead_ms:.3f}", f"{profile.overhead:.1%}", "")
    table.add_row("total", f"{profile.total_ms:.3f}", "100.0%", "")
    table.caption = f"timers: {profile.timers_ms:.3f} ms/episode, taken off already"
    return table


def _episode_table(found: dict[str, Profile]) -> Table:
    table = _table("processor time of a simulated episode, ms", "part", *found)
    times = {name: {part.name: part.ms for part in profile.parts} for name, profile in found.items()}
    for part in dict.fromkeys(part for parts in times.values() for part in parts):
        table.add_row(part, *(f"{parts.get(part, 0.0):.2f}" for parts in times.values()))
    table.add_section()
    table.add_row("total", *(f"{profile.total_ms:.2f}" for profile in found.values()))
    table.caption = "timers are taken off already"
    return table


def _pace_table(paces: list[Pace]) -> Table:
    title = "processor time, ours and the bare script in turn"
    table = _table(title, "copies", "ours ms/episode", "bare ms/episode", "ratio", "reference ms")
    for pace in paces:
        table.add_row(
            f"E={pace.copies}",
            f"{pace.ours_ms:.1f}",
            f"{pace.bare_ms:.1f}",
            f"{pace.ratio:.2f}",
            f"{REFERENCE_MS[pace.copies]:.0f}",
        )
    table.caption = "reference: what such a script once needed on a machine of this kind"
    return table


def _startup_table(found: Startup, agents: tuple[str, ...]) -> Table:
    table = _table("PSS in MB", "processes", "when all have joined", "after two episodes")
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


def _trip_table(trips: list[RoundTrip]) -> Table:
    table = _table("1 KB to a neighbor and back", "way", "median us", "times direct")
    for trip in trips:
        table.add_row(trip.way, f"{trip.median_us:.0f}", f"{trip.ratio:.2f}")
    return table


def _recovery_table(campaigns: list[Campaign]) -> Table:
    table = _table(
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


def _barrier_table(title: str, barriers: list[Barrier], target: float) -> Table:
    table = _table(title, "agents", "timestep bytes", "action bytes", "bare", "ours", "ratio", "target")
    for barrier in barriers:
        table.add_row(
            str(barrier.agents),
            str(barrier.timestep_bytes),
            str(barrier.action_bytes),
            f"{barrier.bare:.0f}",
            f"{barrier.ours:.0f}",
            f"{barrier.ratio:.2f}",
            str(target),
        )
    return table


def _table(title: str, first: str, *others: str, caption: str | None = None) -> Table:
    """A table with names to the left and numbers to the right."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right")
    return table
