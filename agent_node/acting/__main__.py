"""`python -m agent_node.acting [SLICE.json]`: one agent that only acts, from its slice of an evaluation."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the working directory: what lies there is not ours; PYTHONPATH says where else to look

from broker.threads import limit_threads

limit_threads()  # before anything imports numpy

from agent_node.acting.acting_node import run_acting  # noqa: E402
from agent_node.acting.acting_slice import ActingSlice, read_acting_slice  # noqa: E402
from broker.driving.process import main  # noqa: E402


def _read(text: str) -> tuple[str, ActingSlice]:
    return text, read_acting_slice(text)


if __name__ == "__main__":
    sys.exit(main("python -m agent_node.acting", _read, lambda read: run_acting(*read)))
