"""What somebody's environment gives, looked at before anybody else sees it: refused here, at its source, by name.

"Step n" is after n steps, so 0 is what `reset` gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from broker.counting import counted
from broker.errors import ScenarioError, UserCodeRefused
from broker.user_code import on_one_line
from broker.wire.messages import ENVIRONMENT
from env_service.environments.scene import Rendering
from env_service.environments.task import MOST_ACTIONS, Flags, Float

_NUMBERS = "biufO"
"""Kinds of arrays that can hold real numbers; objects, too, such as fractions."""
_FLAGS = "biuf"
"""Kinds of what can be true or false: a 1 or 0, too."""
_MOST = float(np.finfo(np.float32).max)
_LONGEST = 60
_LARGEST_SIDE = 8192
_MOST_BITS_SHOWN = 128


def refused(problem: str) -> UserCodeRefused:
    """The error that says what an environment must not give."""
    return UserCodeRefused(ENVIRONMENT, problem)


def require_few_actions(count: int, whose: str) -> None:
    """Refuse what has more actions than a network can tell apart.

    Args:
        count: How many combinations of actions an agent has.
        whose: Where they were found, and what to do, behind their number.

    Raises:
        ScenarioError: They are too many.
    """
    if count > MOST_ACTIONS:
        found = str(count) if count.bit_length() <= _MOST_BITS_SHOWN else f"about 2**{count.bit_length() - 1}"
        most = f"at most {MOST_ACTIONS} combinations of actions, as a network has an output for each"
        raise ScenarioError("environment.env", f"expected {most}, found {found} {whose}")


def of_many_sizes(env: str, agents: Sequence[str], sizes: Sequence[int], instead: str) -> ScenarioError:
    """The error that says that agents see different numbers of values.

    Args:
        env: The environment.
        agents: What people are told of each.
        sizes: How many each of them sees.
        instead: What goes besides filling them up, behind that.
    """
    other = next(index for index, size in enumerate(sizes) if size != sizes[0])
    problem = (
        f"all agents must see the same number of values, but in {env} {agents[0]} sees {sizes[0]} and {agents[other]} "
        f'sees {sizes[other]}. Set environment.observation = "padded" (filled up with zeros){instead}'
    )
    return ScenarioError("environment.observation", problem)


def parts_of(given: object, call: str, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What a call gave, one part for each of `names`.

    Raises:
        UserCodeRefused: It gave anything else.
    """
    if not isinstance(given, tuple | list) or len(given) != len(names):
        found = counted(len(given), "value") if isinstance(given, tuple | list) else type(given).__name__
        raise refused(f"{call} gave {found}, expected {len(names)}: {', '.join(names)}")
    return tuple(given)


def by_agent(given: object, what: str, step: int) -> Mapping[str, Any]:
    """What must be a dict with the agents' names as keys.

    Raises:
        UserCodeRefused: It is none.
    """
    if type(given) is not dict and not isinstance(given, Mapping):
        raise refused(f"{what} at step {step} are {type(given).__name__}, expected a dict by agent")
    return given


def of_agents(given: object, what: str, possible: Collection[str], step: int) -> Mapping[str, Any]:
    """What must be a dict with the names of `possible` agents alone as keys; they may have ended, or not have come yet.

    Raises:
        UserCodeRefused: It is none, or is about somebody else: an agent with its name misspelled would get nothing, and
            an episode that ends for "__all__" would go on.
    """
    known = by_agent(given, what, step)
    for name in known:
        if name not in possible:
            problem = f'{what} at step {step} are about "{name_of(name)}", which is {_none_of(possible)}'
            raise refused(f"{problem}: each agent has its own")
    return known


def gone_once_seen(given: object, what: str) -> str:
    """What is wrong with `what` names the agents, as a clause, if it names nobody a second time; else empty."""
    if not isinstance(given, Iterator):
        return ""
    found = f"found a {type(given).__name__}, which can be looked through only once"
    return f"expected {what} to be a list, {found}: make a list of it"


def live_agents(given: Collection[str], possible: Collection[str], step: int) -> Collection[str]:
    """The agents that are there now.

    Raises:
        UserCodeRefused: One of them is new: networks and neighbors are made for `possible_agents`; or it is no list,
            nor anything else that can be looked through again.
    """
    if problem := gone_once_seen(given, f"`agents` at step {step}"):
        raise refused(problem)
    for agent in given:
        if agent not in possible:
            raise refused(f'agent "{name_of(agent)}" at step {step} is {_none_of(possible)}')
    return given


def _none_of(possible: Collection[str]) -> str:
    known = on_one_line(", ".join(map(name_of, possible)))
    return f"none of possible_agents ({known})"


