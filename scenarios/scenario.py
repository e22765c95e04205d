"""THE document: everything a run is, in one typed TOML file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, time
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from agent_node.config import AlgorithmConfig, ExchangeConfig, LearningConfig
from broker.config import JoiningConfig, Model, RecoveryConfig, TransportConfig
from broker.errors import ScenarioError, UserError
from broker.faults.config import FaultConfig, MessageFaultConfig
from env_service.config import BarrierConfig, EnvironmentConfig
from scenarios.process_fault_config import PROCESS_FAULTS, ProcessFaultConfig
from scenarios.topology import TopologyConfig

AnyFaultConfig = Annotated[MessageFaultConfig | ProcessFaultConfig, Field(discriminator="kind")]
CATALOGUE = resources.files("scenarios") / "catalogue"


class Scenario(Model):
    """One document that runs simulated, as processes and on other hosts."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$", description="Lower-case name; the run's folder and topics carry it."
    )
    description: str = Field(default="", description="One line for `foretell list`.")
    seed: int = Field(
        ge=0, lt=1 << 63, description="Every draw of the run derives from it; there is no default on purpose."
    )
    episodes: int = Field(ge=1, le=10_000_000, description="Training episodes, each with `parallel_episodes` copies.")
    parallel_episodes: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Copies of the environment played at once: E. The paper updates after one episode.",
    )
    environment: EnvironmentConfig
    topology: TopologyConfig
    exchange: ExchangeConfig = ExchangeConfig()
    algorithm: AlgorithmConfig = AlgorithmConfig()
    learning: LearningConfig = LearningConfig()
    service: BarrierConfig = BarrierConfig()
    joining: JoiningConfig = JoiningConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    transport: TransportConfig = TransportConfig()
    faults: tuple[AnyFaultConfig, ...] = Field(
        default=(), description="What goes wrong, with messages and with processes, in the order in which it applies."
    )

    @property
    def message_faults(self) -> tuple[FaultConfig, ...]:
        """What goes wrong with messages."""
        return tuple(fault for fault in self.faults if not isinstance(fault, PROCESS_FAULTS))

    @property
    def process_faults(self) -> tuple[ProcessFaultConfig, ...]:
        """What goes wrong with processes."""
        return tuple(fault for fault in self.faults if isinstance(fault, PROCESS_FAULTS))

    def to_toml(self) -> str:
        """The resolved document, every setting spelled out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def catalogue_names() -> list[str]:
    """Names of the scenarios that come with Foretell."""
    return sorted(entry.name.removesuffix(".toml") for entry in CATALOGUE.iterdir() if entry.name.endswith(".toml"))


def load_scenario(name_or_path: str, settings: Mapping[str, Any] | None = None) -> Scenario:
    """A scenario from the catalogue or a TOML file.

    Args:
        name_or_path: Catalogue name, or path to a file.
        settings: Values by dotted path (`learning.rounds`), put into the document before it is checked.

    Raises:
        UserError: There is no such scenario, or it is no TOML.
        ScenarioError: It is not a valid scenario; names the path.
    """
    return parse_scenario(_read(name_or_path), settings or {})


def parse_scenario(text: str, settings: Mapping[str, Any]) -> Scenario:
    """A scenario from TOML text; see `load_scenario`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"the scenario is not valid TOML: {error}"
        raise UserError(msg) from None
    for path, value in settings.items():
        _put(document, path.split("."), value)
    _refuse_dates(document)
    try:
        # Strict, so that `true` is no number; by way of JSON, where a list may become a tuple all the same.
        return Scenario.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise explained(error) from None


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Settings from the command line: each `path=value`, the value in TOML or, failing that, a plain string.

    Raises:
        UserError: An assignment has no `=`.
    """
    settings = {}
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path.strip():
            msg = f"--set expects path=value (such as learning.rounds=5), found {assignment!r}"
            raise UserError(msg)
        settings[path.strip()] = _toml_value(value.strip())
    return settings


def _read(name_or_path: str) -> str:
    path = Path(name_or_path)
    if name_or_path in catalogue_names():
        return (CATALOGUE / f"{name_or_path}.toml").read_text(encoding="utf-8")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"no scenario and no file is called {name_or_path!r}. `foretell list` shows the catalogue."
        raise UserError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {name_or_path}: {error}"
        raise UserError(msg) from None


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(document: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the value at a dotted path (`faults.0.probability` reaches into a list), making tables on the way."""
    holder: Any = document
    for depth, key in enumerate(path):
        last = depth + 1 == len(path)
        if isinstance(holder, list) and key.isdecimal() and int(key) < len(holder):
            position: Any = int(key)
        elif isinstance(holder, dict):
            position = key
        else:
            raise ScenarioError(".".join(path), f"{'.'.join(path[:depth])} is not a table that could hold {key!r}")
        if last:
            holder[position] = value
        elif isinstance(holder, list):
            holder = holder[position]
        elif key not in holder and path[depth + 1].isdecimal():
            raise ScenarioError(".".join(path), f"{'.'.join(path[: depth + 1])} is an empty list")
        else:
            holder = holder.setdefault(key, {})


