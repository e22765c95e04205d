"""The hosts of a run: a document of its own, so that a scenario and its digest are the same wherever it runs."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator

from broker.addresses import Address, parse_address, parse_host
from broker.counting import listed
from broker.errors import ScenarioError, UserError
from broker.model import LONGEST_S, Model
from broker.text_files import read_text
from scenarios.document.text.explained import explained
from scenarios.document.text.toml_text import parse_toml
from scenarios.document.text.unusable import refuse_unusable

LAUNCHER = "launcher"
"""The table that says where the launcher itself is dialled; it is no host."""

_HOME = "~/"
_LOOPBACK = "127.0.0.1"
_MOST_BYTES = 1 << 20
_TOLD = 8
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Place(Model):
    """Where somebody is reached over the network."""

    dial: str = Field(default="", description="The name or address that others use; the launcher's: found if unset.")
    listen: str = Field(
        default="", description="The address that it listens on itself, where that is another: behind NAT, in a pod."
    )

    @field_validator("dial", "listen")
    @classmethod
    def _host_can_be_meant(cls, host: str) -> str:
        return parse_host(host) if host else ""

    @property
    def is_on_loopback(self) -> bool:
        """Whether others of its own host alone can dial it."""
        return bool(self.dial) and not Address("tcp", self.dial).is_beyond_this_host


class HostConfig(Place):
    """One host of a fleet."""

    ssh: str = Field(default="", description="How `ssh` reaches it, such as pi@pi1.local; none: nobody dials it so.")
    control: str = Field(
        default="",
        description="Where `foretell host` waits for its launcher, such as tcp://10.77.0.2:7000; none: it does not.",
    )
    node: str = Field(
        default="",
        description="On Ray: the address of its node, or a resource that the node has; unset: the hosts spread.",
    )
    participants: tuple[str, ...] = Field(
        min_length=1, description="Who lives there: names or shell patterns such as agent-*; everybody exactly once."
    )
    memory_mb: int | None = Field(
        default=None, ge=1, description="MB that its participants may take, as `foretell doctor` sees it; unset: all."
    )
    python: str = Field(
        default="python3",
        min_length=1,
        description="The Python there that has Foretell; a path: absolute, or in its home.",
    )
    machine: Literal["", "aarch64", "x86_64"] = Field(
        default="", description="What computes there, for the wheels of its bundle; unset: as where that is made."
    )
    python_version: str = Field(
        default="",
        pattern=r"^(3\.\d{1,2})?$",
        json_schema_extra={"text": "a version such as 3.13"},
        description="Of the Python there, such as 3.13, for the wheels of its bundle; unset: as where that is made.",
    )
    folder: str = Field(
        default="foretell-runs",
        min_length=1,
        description="Where its runs are kept there; relative: in its home.",
    )
    act: str = Field(
        default="",
        description="Folder of a policy there, relative: in its home. Its agents only act with that, in `foretell "
        "evaluate`, each as a process of 44 MB; unset: whoever is asked for lives there.",
    )
    metrics: str = Field(
        default="",
        description="Where it serves metrics of who lives there, as PORT, on loopback, or HOST:PORT; unset: nowhere.",
    )
    lease_s: float = Field(
        default=60.0,
        gt=0,
        le=LONGEST_S,
        description="Seconds for which its participants work on when the launcher is gone; then they are ended, and go "
        "on from their checkpoints when it comes back.",
    )

    @field_validator("folder")
    @classmethod
    def _in_its_home(cls, folder: str) -> str:
        return (folder + "/").removeprefix("~/").rstrip("/") or ("/" if folder.startswith("/") else ".")

    @field_validator("python")
    @classmethod
    def _command_or_path(cls, python: str) -> str:
        """A relative path with its home folder: each that starts it would begin in another."""
        is_command = "/" not in python
        return python if is_command or python.startswith(("/", _HOME)) else f"{_HOME}{python.removeprefix('./')}"

    @field_validator("control")
    @classmethod
    def _launcher_can_dial(cls, address: str) -> str:
        return str(parse_address(address, "tcp")) if address else ""

    @field_validator("metrics")
    @classmethod
    def _endpoint_can_listen(cls, place: str) -> str:
        if place:
            _endpoint(place)
        return place

    @field_validator("participants")
    @classmethod
    def _patterns_say_who(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if "[" in pattern or "]" in pattern:
                msg = (
                    f"expected names or patterns with * and ?, found {pattern!r}: brackets mean one character of "
                    "several, not a range of numbers. Name each participant"
                )
                raise ValueError(msg)
        return patterns


_HINT = f"A host has {', '.join(HostConfig.model_fields)}; [{LAUNCHER}] has {', '.join(Place.model_fields)}"


class Fleet(Model):
    """All hosts of a run."""

    launcher: Place = Place()
    hosts: dict[str, HostConfig] = Field(min_length=1)

    def homes(self, participants: tuple[str, ...]) -> dict[str, str]:
        """The host of each participant, in the order of `participants`.

        Raises:
            UserError: Somebody lives nowhere or twice, or a pattern means nobody.
        """
        found: dict[str, str] = {}
        for name, host in self.hosts.items():
            for pattern in host.participants:
                meant = [each for each in participants if fnmatchcase(each, pattern)]
                if not meant:
                    msg = (
                        f"{name}.participants: {pattern!r} means nobody; expected some of {listed(participants, _TOLD)}"
                    )
                    raise UserError(msg)
                for each in meant:
                    if found.setdefault(each, name) != name:
                        msg = f"{each} has two hosts, {found[each]} and {name}; expected everybody exactly once"
                        raise UserError(msg)
        if homeless := [each for each in participants if each not in found]:
            msg = f"no host has {listed(tuple(homeless), _TOLD)}; expected everybody exactly once"
            raise UserError(msg)
        return {each: found[each] for each in participants}

    def on_this_host(self) -> Fleet:
        """As it is where all hosts are folders of this one: none has an address that another host would dial."""
        launcher = self.launcher if self.launcher.is_on_loopback else Place()
        return Fleet(launcher=launcher, hosts={name: _on_this_host(host) for name, host in self.hosts.items()})


def _on_this_host(host: HostConfig) -> HostConfig:
    met = {} if host.is_on_loopback else {"dial": _LOOPBACK, "listen": ""}
    if host.metrics:
        at = _endpoint(host.metrics)
        met |= {"metrics": str(at.port)} if at.is_beyond_this_host else {}
    return host.model_copy(update=met)


def _endpoint(place: str) -> Address:
    from scenarios.telemetry.endpoint import parse_metrics_address  # noqa: PLC0415 - few ask for it

    return parse_metrics_address(place)


def load_fleet(path: Path) -> Fleet:
    """The fleet of a file.

    Raises:
        UserError: There is none, or it makes no sense; names file and place.
    """
    try:
        return parse_fleet(read_text(path, _MOST_BYTES))
    except OSError as error:
        msg = f"cannot read the hosts in {path}: {error.strerror or error}"
        raise UserError(msg) from None
    except UserError as error:
        msg = f"{path}: {error}"
        raise UserError(msg) from None


def parse_fleet(text: str) -> Fleet:
    """The fleet of a TOML document: a table for each host, and `[launcher]` where it needs one.

    Raises:
        UserError: It makes no sense; names the place.
    """
    try:
        tables = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"expected TOML: {error}"
        raise UserError(msg) from None
    refuse_unusable(tables)
    for name in tables:
        if not _HOST_NAME.fullmatch(name):
            msg = f"expected a host's name of letters, digits, -, _ and ., found {name!r}"
            raise UserError(msg)
    launcher, hosts = tables.pop(LAUNCHER, {}), tables
    try:
        return Fleet.model_validate({"launcher": launcher, "hosts": hosts})
    except ValidationError as error:
        found = explained(error, Fleet, hint=_HINT)
        raise ScenarioError(found.path.removeprefix("hosts."), found.problem.replace(" hosts.", " ")) from None
