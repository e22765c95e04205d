"""From TOML text, a file or a name of the catalogue to a scenario."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from broker.counting import meant
from broker.errors import ScenarioError, UserError
from broker.text_files import read_text
from broker.user_code import on_one_line
from scenarios.document.environment_file import with_environment_file
from scenarios.document.scenario import Scenario
from scenarios.document.text.explained import explained
from scenarios.document.text.plain import plain_settings
from scenarios.document.text.toml_text import MOST_DEEP, parse_toml
from scenarios.document.text.unusable import refuse_unusable

_WANT_TEXT = ("string_type", "literal_error")

CATALOGUE = resources.files("scenarios") / "catalogue"
MOST_BYTES = 1 << 26
"""A resolved document holds the delays of its trace files, up to a million of them each."""
_LONGEST_POSITION = 9
_OF_A_RUN = "scenario.toml"
_POSITION = re.compile(r"\[(\d+)\]")


def catalogue_names() -> list[str]:
    """Names of the scenarios that come with Foretell."""
    return sorted(entry.name.removesuffix(".toml") for entry in CATALOGUE.iterdir() if entry.name.endswith(".toml"))


def load_scenario(name_or_path: str, settings: Mapping[str, Any] | None = None) -> Scenario:
    """A scenario from the catalogue or a TOML file.

    Args:
        name_or_path: Catalogue name, or path to a file.
        settings: Values by dotted path (`learning.rounds`), put into the document before it is checked; tuples, arrays
            and paths as lists and text.

    Raises:
        UserError: There is no such scenario, or it is no TOML.
        ScenarioError: It is not a valid scenario; names the path, and the file if it is what it says.
    """
    folder = None if name_or_path in catalogue_names() else Path(name_or_path).parent
    text, chosen = _read(name_or_path), settings or {}
    try:
        scenario = parse_scenario(text, chosen, name_or_path)
    except ScenarioError as error:
        if folder is None or _is_chosen(error.path, chosen):
            raise
        raise ScenarioError(error.path, error.problem, name_or_path) from None
    return with_initial_policy(with_environment_file(scenario, folder), folder)


def with_initial_policy(scenario: Scenario, folder: Path | None) -> Scenario:
    """The scenario with the absolute path of the policy that agents begin with, and which one that is.

    What the document says of it stays as it is; `require_fit` compares that with what is there.

    Args:
        scenario: The document.
        folder: Of its file; None where a relative path counts from the working folder.

    Raises:
        ScenarioError: There is no policy, or it cannot be read.
    """
    config = scenario.initial_policy
    if config is None:
        return scenario
    from agent_node.policy_files import place_of_policy  # noqa: PLC0415
    from agent_node.policy_folder import read_document  # noqa: PLC0415 - safetensors comes with it

    try:
        path = ((folder or Path()) / config.path.expanduser()).absolute()
    except RuntimeError:
        raise ScenarioError("initial_policy.path", f"expected the home of a user, found {config.path}") from None
    noted = config.model_copy(update={"path": path})
    if config.digest is None or config.episodes is None:
        try:
            document, digest = read_document(place_of_policy(path))
        except UserError as error:
            raise ScenarioError("initial_policy.path", str(error)) from None
        episodes = document.learned_from if config.episodes is None else config.episodes
        noted = noted.model_copy(update={"digest": config.digest or digest, "episodes": episodes})
    return scenario if noted == config else scenario.model_copy(update={"initial_policy": noted})


def parse_scenario(text: str, settings: Mapping[str, Any], source: str = "the scenario") -> Scenario:
    """A scenario from TOML text, which people know as `source`; see `load_scenario`."""
    try:
        document = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{source} is not valid TOML: {on_one_line(str(error))}"
        raise UserError(msg) from None
    for path, value in plain_settings(settings).items():
        _put(document, path.split("."), value)
    refuse_unusable(document)
    try:
        return _validated(document)
    except ValidationError as error:
        if _write_whole_numbers_as_text(document, error):
            with suppress(ValidationError):
                return _validated(document)
        raise explained(error, Scenario) from None


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Settings from the command line: each `path=value`, the value in TOML or, failing that, a plain string.

    Raises:
        UserError: An assignment has no `=`, or is nested too deep.
        ScenarioError: No setting can take the value.
    """
    settings = {}
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path.strip():
            msg = f"--set expects path=value (such as learning.rounds=5), found {assignment!r}"
            raise UserError(msg)
        if path.count(".") >= MOST_DEEP:
            msg = f"--set expects a path of at most {MOST_DEEP} parts, found {path.count('.') + 1} in {path!r:.80}"
            raise UserError(msg)
        settings[path.strip()] = _toml_value(value.strip())
        refuse_unusable(settings[path.strip()], path.strip())
    return settings


