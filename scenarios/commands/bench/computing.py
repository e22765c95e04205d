"""What learning costs: `foretell bench arithmetic`, `episode` and `overhead`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.table import Table

from broker.counting import counted
from scenarios.commands.bench.showing import figures_table, live_bar
from scenarios.commands.options import Number
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say

if TYPE_CHECKING:
    from scenarios.bench.overhead import Pace, Profile

OVERHEAD_LIMIT = 0.35
PACE_LIMIT = 1.5
REFERENCE_MS = {4: 21.0, 32: 65.0}
"""What such a bare script once needed per episode, by number of copies, on a machine of this kind."""
ARITHMETIC_LIMIT = 0.55
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
    with live_bar(episodes, "episode") as show:
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
@click.option("--seconds", type=Number(0.1, 86_400), default=10.0, show_default=True, help="Of each, about.")
def episode(names: tuple[str, ...], seconds: float) -> None:
    """Processor time of a simulated episode, by part, as one learns in `simulate`."""
    from scenarios.bench.overhead import measure_profile  # noqa: PLC0415
    from scenarios.document.loading import load_scenario  # noqa: PLC0415

    found: dict[str, Profile] = {}
    for name in names:
        first = measure_profile(load_scenario(name, {"episodes": _FIRST_EPISODES}), lambda _: None)
        episodes = max(_FIRST_EPISODES, int(1e3 * seconds / first.total_ms))
        with live_bar(episodes, f"episode of {name}") as show:
            scenario = load_scenario(name, {"episodes": episodes})
            found[name] = measure_profile(scenario, lambda progress, show=show: show(progress.episode))  # type: ignore[misc]
    Screen().print(_episode_table(found))
    for name, profile in found.items():
        say(f"episode: {profile.total_ms:.2f} ms of processor time for one of {name}")


@click.command()
@click.option("--calls", type=click.IntRange(min=1), default=100, show_default=True, help="Rounds of calls.")
def arithmetic(calls: int) -> None:
    """Microseconds a call of every set of kernels that can be used here, beside torch and the reference."""
    from broker.arithmetic.chosen import possible  # noqa: PLC0415
    from scenarios.bench.arithmetic import TORCH, measure_kernels  # noqa: PLC0415

    usable = possible()
    costs = measure_kernels(usable, calls)
    table = figures_table("the least of all calls, us", "call", TORCH, *usable)
    for cost in costs:
        table.add_row(cost.call, *(f"{cost.least_us[name]:.1f}" for name in (TORCH, *usable)))
    Screen().print(table)
    for cost in costs:
        limit = f" (limit {ARITHMETIC_LIMIT})" if cost.call.startswith("evaluate") else ""
        fast = ", ".join(f"{cost.ratio(name):.2f} with {name}" for name in usable if name != "reference")
        say(f"arithmetic: {cost.call}: of torch's time {fast}{limit}")


def _profile_table(profile: Profile, episodes: int) -> Table:
    table = figures_table(
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
    table = figures_table("processor time of a simulated episode, ms", "part", *found)
    times = {name: {part.name: part.ms for part in profile.parts} for name, profile in found.items()}
    for part in dict.fromkeys(part for parts in times.values() for part in parts):
        table.add_row(part, *(f"{parts.get(part, 0.0):.2f}" for parts in times.values()))
    table.add_section()
    table.add_row("total", *(f"{profile.total_ms:.2f}" for profile in found.values()))
    table.caption = "timers are taken off already"
    return table


def _pace_table(paces: list[Pace]) -> Table:
    title = "processor time, ours and the bare script in turn"
    table = figures_table(title, "copies", "ours ms/episode", "bare ms/episode", "ratio", "reference ms")
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
