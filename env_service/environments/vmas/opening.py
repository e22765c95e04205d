"""From the name of a VMAS scenario to a game of it. What cannot be had is refused with what to do about it."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from broker.errors import EnvironmentMissing, ScenarioError
from broker.seeding import derive
from broker.user_code import UserCode, described, is_failure
from broker.wire.messages import ENVIRONMENT
from env_service.config import VmasConfig
from env_service.global_streams import GlobalStreams, states

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNUSED = r"(?s).*passed but not used by the scenario"
"""What VMAS warns of when an option is none of the scenario's."""


class Tensor(Protocol):
    """The part of a torch tensor that is used here."""

    def numpy(self) -> Any:
        """Its numbers."""


class Game(Protocol):
    """The part of VMAS's `Environment` that is used here."""

    agents: Sequence[Any]
    action_space: Sequence[Any]

    def reset(self, seed: int | None = None) -> Sequence[object]:
        """Start an episode in every copy: what each agent sees."""

    def step(self, actions: list[Any]) -> tuple[Sequence[object], Sequence[Tensor], Tensor, Tensor, object]:
        """Advance: observations, rewards, who has terminated, who was cut, and infos."""


class OwnStreams:
    """The random numbers of one game.

    VMAS keeps what the shared generators of a process hold for all its games together, in one list; here each game has
    its own, so that none depends on what others draw.

    Args:
        shared: VMAS's list.
    """

    def __init__(self, shared: list[Any]) -> None:
        self._shared = shared
        self._own = list(shared)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let VMAS draw from those of this game."""
        self._shared[:] = self._own
        yield
        self._own = list(self._shared)


def calling(config: VmasConfig, call: str) -> AbstractContextManager[None]:
    """Call a game; what it raises becomes a sentence."""
    return UserCode(ENVIRONMENT, f"vmas {config.env}", "vmas").calling(call)


def open_game(config: VmasConfig, copies: int, seed: int) -> tuple[Game, OwnStreams]:
    """Make a game of `copies` copies, in which actions are discrete.

    Args:
        config: Which scenario, and its options.
        copies: E.
        seed: Of what is drawn meanwhile.

    Raises:
        EnvironmentMissing: VMAS, or something that it needs, is not installed.
        ScenarioError: VMAS has no such scenario, or it refuses the options.
    """
    with GlobalStreams([derive(seed, "opening", 0)]).lent() as turn_to:
        vmas = _vmas()
        _check(config, vmas)
        turn_to(0)
        shared = import_module("vmas.simulator.environment").Environment.vmas_random_state
        shared[:] = states()
        game = _made(config, vmas, copies)
        return game, OwnStreams(shared)


def _vmas() -> ModuleType:
    try:
        with warnings.catch_warnings(action="ignore"):  # of gym's age
            return import_module("vmas")
    except ModuleNotFoundError as error:
        missing = "vmas is" if error.name == "vmas" else f"vmas needs the module {error.name}, which is"
        raise EnvironmentMissing(f"{missing} not installed: `pip install 'foretell[vmas]'`") from error


def _check(config: VmasConfig, vmas: ModuleType) -> None:
    known = [*vmas.scenarios, *vmas.mpe_scenarios, *vmas.debug_scenarios]
    if config.env not in known:
        close = difflib.get_close_matches(config.env, known, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"It has {', '.join(sorted(known))}"
        raise ScenarioError("environment.env", f"VMAS has no scenario {config.env}. {hint}")
    ours = [name for name in inspect.signature(vmas.make_env).parameters if name in config.options]
    if ours:
        problem = (
            f"expected options of the scenario {config.env} alone, found {', '.join(ours)}, which Foretell decides"
        )
        raise ScenarioError("environment.options", problem)


def _made(config: VmasConfig, vmas: ModuleType, copies: int) -> Game:
    settings = {"continuous_actions": False, "terminated_truncated": True}
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.filterwarnings("error", message=_UNUSED)
            game: Game = vmas.make_env(config.env, copies, **settings, **config.options)
    except (Exception, SystemExit) as error:
        if not is_failure(error):
            raise
        path = "environment.options" if config.options else "environment.env"
        problem = f"VMAS's {config.env} refused {config.options}: {described(error, 'vmas')}"
        raise ScenarioError(path, problem) from error
    return game