def reward_of(agent: str, given: object, step: int) -> float:
    """One number that float32 can hold.

    Raises:
        UserCodeRefused: It is anything else.
    """
    if isinstance(given, float | int) and -_MOST <= given <= _MOST:
        return float(given)
    what = f'reward of "{name_of(agent)}" at step {step}'
    numbers = numbers_of(what, given)
    if numbers.size != 1:
        raise refused(f"{what} has shape {numbers.shape}, expected one number")
    return float(numbers.reshape(-1)[0])


def flag_of(agent: str, given: object, what: str, step: int) -> bool:
    """Whether an agent has ended.

    Raises:
        UserCodeRefused: It is neither true nor false, nor a 1 or 0.
    """
    if given is False or given is True:
        return given
    try:
        found = np.asarray(given)
        known = found.size == 1 and found.dtype.kind in _FLAGS and found.item() in (0, 1)
    except Exception:
        known = False
    if not known:
        raise refused(f'{what} of "{name_of(agent)}" at step {step} is {shown(given)}, expected True or False')
    return bool(found.item())


def numbers_of(what: str, given: object) -> NDArray[np.floating]:
    """An array of numbers that float32 can hold.

    Raises:
        UserCodeRefused: It holds anything else.
    """
    if isinstance(given, np.ndarray) and given.dtype == np.float32 and np.isfinite(given).all():
        return given
    if given is None:
        raise refused(f"{what} is None")
    try:
        found = np.asarray(given)
        numbers = found.astype(np.float64) if found.dtype.kind in _NUMBERS else None
    except OverflowError:
        raise refused(f"{what} is {shown(given)}, beyond float32") from None
    except Exception:
        numbers = None
    if numbers is None:
        raise refused(f"{what} is {shown(given)}, expected numbers")
    with np.errstate(over="ignore"):
        usable = np.isfinite(numbers.astype(np.float32)).ravel()
    if not usable.all():
        index = int(np.argmin(usable))
        number = float(numbers.ravel()[index])
        where = f" in place {index} of {numbers.size}" if numbers.size > 1 else ""
        raise refused(f"{what} is {number:g}{', beyond float32' if np.isfinite(number) else ''}{where}")
    return numbers


def observation_of(what: str, numbers: Float, size: int) -> Float:
    """A flat observation.

    Raises:
        UserCodeRefused: It has another size than its space says.
    """
    if numbers.size != size:
        raise refused(f"{what} has {counted(numbers.size, 'number')}, expected {size} as its space says")
    return numbers


def name_of(agent: object) -> str:
    """What people are told of an agent, which may be anything: its text, on one line, not too long and not empty."""
    return _in_a_few_words(str(agent)) or _in_a_few_words(repr(agent))


def mask_of(what: str, given: object, count: int, *, waits: bool) -> Flags:
    """Which of `count` actions an agent can do, (count,) uint8.

    Args:
        what: Whose mask it is, and when.
        given: The mask.
        count: How many actions it has.
        waits: Whether one that can do nothing waits for its turn: the first of its actions stands for that.

    Raises:
        UserCodeRefused: It is not a 1 or 0 for each action, or all are 0 and nobody waits.
    """
    numbers = numbers_of(what, given)
    if numbers.shape != (count,):
        raise refused(f"{what} has shape {numbers.shape}, expected ({count},): a 1 or 0 for each action")
    wrong = (numbers != 0) & (numbers != 1)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise refused(f"{what} is {numbers[index]:g} in place {index} of {count}, expected 1 or 0")
    mask: Flags = numbers.astype(np.uint8)
    if not mask.any():
        if not waits:
            raise refused(f'{what} leaves no action. If it waits for its turn, set environment.action_masks = "turns"')
        mask[0] = 1
    return mask


def rendering_of(given: object, mode: str, step: int) -> Rendering:
    """What `render()` gave, by its mode, "ansi" or "rgb_array"; a fourth color channel is left out.

    Raises:
        UserCodeRefused: It is no text, or no picture.
    """
    what = f"render() at step {step}"
    if mode == "ansi":
        if not isinstance(given, str):
            raise refused(f"{what} gave {type(given).__name__}, expected text")
        return Rendering(text=given)
    if not isinstance(given, np.ndarray):
        raise refused(f"{what} gave {type(given).__name__}, expected an array (height, width, 3) of uint8")
    shape = given.shape
    shaped = len(shape) == 3 and shape[2] in (3, 4) and 0 < min(shape) <= max(shape) <= _LARGEST_SIDE
    if given.dtype != np.uint8 or not shaped:
        expected = f"(height, width, 3) of uint8, at most {_LARGEST_SIDE} pixels high and wide"
        raise refused(f"{what} gave an array {shape} of {given.dtype}, expected {expected}")
    return Rendering(pixels=given[..., :3].copy())


def shown(given: object) -> str:
    """Anything, in a few words."""
    return _in_a_few_words(repr(given))


def _in_a_few_words(text: str) -> str:
    line = on_one_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
