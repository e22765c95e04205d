"""How many files a process may have open: sockets are files, and an edge takes several."""

from __future__ import annotations

import resource

_ITSELF, _EACH = 64, 8
"""Of a process by itself, and of each participant it speaks to or has started."""


def files_for(peers: int) -> int:
    """How many files a process opens that speaks to so many, or starts them."""
    return _ITSELF + _EACH * peers


def allow_open_files(count: int) -> None:
    """Let this process, and those it starts, open so many files, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
