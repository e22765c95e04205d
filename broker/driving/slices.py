"""Reading the slice of a participant."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from broker.errors import UserError
from broker.model import Model

Slice = TypeVar("Slice", bound=Model)


def reader_of(slice_type: type[Slice]) -> Callable[[str], Slice]:
    """What makes a slice of its text; raises UserError where it is none."""

    def read(text: str) -> Slice:
        try:
            return slice_type.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "document"
            msg = f"the slice is wrong: {place}: {first['msg']}"
            raise UserError(msg) from None

    return read
