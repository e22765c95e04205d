"""The environment of a run, step by step: an episode as it was played, or one with what has been learned so far.

Nothing of the run is touched. As it was played is what the environment's journal says. Else the agents act as their
newest common checkpoint has it, and once the run has ended with the policy that it left.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from broker.errors import CheckpointDamaged, ForetellError
from broker.participants.checkpoint import FileCheckpoints, Kept
from broker.text_files import as_text
from env_service.environments.scene import Pixels, Rendering, Scene
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.play.acting import frames_of, showing_itself
from scenarios.play.evaluate import EvaluationWish, scenario_of
from scenarios.play.frame import Frame
from scenarios.replay.recorded.episodes import recorded_frames
from scenarios.results.document import read_document
from scenarios.results.folder import RunFolder, is_held
from scenarios.results.policy import keep_policy
from scenarios.results.reader import read_store
from scenarios.results.temporary import temporary_folder

MOST_FRAMES = 500


class SceneMaker:
    """Episodes of a run.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._number = 0

    def episode(self, asked: object) -> dict[str, Any]:
        """An episode as {frames, note, journal}, or {problem, journal}, a sentence: for JSON.

        `journal` says whether episodes can be had as they were played.

        Args:
            asked: {played, number}: whether as it was played, and which one, None for the newest; else a new one.
        """
        wish = asked if isinstance(asked, dict) else {}
        journal = any(self._folder.journals.glob("environment*.journal"))
        try:
            shown = self._recorded(wish.get("number")) if wish.get("played") else self._played()
        except (ForetellError, OSError, MemoryError) as error:
            shown = {"problem": as_text(f"It cannot be drawn: {error}")}
        return {**shown, "journal": journal}

    def _recorded(self, number: object) -> dict[str, Any]:
        frames = recorded_frames(self._folder, number if isinstance(number, int) else None, "rgb_array")
        shown = list(map(_told, frames[:MOST_FRAMES]))
        return {"frames": shown, "note": "as it was played", "number": frames[0].episode}

    def _played(self) -> dict[str, Any]:
        self._number += 1
        with temporary_folder() as beside:
            place, learned = self._policy(beside)
            if place is None:
                return {"problem": "It is drawn as soon as all agents have kept what they have learned."}
            return {"frames": _frames(place, self._number), "note": learned}

    def _policy(self, beside: Path) -> tuple[Path | None, str]:
        """Where the policy is, and what it has learned from."""
        folder, scenario = self._folder, read_document(self._folder)
        if folder.policy.exists() and not is_held(folder):
            return folder.root, "as learned in the end"
        if scenario.acts_only is not None:
            return (folder.initial_policy, "as learned before") if folder.initial_policy.exists() else (None, "")
        return _from_checkpoints(folder, scenario, beside)


def _from_checkpoints(folder: RunFolder, scenario: Scenario, beside: Path) -> tuple[Path | None, str]:
    plan = make_plan(scenario)
    with read_store(folder.store) as store:
        dead = tuple(store.deaths())
    kept = {agent: FileCheckpoints(folder.checkpoints / agent) for agent in plan.agents}
    left = {agent: max(kept[agent].intact(), default=None) for agent in dead}
    common = set.intersection(*(set(each.newest(4)) for agent, each in kept.items() if agent not in dead))
    for episode in sorted(common, reverse=True):
        last = {agent: left.get(agent, episode) for agent in plan.agents}
        try:
            states = {
                agent: Kept(last_one, kept[agent].read(last_one))
                for agent, last_one in last.items()
                if last_one is not None
            }
        except CheckpointDamaged:
            continue  # the run deletes old ones while they are read
        keep_policy(plan, beside / "policy", states, dead)
        return beside, f"as learned after episode {episode}"
    return None, ""


def _frames(place: Path, seed: int) -> list[dict[str, Any]]:
    scenario = scenario_of(EvaluationWish(place, episodes=1, seed=seed))
    plan: Plan = make_plan(showing_itself(scenario, "rgb_array"))
    found = []
    for frame in frames_of(plan):
        found.append(_told(frame))
        if len(found) >= MOST_FRAMES:
            break
    return found


def _told(frame: Frame) -> dict[str, Any]:
    about: dict[str, Any] = {
        "step": frame.step,
        "steps": frame.steps,
        "team": frame.team_return,
        "actions": [agent.action for agent in frame.agents],
    }
    match frame.scene:
        case Scene() as scene:
            marks = [[mark.thing.value, mark.agent, *mark.at] for mark in scene.marks]
            return about | {"ground": scene.ground, "extent": scene.extent, "marks": marks}
        case Rendering(text=str() as text):
            return about | {"text": text}
        case Rendering(pixels=pixels) if pixels is not None:
            return about | {"image": _as_url(pixels)}
    return about | {"text": "The environment shows nothing of itself."}


def _as_url(pixels: Pixels) -> str:
    from PIL import Image  # noqa: PLC0415 - for environments of others alone

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
