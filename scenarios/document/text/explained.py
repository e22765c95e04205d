"""What is wrong with a document, in the words of its author."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker.counting import listed, meant
from broker.errors import ScenarioError
from scenarios.document.text.tables import Location, example_of, said_of, settings_below, tables_at, without_kinds

_SCENARIOS_HINT = "`foretell check` prints all settings of a scenario"
_MOST_NAMED = 8
_MOST_MEANT = 3


def explained(error: ValidationError, document: Any, table: str = "", *, hint: str = _SCENARIOS_HINT) -> ScenarioError:
    """The first thing wrong with a document, as path, expectation and finding, and where the others are.

    Args:
        error: What pydantic found.
        document: The type that was checked.
        table: Where in the document, if it was a part of it that was checked.
        hint: Which settings there are, for somebody who wrote one that is near none of them.
    """
    errors = error.errors(include_url=False)
    places = list(dict.fromkeys(_place(each, document, table) for each in errors))
    others = "" if len(places) == 1 else f" (and {len(places) - 1} more: {listed(places[1:], _MOST_NAMED)})"
    return ScenarioError(places[0], _problem(errors[0], document, table, hint) + others)


def _place(error: ErrorDetails, document: Any, table: str) -> str:
    path = _path(error["loc"], document, table)
    return ".".join(filter(None, (path, _discriminator(error)))) if error["type"].startswith("union_tag") else path


def _problem(error: ErrorDetails, document: Any, table: str, hint: str) -> str:
    """What was expected and what was found, in the words of a TOML document."""
    context, found = error.get("ctx", {}), error["input"]
    match error["type"]:
        case "extra_forbidden":
            return f"there is no such setting. {_meant(error['loc'], document, table) or hint}"
        case "missing" | "union_tag_not_found":
            return "is required"
        case "union_tag_invalid":
            return f"expected one of {context['expected_tags']}, found {context['tag']!r}{_meant_kind(context)}"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "too_short":
            return f"expected at least {context['min_length']} in the list, found {context['actual_length']}"
        case "string_pattern_mismatch":
            wanted = said_of(document, error["loc"]) or f"text like {context['pattern']}"
            return f"expected {wanted}, found {_shown(found)}"
        case "tuple_type" | "list_type":
            return f"expected a list, found {_shown(found)}{_of_quotation_marks(found)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            example = example_of(tables_at(document, error["loc"]), found)
            such = f", such as {example}" if example else ""
            return f"expected a table{such}, found {_shown(found)}{_of_quotation_marks(found)}"
        case "string_type" | "path_type":
            return f"expected text, found {_shown(found)}"
        case _:
            message = error["msg"].removeprefix("Input should be ")
            return f"expected {message[:1].lower()}{message[1:]}, found {_shown(found)}"


def _meant(location: Location, document: Any, table: str) -> str:
    """Which setting is meant by one that there is not: one beside it, or of this very name deeper down or elsewhere."""
    *above, name = location
    beside = tables_at(document, tuple(above))
    close = meant(str(name), {each: each for each in settings_below(beside) if "." not in each})
    here = _path(tuple(above), document, table)
    if close:
        return f"Did you mean {here}.{close}?" if here else f"Did you mean {close}?"
    for tables, path in ((beside, here), (tables_at(document, ()), table)):
        named = [each for each in dict.fromkeys(settings_below(tables, path)) if each.rpartition(".")[2] == name]
        if 0 < len(named) <= _MOST_MEANT:
            return f"Did you mean {' or '.join(named)}?"
    return ""


def _meant_kind(context: dict[str, Any]) -> str:
    """Which of the kinds is meant by another word."""
    kinds = re.findall(r"'([^']*)'", context["expected_tags"])
    close = meant(str(context["tag"]), {each: each for each in kinds})
    return f". Did you mean '{close}'?" if close else ""


def _of_quotation_marks(found: object) -> str:
    """What may be missing in a value of the command line that was to be a list or a table, and is no TOML."""
    if not (isinstance(found, str) and found.startswith(("[", "{"))):
        return ""
    return (
        ": in it text stands in quotation marks, and for the shell single ones around all, such as "
        """--set 'faults=[{kind="drop", probability=0.3}]'"""
    )


def _shown(found: object) -> str:
    return f"{found!r:.80}"


def _discriminator(error: ErrorDetails) -> str:
    return str(error.get("ctx", {}).get("discriminator", "kind")).strip("'")


def _path(location: Location, document: Any, table: str) -> str:
    """Where in the document."""
    path = table
    for part in without_kinds(document, location):
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
