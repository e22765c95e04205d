"""The options that several commands have, and what they mean."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from scenarios.commands.hosts import carrier_option

if TYPE_CHECKING:
    from scenarios.document.scenario import Scenario

_Command = TypeVar("_Command", bound=Callable[..., None])
_LONGEST_NUMBER = 18
"""Digits; one of so many has 64 bits at most."""
_LONGEST_WORD = 40


class OutPath(click.Path):
    """Where a command shall write: a path, and not the empty word that a variable of the shell is before it is set."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """The path of a word."""
        if value == "":
            self.fail("expected a path, found an empty one", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number within a range: none that is no number, which no range keeps out, and so none that is not finite."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(min=low, max=high)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of a word."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"expected a number, found {shortened(str(value))}", param, ctx)
        return number


def _scenarios(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What a shell offers for a scenario: names of the catalogue, else files."""
    from scenarios.document.loading import catalogue_names  # noqa: PLC0415

    names = [CompletionItem(name) for name in catalogue_names() if name.startswith(begun)]
    return names or [CompletionItem(begun, type="file")]


def with_scenario(*, required: bool = True) -> Callable[[_Command], _Command]:
    """The argument and options that say what runs."""
    options = (
        click.argument("scenario", required=required, shell_complete=_scenarios),
        click.option("--seed", type=int, help="Instead of the scenario's seed."),
        click.option("--episodes", type=int, help="Instead of the scenario's number of training episodes."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="PATH=VALUE",
            help="Any setting, such as learning.rounds=5; repeatable.",
        ),
    )

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


OUT = click.option("--out", type=OutPath(), help="The run's folder; default runs/NAME-seedSEED-NUMBER.")
DISCARD_RUNS = click.option(
    "--discard-runs", is_flag=True, help="Keep of each run its outcome alone, and remove its folder."
)
ONLY_SHOWN = click.option(
    "--dry-run", "--list", "only_shown", is_flag=True, help="Check all, list the runs, and run none."
)
SO_FAR = click.option("--so-far", is_flag=True, help="Run nothing: write the files of the runs that are done.")
JOBS = click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time; default one per core.")
ON_CLUSTER = click.option(
    "--on",
    "cluster",
    metavar="ray|ray://HOST:PORT",
    callback=carrier_option.cluster,
    help="Let the nodes of a Ray cluster do the runs.",
)
TRANSPORTS = {
    "zeromq": ("transport.kind=zeromq", "transport.zeromq.mode=direct"),
    "forwarder": ("transport.kind=zeromq", "transport.zeromq.mode=forwarder"),
    "mqtt": ("transport.kind=mqtt",),
}
TRANSPORT = click.option(
    "--transport",
    type=click.Choice(tuple(TRANSPORTS)),
    help="Instead of the scenario's: ZeroMQ from process to process, ZeroMQ through a forwarder, or MQTT.",
)
ON = click.option("--on", "carrier", type=click.Choice(("ssh", "here")), help="Reach the hosts of --hosts so.")
HOSTS = click.option(
    "--hosts", type=click.Path(path_type=Path), metavar="FILE", help="Who lives on which host, in TOML."
)
RUN = click.argument("run", type=click.Path(path_type=Path))
RUNS = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))


def number_in(text: str) -> int | None:
    """The number of an episode or a round that a user wrote; None if it is none, or larger than any can be."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def shortened(word: str) -> str:
    """A word as it is shown to whoever wrote it, if it is not too long for that."""
    return repr(word) if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]!r}..."


def housed_on(carrier: str | None, hosts: Path | None) -> tuple[str, Path] | None:
    """How hosts are reached, and the document that names them; None for this host alone."""
    if (carrier is None) != (hosts is None):
        raise click.UsageError("--on says how the hosts of --hosts are reached: expected both, or neither")
    return None if carrier is None or hosts is None else (carrier, hosts)


def as_assignments(seed: int | None, episodes: int | None) -> tuple[str, ...]:
    """What the two options say, as `--set` would."""
    given = {"seed": seed, "episodes": episodes}
    return tuple(f"{name}={value}" for name, value in given.items() if value is not None)


def load(name: str, seed: int | None, episodes: int | None, assignments: tuple[str, ...]) -> Scenario:
    """The document that the options of `with_scenario` name.

    Raises:
        UserError: There is none, or it cannot work.
    """
    from scenarios.document.loading import load_scenario, parse_settings  # noqa: PLC0415

    settings = parse_settings(assignments)
    if seed is not None:
        settings["seed"] = seed
    if episodes is not None:
        settings["episodes"] = episodes
    return load_scenario(name, settings)
