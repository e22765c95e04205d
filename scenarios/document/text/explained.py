"""What is wrong with a document, in the words of its author."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker.errors import ScenarioError


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
            return f"expected a list, found {_shown(found)}{_of_quotation_marks(found)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a table, found {_shown(found)}{_of_quotation_marks(found)}"
        case "string_type" | "path_type":
            return f"expected text, found {_shown(found)}"
        case _:
            message = error["msg"].removeprefix("Input should be ")
            return f"expected {message[:1].lower()}{message[1:]}, found {_shown(found)}"


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
