"""`python -m agent_node [SLICE.json]`: one agent by hand, from its slice of a scenario (file or stdin)."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the working directory: what lies there is not ours; PYTHONPATH says where else to look

from broker.threads import limit_threads

limit_threads()  # before anything imports numpy or torch

from agent_node.config import AgentConfig  # noqa: E402
from agent_node.node import run_agent  # noqa: E402
from broker.driving.process import main  # noqa: E402
from broker.driving.slices import reader_of  # noqa: E402

if __name__ == "__main__":
    sys.exit(main("python -m agent_node", reader_of(AgentConfig), run_agent))
