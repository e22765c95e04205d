"""W3C trace context of a run: which trace its spans are of, and the name of each span. Pure.

Spans of one participant have names that all others know: a span's id is a digest of the run's `traceparent`, the
participant, its life, the episode and the round. What an envelope says anyway, its source, episode and round, is enough
to link the sender's span, and no message carries a byte more. `traceparent` is that of
https://www.w3.org/TR/trace-context/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)
_SAMPLED = 1


@dataclass(frozen=True)
class TraceContext:
    """One span, as others name it.

    Attributes:
        trace: Of which trace, 16 bytes as a number; not 0.
        span: Which, 8 bytes as a number; not 0.
    """

    trace: int
    span: int

    def __str__(self) -> str:
        """As `traceparent` writes it; all spans are kept."""
        return f"00-{self.trace:032x}-{self.span:016x}-{_SAMPLED:02x}"

    def child(self, *names: object) -> TraceContext:
        """The span that is called so, of the same trace."""
        return TraceContext(self.trace, _number(8, str(self), *names))


def context_of_run(run: str, parent: TraceContext | None = None) -> TraceContext:
    """The span of a whole run, in a trace of its own, or of whoever started it.

    Args:
        run: Name of the run, with its id.
        parent: The span in which it was started.
    """
    trace = _number(16, "foretell", run) if parent is None else parent.trace
    return TraceContext(trace, _number(8, f"{trace:032x}", run))


def parse_traceparent(text: str) -> TraceContext:
    """The span that a `traceparent` names.

    Raises:
        ValueError: It is none of version 00.
    """
    found = _TRACEPARENT.fullmatch(text)
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        msg = f"expected a traceparent such as 00-{'1' * 32}-{'2' * 16}-01, found {text!r:.80}"
        raise ValueError(msg)
    return TraceContext(int(found[1], 16), int(found[2], 16))


def _number(size_bytes: int, *names: object) -> int:
    digest = sha256("\0".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:size_bytes], "big") or 1
