"""`foretell`, the command line."""

from __future__ import annotations

import os

import click

from broker.errors import UserError
from broker.isolated import leave_working_directory
from broker.threads import limit_threads
from scenarios.commands.experiments.group import bench, shrink, study, sweep, twin
from scenarios.commands.fault import fault
from scenarios.commands.hosts.group import bundle, doctor, host, logs
from scenarios.commands.looking.group import diff, replay, trace, watch
from scenarios.commands.looking.reading import export, ledger, report, why
from scenarios.commands.policies.group import evaluate, play, policy
from scenarios.commands.screen import guests, say
from scenarios.commands.sentences import sentences
from scenarios.commands.starting.between import broker, keys
from scenarios.commands.starting.group import check, list_, resume, run, simulate

limit_threads()  # before a command imports numpy or torch


def _tell_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    """Say which Foretell, which arithmetic, and which kernels compute here."""
    if not asked or context.resilient_parsing:
        return
    from broker.arithmetic.chosen import kernels  # noqa: PLC0415
    from broker.arithmetic.version import ARITHMETIC  # noqa: PLC0415
    from broker.release import FORETELL  # noqa: PLC0415

    say(f"foretell, version {FORETELL}, arithmetic {ARITHMETIC}, kernels {kernels.name}")
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_tell_version, help="Which Foretell this is."
)
def foretell() -> None:
    """Networked agents with private rewards that learn to cooperate by telling their neighbors what they would like."""
    _require_working_directory()


def _require_working_directory() -> None:
    """See, before a command, that relative paths lead anywhere.

    Raises:
        UserError: Somebody removed the folder that the shell is in.
    """
    try:
        os.getcwd()  # noqa: PTH109 - pathlib takes 10 ms
    except FileNotFoundError:
        msg = "the working directory is gone: change into one that is there"
        raise UserError(msg) from None


for _command in (
    *(list_, check, run, simulate, resume, broker, keys),
    *(doctor, bundle, host, logs),
    *(evaluate, play, policy),
    *(study, sweep, twin, shrink, bench),
    *(why, ledger, report, export, fault, replay, diff, trace, watch),
):
    foretell.add_command(_command)


def main() -> None:
    """Run the command line."""
    with guests(), sentences():
        foretell(standalone_mode=False)


if __name__ == "__main__":
    leave_working_directory()
    main()
