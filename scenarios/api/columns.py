"""Rows of a run as columns: arrays by name, and data frames for whoever has pandas or polars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from broker.counting import counted, listed
from broker.errors import UserError
from broker.wire.messages import ENVIRONMENT, OBSERVER
from scenarios.document.agent_names import AgentNames

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_OF_PARTICIPANTS = frozenset(("agent", "source", "destination"))
"""Columns that hold ids."""
_AGENTS_SHOWN = 8


def only_agent(called: str, among: Iterable[str], names: AgentNames) -> str:
    """The id of the one agent that is called so.

    Args:
        called: Its id, or what its environment calls it.
        among: Ids that it may be.
        names: What their environment calls them.

    Raises:
        UserError: There is no such agent, or several are called so.
    """
    known = tuple(among)
    if called in known:
        return called
    found = [agent for agent in known if names.by_id.get(agent) == called]
    if len(found) != 1:
        listing = listed([*map(names.told, known)], _AGENTS_SHOWN)
        raise UserError(f"expected the id or the only name of an agent, {listing}, found {called!r}")
    return found[0]


class Columns(Mapping[str, np.ndarray]):
    """Columns of equal length, in an order of their own; `columns["agent"]` is an array (rows,).

    Args:
        arrays: By name.
        agents: Of the run, for columns that hold their ids; None where none does.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], agents: AgentNames | None = None) -> None:
        self._arrays = dict(arrays)
        self._agents = agents

    @classmethod
    def of(cls, names: Iterable[str], rows: Iterable[Iterable[Any]], agents: AgentNames | None = None) -> Columns:
        """The columns of rows, each with a value for each name.

        Args:
            names: Of the columns; as a mapping, with the type of each, which it has without a row, too.
            rows: A value for each name; None is NaN, and makes its column one of floats.
            agents: As for `Columns`.
        """
        types = names if isinstance(names, Mapping) else {}
        names, found = tuple(names), list(rows)
        values = zip(*found, strict=True) if found else ([] for _ in names)
        columns = zip(names, values, strict=True)
        return cls({name: _array(list(column), types.get(name)) for name, column in columns}, agents)

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self._arrays[name]
        except KeyError:
            msg = f"expected one of the columns {', '.join(self._arrays)}, found {name!r}"
            raise KeyError(msg) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"Columns({counted(self.rows, 'row')}: {', '.join(self)})"

    @property
    def rows(self) -> int:
        """How long each column is."""
        return len(next(iter(self._arrays.values()), ()))

    def where(self, **values: Any) -> Columns:
        """The rows in which each of these columns has this value; of an agent its id, or its environment's name for it.

        Raises:
            UserError: A value of `agent`, `source` or `destination` is nobody of the run.
        """
        chosen = np.ones(self.rows, np.bool_)
        for name, value in values.items():
            chosen &= self[name] == self._meant(name, value)
        return Columns({name: array[chosen] for name, array in self._arrays.items()}, self._agents)

    def _meant(self, column: str, value: Any) -> Any:
        """The value that a column has where a user means this one."""
        if column not in _OF_PARTICIPANTS or not isinstance(value, str) or self._agents is None:
            return value
        is_there = value in (ENVIRONMENT, OBSERVER) or value in self[column]
        if is_there or not self._agents.by_id:  # those of a run that has not begun are unknown
            return value
        return only_agent(value, self._agents.by_id, self._agents)

    def to_pandas(self) -> pd.DataFrame:
        """A data frame of pandas.

        Raises:
            UserError: pandas is not installed.
        """
        return _library("pandas").DataFrame(self._arrays)

    def to_polars(self) -> pl.DataFrame:
        """A data frame of polars.

        Raises:
            UserError: polars is not installed.
        """
        return _library("polars").DataFrame(self._arrays)


def _array(column: list[Any], kind: Any) -> np.ndarray:
    """A column of a type, such as `int`, or `int | None`."""
    is_there, *_ = [each for each in get_args(kind) if each is not type(None)] or [kind]
    return np.array(column, float if is_there is not str and None in column else is_there)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        msg = f"{name} is not installed: pip install {name}"
        raise UserError(msg) from None
