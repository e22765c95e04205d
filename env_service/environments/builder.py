"""From the name of a foreign environment to what builds it. What cannot be had is refused with what to do about it."""

from __future__ import annotations

import difflib
import pkgutil
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType

from broker.errors import EnvironmentMissing, ScenarioError
from broker.user_code import described, is_failure
from env_service.config import PettingZooConfig
from env_service.environments.foreign import ForeignEnvironment, calling
from env_service.environments.given import gone_once_seen, name_of
from env_service.own_module import digest_of, load_module

Build = Callable[..., ForeignEnvironment]

_OURS = {"mpe2": "pip install 'foretell[mpe]'"}
"""Packages that come with Foretell when they are asked for, and how."""
_VERSION = re.compile(r"_v\d+$")


def find_builder(config: PettingZooConfig) -> Build:
    """Import the module and find its `parallel_env`.

    Raises:
        EnvironmentMissing: There is no such module, or one that it needs is missing.
        ScenarioError: It cannot be imported, it is another than the document says, or it has no `parallel_env`.
    """
    module = _module(config)
    build: Build | None = getattr(module, "parallel_env", None)
    if not callable(build):
        problem = f"expected a module with a function `parallel_env`, found none in {_where(config)}"
        if hasattr(module, "env"):
            problem += (
                ". Its `env` lets agents take turns (AEC): wrap it as `turn_based_aec_to_parallel` of PettingZoo does"
            )
        raise ScenarioError("environment.env", problem)
    return build


def open_environment(config: PettingZooConfig, build: Build) -> ForeignEnvironment:
    """Call `build` with the options.

    Raises:
        ScenarioError: It is not a PettingZoo parallel environment, or it refuses the options.
    """
    try:
        environment = build(**config.options)
    except (Exception, SystemExit) as error:
        if not is_failure(error):
            raise
        path = "environment.options" if config.options else "environment.env"
        problem = f"{config.env}.parallel_env refused {config.options}: {described(error, config.env)}"
        raise ScenarioError(path, problem) from error
    with calling(config, "possible_agents"):
        named = getattr(environment, "possible_agents", None) or ()
        if problem := gone_once_seen(named, f"possible_agents of {config.env}"):
            raise ScenarioError("environment.env", problem)
        agents = list(named)
        different = len(set(agents))
    if not agents:
        problem = f"expected possible_agents to name the agents, {config.env} has none"
        if hasattr(environment, "action_space") and not callable(environment.action_space):
            problem += ": it looks like an environment of gymnasium, for a single agent"
        raise ScenarioError("environment.env", problem)
    if different < len(agents):
        found = ", ".join(map(name_of, agents))
        raise ScenarioError("environment.env", f"expected possible_agents to name each agent once, found {found}")
    return environment


def _module(config: PettingZooConfig) -> ModuleType:
    try:
        if config.file is None:
            _require_no_digest(config)
            return import_module(config.env)
        _check_digest(config)
        return load_module(config.file, config.env)
    except ModuleNotFoundError as error:
        raise EnvironmentMissing(_why_missing(config, error)) from error
    except ScenarioError:
        raise
    except (Exception, SystemExit) as error:
        if not is_failure(error):
            raise
        problem = f"cannot import {_where(config)}: {described(error, config.env)}"
        raise ScenarioError("environment.env", problem) from error


def _require_no_digest(config: PettingZooConfig) -> None:
    """Refuse a digest of a file where there is no file.

    Raises:
        ScenarioError: The document has one.
    """
    if config.digest is not None:
        name = config.env.partition(".")[0]
        problem = (
            f"expected a file with SHA-256 {config.digest[:16]}, found none: set environment.file, or put {name}.py, "
            f"or a package {name}, beside the scenario's file. A module that is installed has no digest: leave it out"
        )
        raise ScenarioError("environment.digest", problem)


def _check_digest(config: PettingZooConfig) -> None:
    """Take no other code than the document says.

    Raises:
        ScenarioError: The file is gone, or has changed.
    """
    assert config.file is not None  # noqa: S101 - asked only then
    try:
        found = digest_of(config.file)
    except OSError as error:
        problem = (
            f"expected the environment at {config.file}: {error.strerror}. Bring the same file there, or name "
            "another place of it: --set environment.file=FILE"
        )
        raise ScenarioError("environment.file", problem) from None
    if config.digest is not None and found != config.digest:
        problem = (
            f"{config.file} has changed: expected SHA-256 {config.digest[:16]}, found {found[:16]}. A run goes on with "
            "the environment it was begun with: put that back, or begin a new run from the scenario"
        )
        raise ScenarioError("environment.digest", problem)


def _why_missing(config: PettingZooConfig, error: ModuleNotFoundError) -> str:
    """Which module is missing, and what to do about it."""
    name, top = error.name or config.env, config.env.partition(".")[0]
    if name != config.env and not config.env.startswith(f"{name}."):
        return (
            f"{_where(config)} needs the module {name}, which is not here. Install it; if it is a file of yours, "
            "name its folder in PYTHONPATH, or make a package of both"
        )
    parent = name.rpartition(".")[0]
    if parent:
        return _what_a_package_has(parent, name.rpartition(".")[2])
    if name in _OURS:
        return f"{name} is not installed: `{_OURS[name]}`"
    return (
        f"no module is called {name}. If it is yours, put {name}.py, or a package {name}, beside the scenario's file, "
        "set environment.file, or name its folder in PYTHONPATH (the working directory is not looked at). Else install "
        f"what holds {top}"
    )


def _what_a_package_has(package: str, wanted: str) -> str:
    """That a package is there and has no such module; another version of it is named first."""
    found = [each.name for each in pkgutil.iter_modules(getattr(import_module(package), "__path__", ()))]
    stem = _VERSION.sub("", wanted)
    versions = [each for each in found if _VERSION.sub("", each) == stem and _VERSION.search(each)]
    if versions:
        known = ", ".join(f"{package}.{each}" for each in versions)
        return f"{package} is here, but not its version {wanted}: expected {known}, which follows other rules"
    said = f"{package} is here, but has no module {wanted}"
    close = difflib.get_close_matches(wanted, _public(found), n=3)
    return f"{said}. Did you mean {' or '.join(f'{package}.{each}' for each in close)}?" if close else said


def _public(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith("_")]


def _where(config: PettingZooConfig) -> str:
    return config.env if config.file is None else str(config.file)
