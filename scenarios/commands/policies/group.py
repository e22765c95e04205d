"""`foretell evaluate`, `foretell play` and `foretell policy`, as click knows them; what they do is imported late."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from scenarios.commands.options import HOSTS, ON, Number, OutPath, housed_on, number_in, shortened

_PLACE = click.argument("place", metavar="RUN|POLICY", type=click.Path(path_type=Path))
_FORMATS = ("torch", "onnx")
_ENVIRONMENT = "environment"


@click.command()
@_PLACE
@click.option("--episodes", type=click.IntRange(min=1), help="How many are played; default 100.")
@click.option("--greedy", is_flag=True, help="Agents take their likeliest actions, instead of drawing them.")
@click.option("--seed", type=int, help="Instead of the training's; no episode of training is played either way.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Any setting, such as faults of timesteps and actions; repeatable.",
)
@click.option("--processes", is_flag=True, help="A process each, in real time, instead of simulated.")
@ON
@HOSTS
@click.option("--json", "as_json", is_flag=True, help="Show the result as JSON.")
@click.option("--out", type=OutPath(), help="Keep all that a run leaves, and evaluation.json, there.")
def evaluate(
    *,
    place: Path,
    episodes: int | None,
    greedy: bool,
    seed: int | None,
    assignments: tuple[str, ...],
    processes: bool,
    carrier: str | None,
    hosts: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Let trained agents act without learning, and show what they earn, with intervals."""
    from scenarios.commands.policies.evaluate import evaluate as evaluate_policy  # noqa: PLC0415
    from scenarios.document.loading import parse_settings  # noqa: PLC0415
    from scenarios.play.evaluate import EvaluationWish  # noqa: PLC0415

    wish = EvaluationWish(place, episodes, greedy=greedy, seed=seed, settings=parse_settings(assignments))
    housed = housed_on(carrier, hosts)
    way: Literal["run", "simulate"] = "run" if processes or housed is not None else "simulate"
    evaluate_policy(wish, way, out, as_json=as_json, hosts=housed)


@click.command()
@_PLACE
@click.option("--episodes", type=click.IntRange(min=1), default=1, show_default=True, help="How many are played.")
@click.option("--greedy", is_flag=True, help="Agents take their likeliest actions, instead of drawing them.")
@click.option("--seed", type=int, help="Instead of the training's; the episodes are those of `foretell evaluate`.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Any setting of the environment, such as environment.file=mine.py; repeatable.",
)
@click.option(
    "--fps",
    type=Number(0.1, 50),
    default=4.0,
    show_default=True,
    help="Frames in a second, on a terminal and in a GIF.",
)
@click.option("--gif", type=OutPath(), help="Write an animation to this new file, and show nothing.")
@click.option("--strip", type=OutPath(), help="Write a PNG of a few frames to this new file.")
@click.option(
    "--recorded",
    metavar="EPISODE|newest",
    help="Show this episode of the run itself, from its journal, instead of new ones.",
)
def play(
    *,
    place: Path,
    episodes: int,
    greedy: bool,
    seed: int | None,
    assignments: tuple[str, ...],
    fps: float,
    gif: Path | None,
    strip: Path | None,
    recorded: str | None,
) -> None:
    """Watch trained agents act, in the terminal or as a picture."""
    from scenarios.commands.policies.play import PlayWish, draw_episodes, show_episodes  # noqa: PLC0415
    from scenarios.commands.policies.playing import RecordedWish  # noqa: PLC0415
    from scenarios.play.evaluate import EvaluationWish  # noqa: PLC0415

    if recorded is None:
        settings = _of_environment(assignments)
        wish = PlayWish(EvaluationWish(place, episodes, greedy=greedy, seed=seed, settings=settings), fps, gif, strip)
    elif episodes > 1 or greedy or seed is not None or assignments:
        raise click.UsageError(
            "--recorded shows what was played: expected no --episodes, --greedy, --seed or --set beside it"
        )
    else:
        wish = PlayWish(RecordedWish(place, _number(recorded)), fps, gif, strip)
    if gif is None and strip is None:
        show_episodes(wish)
    else:
        draw_episodes(wish)


def _of_environment(assignments: tuple[str, ...]) -> dict[str, Any]:
    """Settings of the environment.

    Raises:
        click.BadParameter: One is of something else, which playing has nothing of.
    """
    from scenarios.document.loading import parse_settings  # noqa: PLC0415

    settings = parse_settings(assignments)
    for path in settings:
        if path.partition(".")[0] != _ENVIRONMENT:
            found = shortened(path)
            raise click.BadParameter(
                f"--set: expected a setting of the environment, as environment.file, found {found}"
            )
    return settings


def _number(text: str) -> int | None:
    """Of an episode; None for the newest.

    Raises:
        click.BadParameter: It is neither.
    """
    if text == "newest":
        return None
    number = number_in(text)
    if number is None:
        raise click.BadParameter(f"--recorded: expected the number of an episode, or newest, found {shortened(text)}")
    return number


@click.group()
def policy() -> None:
    """Take a trained policy elsewhere."""


@policy.command("export")
@_PLACE
@click.option("--format", "format_", type=click.Choice(_FORMATS), required=True, help="torch: state_dict, or ONNX.")
@click.option("--out", type=OutPath(), required=True, help="A new folder, for a file an agent.")
def policy_export(place: Path, format_: str, out: Path) -> None:
    """Write each agent's policy for PyTorch or ONNX, and check that it acts as here."""
    from scenarios.commands.policies.export import export  # noqa: PLC0415

    export(place, format_, out)