def _validated(document: dict[str, Any]) -> Scenario:
    # Strict, so that `true` is no number; by way of JSON, where a list may become a tuple all the same.
    return Scenario.model_validate_json(json.dumps(document), strict=True)


def _write_whole_numbers_as_text(document: dict[str, Any], error: ValidationError) -> bool:
    """Put text in place of the whole numbers that stand where text is expected, such as MQTT's version 5.

    Returns:
        Whether there was one.
    """
    found = False
    for each in error.errors(include_url=False):
        if each["type"] in _WANT_TEXT and type(each["input"]) is int:
            holder, key = _holder(document, each["loc"])
            if holder is not None:
                holder[key] = str(each["input"])
                found = True
    return found


def _holder(document: Any, location: tuple[Any, ...]) -> tuple[Any, Any]:
    """What holds the value at a place, and under which key; None where it is not as pydantic says.

    Pydantic's places name the kind, too, behind a field that may be of several kinds.
    """
    holder: Any = None
    key = location[-1]
    for part in location:
        if (isinstance(document, dict) and part in document) or (isinstance(document, list) and isinstance(part, int)):
            holder, key, document = document, part, document[part]
    return (holder, key) if type(document) is int else (None, key)


def _is_chosen(path: str, settings: Iterable[str]) -> bool:
    """Whether a place in the document is, lies in, or holds one of the settings that were put into it."""
    place = _POSITION.sub(r".\1", path) + "."
    return any(place.startswith(f"{each}.") or f"{each}.".startswith(place) for each in settings)


def _read(name_or_path: str) -> str:
    if name_or_path in catalogue_names():
        return (CATALOGUE / f"{name_or_path}.toml").read_text(encoding="utf-8")
    try:
        return read_text(Path(name_or_path), MOST_BYTES)
    except FileNotFoundError:
        raise _unknown(name_or_path) from None
    except OSError as error:
        raise _unread(Path(name_or_path), error) from None


def _unknown(name: str) -> UserError:
    close = meant(name, {each: each for each in catalogue_names()})
    hint = f" Did you mean {close}?" if close else ""
    return UserError(f"no scenario and no file is called {name!r}.{hint} `foretell list` shows the catalogue.")


def _unread(path: Path, error: OSError) -> UserError:
    """What is there and is no file of a scenario; the folder of a run has one."""
    own = path / _OF_A_RUN
    hint = f". {own} plays its run again, `foretell resume {path}` goes on with it" if own.is_file() else ""
    return UserError(f"cannot read {path}: {error.strerror}{hint}")


def _toml_value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(document: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the value at a dotted path (`faults.0.probability` reaches into a list), making tables on the way."""
    holder: Any = document
    for depth, key in enumerate(path):
        last = depth + 1 == len(path)
        is_position = key.isdecimal() and len(key) <= _LONGEST_POSITION
        if isinstance(holder, list) and is_position and int(key) < len(holder):
            position: Any = int(key)
        elif isinstance(holder, dict):
            position = key
        else:
            raise ScenarioError(".".join(path), f"{'.'.join(path[:depth])} is not a table that could hold {key!r:.80}")
        if last:
            holder[position] = value
        elif isinstance(holder, list):
            holder = holder[position]
        elif key not in holder and path[depth + 1].isdecimal():
            raise ScenarioError(".".join(path), f"{'.'.join(path[: depth + 1])} is an empty list")
        else:
            holder = holder.setdefault(key, {})
