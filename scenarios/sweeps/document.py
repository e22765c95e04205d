"""THE document of a sweep: what is compared with what, in one typed TOML file. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, field_validator, model_validator

from broker.model import Model
from scenarios.document.text.inline_toml import inline
from scenarios.running.batch.cell import Settings

_LONGEST = 200


def _on_one_line(text: str) -> str:
    if not text or not text.isprintable() or text != text.strip() or len(text) > _LONGEST:
        msg = f"expected text on one line, of at most {_LONGEST} characters and with none blank at its ends, found "
        raise ValueError(f"{msg}{text!r:.80}")
    return text


OneLine = Annotated[str, AfterValidator(_on_one_line)]
"""It stands in figures, tables and names of folders."""
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]


class SweptScenario(Model):
    """One scenario of a sweep; its name alone says the same as a table without a label."""

    scenario: OneLine = Field(description="Name in the catalogue, or a file; a relative path counts from the document.")
    label: OneLine | None = Field(
        default=None, description="In figures and tables; unset: its name, or that of its file."
    )


class SweptVariant(Model):
    """One way in which every scenario is changed. In TOML its settings stand beside label and algorithm."""

    label: OneLine | None = Field(default=None, description="In figures and tables; unset: made of its settings.")
    algorithm: OneLine | None = Field(
        default=None, description="The algorithm of this variant alone; unset: those that the document names."
    )
    settings: dict[str, JsonValue] = Field(default={}, description="As in `[settings]`, for this variant.")

    @model_validator(mode="before")
    @classmethod
    def _settings_stand_beside(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        own = {name: given[name] for name in ("label", "algorithm") if name in given}
        if isinstance(own.get("algorithm"), dict):
            del own["algorithm"]  # `algorithm.reward_sharing.weight = 2`, without quotation marks
        return own | {"settings": {name: value for name, value in given.items() if name not in own}}


class SweepDocument(Model):
    """Every scenario in every variant and combination, by every algorithm, with every seed."""

    title: OneLine | None = Field(default=None, description="Above figure and page; unset: the name of the file.")
    about: str = Field(default="", description="What is asked, in Markdown, for the page.")
    scenarios: tuple[SweptScenario, ...] = Field(min_length=1, description="What is run.")
    algorithms: tuple[OneLine, ...] = Field(
        default=(), description="Each runs every variant that names none; none: each scenario's own."
    )
    seeds: tuple[Seed, ...] = Field(
        min_length=1, description="Of every group of runs; there is no default on purpose. Intervals need two."
    )
    baseline: OneLine | None = Field(
        default=None, description="Label of the line that others are compared with; unset: the first of each scenario."
    )
    settings: dict[str, JsonValue] = Field(default={}, description="Put into every run, by dotted path.")
    variants: tuple[SweptVariant, ...] = Field(default=(), description="Ways to change every scenario.")
    grid: dict[str, JsonValue] = Field(
        default={}, description="By dotted path, a list of values: all combinations, of every variant if there are any."
    )

    @field_validator("scenarios", mode="before")
    @classmethod
    def _name_is_enough(cls, given: Any) -> Any:
        if not isinstance(given, list | tuple):
            return given
        return tuple({"scenario": each} if isinstance(each, str) else each for each in given)


def flat(table: Mapping[str, JsonValue], path: str = "") -> Iterator[tuple[str, JsonValue]]:
    """The settings in a table, by dotted path.

    A table that names its `kind` is one value, and takes the place of the scenario's: one of another kind has other
    settings. Of any other table each setting is set by itself, also where its kind is a list of a grid.
    """
    for name, value in table.items():
        inner = f"{path}.{name}" if path else name
        if isinstance(value, dict) and not isinstance(value.get("kind"), str):
            yield from flat(value, inner)
        else:
            yield inner, value


def as_settings(table: Mapping[str, JsonValue]) -> Settings:
    """The settings in a table, as a cell takes them."""
    return tuple((path, inline(value)) for path, value in flat(table))
