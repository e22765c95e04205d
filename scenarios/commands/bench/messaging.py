"""What messages cost: `foretell bench messages`, `faults` and `journal`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from broker.counting import counted
from broker.errors import UserError
from scenarios.bench.trip_names import CURVE, FORWARDER, QOS_1
from scenarios.commands.bench.showing import figures_table
from scenarios.commands.options import Number
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say
from scenarios.results.temporary import temporary_folder

if TYPE_CHECKING:
    from scenarios.bench.faults import Cost
    from scenarios.bench.journal import JournalCost
    from scenarios.bench.messages import Barrier
    from scenarios.bench.round_trips import RoundTrip

BARRIER_TARGET = 0.7
MQTT_TARGET = 0.6
TRIP_LIMITS = {CURVE: 1.5, FORWARDER: 2.5}
QOS_1_LIMIT_MS = 5.0
FAULTS_LIMIT_US = 5.0
JOURNAL_LIMIT_US = 10.0
_TRIPS = 300


@click.command()
@click.option("--blocks", type=click.IntRange(min=1), default=5, show_default=True, help="Pairs of blocks.")
@click.option("--seconds", type=Number(0.01, 86_400), default=1.0, show_default=True, help="Length of a block.")
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
@click.option("--blocks", type=click.IntRange(min=1), default=31, show_default=True, help="Pairs of blocks per case.")
def faults(blocks: int) -> None:
    """Microseconds that the fault layer adds to a message, where no fault matches and where one does."""
    from scenarios.bench.faults import measure_costs  # noqa: PLC0415

    costs = measure_costs(blocks)
    _show_added("a message of 256 bytes, read from memory", "faults", {cost.case: cost for cost in costs})
    for cost in costs:
        limit = f" (limit {FAULTS_LIMIT_US:.0f})" if cost.none_matches else ""
        say(f"faults: {cost.added_us:.2f} us a message where {cost.case}{limit}")


@click.command()
@click.option("--blocks", type=click.IntRange(min=1), default=31, show_default=True, help="Pairs of blocks per size.")
def journal(blocks: int) -> None:
    """Processor time in microseconds that journals at both ends add to a message."""
    from scenarios.bench.journal import measure_journals  # noqa: PLC0415

    costs = measure_journals(blocks)
    sizes = {str(cost.array_bytes): cost for cost in costs}
    _show_added("a message through memory, taken by a participant", "array bytes", sizes)
    for cost in costs:
        limit = f" (limit {JOURNAL_LIMIT_US:.0f})" if cost.array_bytes == costs[0].array_bytes else ""
        say(f"journal: {cost.added_us:.2f} us a message of {cost.array_bytes} bytes{limit}")


def _show_added(title: str, first: str, costs: Mapping[str, Cost | JournalCost]) -> None:
    table = figures_table(title, first, "bare us", "added us")
    for name, cost in costs.items():
        table.add_row(name, f"{cost.bare_us:.2f}", f"{cost.added_us:.2f}")
    Screen().print(table)


def _barrier_table(title: str, barriers: list[Barrier], target: float) -> Table:
    table = figures_table(title, "agents", "timestep bytes", "action bytes", "bare", "ours", "ratio", "target")
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


def _trip_table(trips: list[RoundTrip]) -> Table:
    table = figures_table("1 KB to a neighbor and back", "way", "median us", "times direct")
    for trip in trips:
        table.add_row(trip.way, f"{trip.median_us:.0f}", f"{trip.ratio:.2f}")
    return table
