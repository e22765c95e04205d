"""Rows of a run as columns: arrays by name, and data frames for whoever has pandas or polars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from broker.counting import counted
from broker.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_ROWS_SHOWN = 5


class Columns(Mapping[str, np.ndarray]):
    """Columns of equal length, in an order of their own; `columns["agent"]` is an array (rows,).

    Args:
        arrays: By name.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = dict(arrays)

    @classmethod
    def of(cls, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Columns:
        """The columns of rows, each with a value for each name."""
        names, listed = tuple(names), list(rows)
        values = zip(*listed, strict=True) if listed else ([] for _ in names)
        return cls({name: np.array(list(column)) for name, column in zip(names, values, strict=True)})

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
        """The rows in which each of these columns has this value."""
        chosen = np.ones(self.rows, np.bool_)
        for name, value in values.items():
            chosen &= self[name] == value
        return Columns({name: array[chosen] for name, array in self._arrays.items()})

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


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        msg = f"{name} is not installed: pip install {name}"
        raise UserError(msg) from None
