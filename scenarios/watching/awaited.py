"""Whom a participant waits for, from the sentence in which it says so."""

from __future__ import annotations

import re

from broker.wire.messages import ENVIRONMENT, OBSERVER

_WHO = re.compile(rf"\b(agent-\d+|{ENVIRONMENT}|{OBSERVER})\b")


def awaited(waits_for: str) -> tuple[str, ...]:
    """The ids of those it waits for, in the order of the sentence.

    Args:
        waits_for: As in `StatusRow.waits_for`.
    """
    _, _, whom = waits_for.partition(" waits for ")
    return tuple(dict.fromkeys(_WHO.findall(whom)))
