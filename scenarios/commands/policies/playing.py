"""What `foretell play` shows: new episodes of trained agents, or one of a run itself, from its journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from broker.counting import counted
from env_service.config import PettingZooConfig
from scenarios.commands.planned import hushed, planned
from scenarios.document.scenario import Scenario
from scenarios.play.acting import frames_of, render_modes, showing_itself
from scenarios.play.evaluate import EvaluationWish, scenario_of
from scenarios.play.frame import Frame
from scenarios.replay.recorded.episodes import recorded_frames
from scenarios.results.document import read_document
from scenarios.results.folder import open_run_folder

OF_PICTURES = "rgb_array"
"""The render mode that a picture is drawn from."""


@dataclass(frozen=True)
class RecordedWish:
    """An episode that a run has played.

    Attributes:
        root: The run's folder.
        episode: From 0; None for the last one that was played to its end.
    """

    root: Path
    episode: int | None


@dataclass(frozen=True)
class Playing:
    """Episodes that are shown.

    Attributes:
        title: Above every picture.
        episodes: How many there are.
        first: What the first one is called.
        frames: All of them, moment by moment.
        lack: That the environment shows nothing of itself in the way that is wanted; empty if it does.
        draws: Whether there are pictures of it, if not what is wanted.
    """

    title: str
    episodes: int
    first: int
    frames: Iterable[Frame]
    lack: str = ""
    draws: bool = True


def playing(wish: EvaluationWish | RecordedWish, what: str, mode: str) -> Playing:
    """What is wanted.

    Args:
        wish: New episodes, or one of the run's own.
        what: What the environment is to give of itself, to people.
        mode: The same as a render mode of PettingZoo's.

    Raises:
        ForetellError: There is no policy or journal, or it cannot be played.
    """
    return _recorded(wish, what, mode) if isinstance(wish, RecordedWish) else _new(wish, what, mode)


def _new(wish: EvaluationWish, what: str, mode: str) -> Playing:
    given = scenario_of(wish)
    with hushed():
        showing = showing_itself(given, mode)
    plan = planned(showing)
    scenario = plan.scenario
    learned = scenario.initial_policy.episodes if scenario.initial_policy is not None else None
    how = ", likeliest actions" if scenario.acts_only == "greedy" else ""
    title = f"{_called(scenario)}, {counted(learned or 0, 'episode')} learned{how}"
    return Playing(title, scenario.episodes, 1, frames_of(plan), *_lack(scenario, what, mode))


def _recorded(wish: RecordedWish, what: str, mode: str) -> Playing:
    folder = open_run_folder(wish.root)
    with hushed():
        scenario = showing_itself(read_document(folder), mode)
        frames = recorded_frames(folder, wish.episode, mode)
    episode = frames[0].episode
    title = f"{_called(scenario)}, episode {episode} as it was played"
    return Playing(title, 1, episode, frames, *_lack(scenario, what, mode))


def _called(scenario: Scenario) -> str:
    return f"{scenario.name}: {scenario.algorithm.name}"


def _lack(scenario: Scenario, what: str, mode: str) -> tuple[str, bool]:
    """That it shows nothing of itself as is wanted, and whether there are pictures of it."""
    environment = scenario.environment
    if not isinstance(environment, PettingZooConfig) or environment.options.get("render_mode") == mode:
        return "", True
    with hushed():
        modes = render_modes(environment, scenario.stream_seed)
    wanted = f"expected {mode} among its render modes, found {', '.join(modes) or 'none'}"
    return f"{environment.env} gives no {what} of itself: {wanted}", OF_PICTURES in modes