def explained(error: ValidationError, table: str = "") -> ScenarioError:
    """The first thing wrong with a document, as path, expectation and finding.

    Args:
        error: What pydantic found.
        table: Where in the document, if it was a part of it that was checked.
    """
    first = error.errors(include_url=False)[0]
    others = "" if error.error_count() == 1 else f" (and {error.error_count() - 1} more)"
    path, problem = ".".join(part for part in (table, _path(first["loc"])) if part), _problem(first)
    if first["type"].startswith("union_tag"):
        path = f"{path}.{_discriminator(first)}"
    return ScenarioError(path, problem + others)


def _refuse_dates(part: object, path: str = "") -> None:
    """TOML knows dates, and no setting takes one."""
    if isinstance(part, date | time):
        raise ScenarioError(path, "expected text, a number, a list or a table, found a date")
    if isinstance(part, dict):
        for key, value in part.items():
            _refuse_dates(value, f"{path}.{key}" if path else key)
    if isinstance(part, list):
        for position, value in enumerate(part):
            _refuse_dates(value, f"{path}[{position}]")


def _problem(error: ErrorDetails) -> str:
    """What was expected and what was found, in the words of a TOML document."""
    context, found = error.get("ctx", {}), error["input"]
    match error["type"]:
        case "extra_forbidden":
            return "there is no such setting. `foretell check` prints all settings of a scenario"
        case "missing" | "union_tag_not_found":
            return "is required"
        case "union_tag_invalid":
            return f"expected one of {context['expected_tags']}, found {context['tag']!r}"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "too_short":
            return f"expected at least {context['min_length']} in the list, found {context['actual_length']}"
        case "string_pattern_mismatch":
            return f"expected text like {context['pattern']}, found {_shown(found)}"
        case "tuple_type" | "list_type":
            return f"expected a list, found {_shown(found)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a table, found {_shown(found)}"
        case "string_type":
            return f"expected text, found {_shown(found)}"
        case _:
            message = error["msg"].removeprefix("Input should be ")
            return f"expected {message[:1].lower()}{message[1:]}, found {_shown(found)}"


def _shown(found: object) -> str:
    return f"{found!r:.80}"


def _discriminator(error: ErrorDetails) -> str:
    return str(error.get("ctx", {}).get("discriminator", "kind")).strip("'")


def _path(location: tuple[int | str, ...]) -> str:
    """Where in the document; leaves out the kind that pydantic adds behind a field that may be of several kinds."""
    path = ""
    before: int | str = ""
    for part in location:
        if before in _OF_SEVERAL_KINDS or (isinstance(before, int) and path.startswith("faults")):
            before = ""
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
        before = part
    return path


_OF_SEVERAL_KINDS = ("environment", "topology", "delay_s", "extra_s", "by_s", "compute_s", "marginal")
