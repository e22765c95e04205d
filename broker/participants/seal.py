"""A slice on its way to whoever starts a participant by hand: sealed, and looked at before anything else is read of it.

A slice alone does not show that it no longer fits its document: it only repeats the digest that was written into it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.release import FORETELL

OF_THE_HOST = frozenset(
    (
        *("transport", "joining", "addresses", "listen", "broker", "credentials", "life", "seal"),
        *("journal", "observed", "counters", "trace"),
    )
)
"""What may be changed in a slice's `link`: where things are, how long somebody waits for them, and who looks on."""
_SHOWN = 16


def sealed(slice_json: str) -> str:
    """The same slice, with a seal."""
    told = json.loads(slice_json)
    told["link"]["seal"] = _seal_of(told)
    return json.dumps(told, indent=2) + "\n"


def require_whole(slice_json: str) -> None:
    """See that a slice was written by this Foretell, which another may mean differently, and is as it was written.

    What is no slice at all passes: others say what is wrong with it. So does one without a seal.

    Raises:
        UserError: It is not.
    """
    try:
        told = json.loads(slice_json)
        link = told["link"]
        identity, seal, found = link["identity"], link["seal"], _seal_of(told)
        version, arithmetic = identity["version"], identity.get("arithmetic", 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return
    if not seal:
        return
    if (version, arithmetic) != (FORETELL, ARITHMETIC):
        expected, its = FORETELL, f"{version!r}"
        if version == FORETELL:
            expected, its = f"arithmetic {ARITHMETIC}", f"{arithmetic!r}"
        msg = f"the slice is of another Foretell: expected {expected}, found {its}. Install "
        raise UserError(f"{msg}one version for all, or write the slices anew with `foretell check --slices`")
    if seal != found:
        msg = f"the slice of {link['name']!r} was changed: expected the seal {str(seal)[:_SHOWN]!r}, found "
        msg += f"{found[:_SHOWN]!r}. Change the scenario instead, and write all slices anew"
        raise UserError(msg)


def _seal_of(told: dict[str, Any]) -> str:
    """SHA-256 of all in a slice but what is its host's own matter: an environment's code is, but not where it lies."""
    link = {name: value for name, value in told["link"].items() if name not in OF_THE_HOST}
    environment = {name: value for name, value in told.get("environment", {}).items() if name != "file"}
    return sha256(json.dumps(told | {"link": link, "environment": environment}, sort_keys=True).encode()).hexdigest()
