"""How `foretell` ends.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a bug in Foretell: it shows a traceback |
| 2 | a wrong scenario, setting or use of a command, or an address that is in use |
| 3 | a participant died, or an environment or algorithm failed: who, why, and where its log is |
| 4 | the faults that struck are not those that were asked for; two runs, or a run and its replay, differ |
| 130 | interrupted |
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command ends with, where it does not end with 0; see this page."""

    BUG = 1
    WRONG = 2
    DIED = 3
    MISMATCH = 4
    INTERRUPTED = 130
