"""Prints docs/settings.md: every setting of a scenario, and of hosts, from the typed documents themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scenarios.document.scenario import Scenario
from scenarios.document.text.tables import kind_of, tables_of
from scenarios.running.fleet import LAUNCHER, HostConfig, Place

HEAD = """# Settings of a scenario

Every setting with its default, its range and the reason for it. `foretell check SCENARIO` prints the same settings
with the values of one scenario; `--set PATH=VALUE` changes any of them for one run. Those of [hosts](#hosts) are at the
end. This page is made from the typed documents (`.venv/bin/python tools/settings.py > docs/settings.md`).
"""
HOSTS_HEAD = """
## Hosts

Of the document that `--hosts` names ([on other hosts](hosts.md)): a table for each host, by its name.
"""
TABLE = """
| setting | default | range | meaning |
|---|---|---|---|
"""
EMPTY = '""'
SIGNS = {Ge: ">=", Gt: ">", Le: "<=", Lt: "<"}


def sections() -> Iterator[str]:
    """The settings of the document itself, and a section for each part of it and each kind of such a part."""
    found = list(rows(Scenario))
    yield TABLE + "".join(f"{row}\n" for row in found if "." not in _place(row) and not row.startswith("| **"))
    part = ""
    for row in found:
        place = _place(row)
        begun = place.split(".")[0]
        if place == begun and row.startswith("| **"):
            kind, meaning = row.split("`")[3], row.split("|")[4].strip()
            yield f"\n## `{place}`: `{kind}`\n\n{meaning}\n{TABLE}"
        elif place != begun:
            yield f"{row}\n" if begun == part else f"\n## `{begun}`\n{TABLE}{row}\n"
        part = begun


def hosts_section() -> Iterator[str]:
    """The settings of a host, and of the launcher."""
    yield HOSTS_HEAD
    for model, path in ((Place, f"{LAUNCHER}."), (HostConfig, "NAME.")):
        yield TABLE + "".join(f"{row}\n" for row in rows(model, path))


def _place(row: str) -> str:
    return row.split("`")[1]


def rows(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """One line of the table for every setting at and below `model`."""
    for name, field in model.model_fields.items():
        place = f"{path}{name}"
        inner = tables_of(field.annotation)
        if not inner:
            yield f"| `{place}` | {default(field)} | {limits(field)} | {field.description or ''} |"
        listed = get_origin(field.annotation) is tuple
        for each in inner:
            kind = kind_of(each)
            within = f"{place}[]" if listed else place
            if kind is not None:
                yield f'| **`{within}`, `{kind[0]} = "{kind[1]}"`** | | | {(each.__doc__ or "").splitlines()[0]} |'
            yield from (row for row in rows(each, f"{within}.") if kind is None or f"`{within}.{kind[0]}`" not in row)


def default(field: FieldInfo) -> str:
    """The default as TOML would have it."""
    if field.is_required():
        return "required"
    value = field.get_default()
    if value == {}:
        return "`{}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`".replace("'", '"')
    return f"`{str(value).lower() if isinstance(value, bool) else repr(value)}`".replace("'", '"')


def limits(field: FieldInfo) -> str:
    """The range, or the choices."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{EMPTY if choice == '' else choice}`" for choice in get_args(field.annotation))
    each = [part.metadata for part in _parts(field.annotation) if isinstance(part, FieldInfo)]
    return ", ".join([*_signs(field.metadata), *(f"each {sign}" for metadata in each for sign in _signs(metadata))])


def _parts(annotation: Any) -> Iterator[Any]:
    """What is said of each member of a list."""
    if get_origin(annotation) is tuple:
        for member in get_args(annotation):
            yield from getattr(member, "__metadata__", ())


def _signs(metadata: list[Any]) -> Iterator[str]:
    for rule in metadata:
        if type(rule) in SIGNS:
            yield f"{SIGNS[type(rule)]} {getattr(rule, type(rule).__name__.lower())}"


if __name__ == "__main__":
    print(HEAD + "".join([*sections(), *hosts_section()]), end="")  # noqa: T201
