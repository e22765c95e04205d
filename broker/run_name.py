"""What a run is called in topics, permissions and client identifiers: by its scenario, and by an id of its own.

The id is no draw of the run: nothing that is learned, counted or compared depends on it.
"""

from __future__ import annotations

import secrets

ID_LENGTH = 8
"""Characters; all ids have as many, so that frames are as long in one run as in another."""
_ANY = "?"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def new_run_name(scenario: str) -> str:
    """A name for a run of `scenario` that no other run has: 40 bits that nobody foresees stand at its end."""
    return f"{scenario}-{''.join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))}"


def every_run(scenario: str) -> str:
    """What stands for the names of all runs of `scenario`."""
    return f"{scenario}-{_ANY * ID_LENGTH}"


def means_every_run(name: str) -> bool:
    """Whether a name is one that `every_run` gives; no run itself is called so."""
    return name.endswith(_ANY * ID_LENGTH)
