"""The tables of a typed document: which there are at a place, what kind each is of, and the settings that it has."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

Location = tuple[int | str, ...]
"""As pydantic has it: names of settings, positions in lists and, behind what may be of several kinds, the kind."""


def tables_of(annotation: Any) -> list[type[BaseModel]]:
    """The tables that an annotation allows, as they are, in a list or by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, tuple, Union, UnionType, dict):
        return [table for part in get_args(annotation) for table in tables_of(part)]
    return []


def kind_of(table: type[BaseModel]) -> tuple[str, str] | None:
    """The setting that says of which of several kinds a table is, and what it says; None where there is one kind."""
    for name in ("kind", "distribution"):
        field = table.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            return name, str(get_args(field.annotation)[0])
    return None


def tables_at(document: Any, location: Location) -> list[type[BaseModel]]:
    """The tables that may stand at a place; none where there is a plain value.

    Args:
        document: The type of all of it.
        location: Where.
    """
    return _followed(document, location)[0]


def without_kinds(document: Any, location: Location) -> Location:
    """A place as whoever wrote the document sees it: without the kinds that pydantic puts behind what has several."""
    return _followed(document, location)[1]


def _followed(document: Any, location: Location) -> tuple[list[type[BaseModel]], Location]:
    """Where a location leads to, and the location without kinds."""
    found, seen = tables_of(document), list[int | str]()
    for part in location:
        of_kind = [table for table in found if len(found) > 1 and (kind_of(table) or ("", ""))[1] == part]
        if of_kind:
            found = of_kind
            continue
        seen.append(part)
        fields = [table.model_fields[part] for table in found if isinstance(part, str) and part in table.model_fields]
        if fields:
            found = [table for field in fields for table in tables_of(field.annotation)]
    return found, tuple(seen)


def said_of(document: Any, location: Location) -> str:
    """What a text has to be, in the words that its field has beside its pattern; empty where it has none.

    Args:
        document: The type of all of it.
        location: Where the text stands.
    """
    for table in tables_at(document, location[:-1]):
        field = table.model_fields.get(str(location[-1]))
        extra = None if field is None else field.json_schema_extra
        if isinstance(extra, dict) and "text" in extra:
            return str(extra["text"])
    return ""


def settings_below(tables: list[type[BaseModel]], path: str = "") -> Iterator[str]:
    """The dotted paths of all settings of tables, and of the tables in them that are of one kind and in no list.

    Args:
        tables: Which.
        path: Theirs.
    """
    for table in tables:
        for name, field in table.model_fields.items():
            place = f"{path}.{name}" if path else name
            yield place
            if isinstance(field.annotation, type):
                yield from settings_below(tables_of(field.annotation), place)


def example_of(tables: list[type[BaseModel]], found: object) -> str:
    """A table of one of several kinds as TOML has it, for somebody who wrote its kind or its number alone.

    Args:
        tables: The kinds; the first one stands for all.
        found: What was written.

    Returns:
        Nothing if there is one kind only.
    """
    kinds = {kind[1]: table for table in tables if (kind := kind_of(table)) is not None}
    if len(kinds) < 2:
        return ""
    name = found if isinstance(found, str) and found in kinds else next(iter(kinds))
    table = kinds[name]
    says = {(kind_of(table) or ("kind",))[0]: f'"{name}"'}
    needed = [each for each, field in table.model_fields.items() if field.is_required() and each not in says]
    return f"{{ {', '.join(f'{each} = {value}' for each, value in (says | _filled(needed, found)).items())} }}"


def _filled(needed: list[str], found: object) -> dict[str, str]:
    """What a table needs beside its kind; a number that was written is the one thing it needs."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return {each: f"{found}" if is_number and len(needed) == 1 else "..." for each in needed}
