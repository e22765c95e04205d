"""What all participants of a run have in common, and each says in its HELLO."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

_Text = Annotated[str, msgspec.Meta(max_length=200)]
_Version = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_PLAIN = re.compile(r"[\w.+() -]{1,100}", re.ASCII)
_SHOWN = 40
_DIGITS = 16


@dataclass(frozen=True)
class Identity:
    """To which run a participant belongs. Empty where somebody says nothing of it, as in tests and benchmarks.

    Attributes:
        run: Name of the run, with its id.
        document: SHA-256 of the resolved document, as `Scenario.shared_digest` says; of all that changes numbers.
        version: Of Foretell.
        arithmetic: Version of the arithmetic, so that nobody learns beside somebody who computes otherwise; 0 where
            nothing is said of it. Which kernels compute is no matter: all give the same bits.
    """

    run: _Text = ""
    document: _Text = ""
    version: _Text = ""
    arithmetic: _Version = 0

    def refusal(self, name: str, peer: str, found: Identity) -> str:
        """Why `name`, which has this identity, cannot work with `peer`, which has another: what differs, what to do."""
        differs = [
            f"expected {what} {_shown(own)}, found {_shown(its)}"
            for what, own, its in (
                ("Foretell", self.version, found.version),
                ("arithmetic", f"{self.arithmetic}", f"{found.arithmetic}"),
                ("document", self.document[:_DIGITS], found.document[:_DIGITS]),
                ("run", self.run, found.run),
            )
            if own != its
        ]
        same = (self.version, self.arithmetic) == (found.version, found.arithmetic)
        mend = "Start all from the slices of one `foretell check --slices`" if same else "Install one version for all"
        return f"{name} cannot work with {peer}: {'; '.join(differs)}. {mend}"


def _shown(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else repr(text[:_SHOWN])
