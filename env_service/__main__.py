"""`python -m env_service [SLICE.json]`: the environment by hand, from its slice of a scenario (file or stdin)."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the working directory: what lies there is not ours; PYTHONPATH says where else to look

from broker.threads import limit_threads

limit_threads()  # before anything imports numpy or torch

from broker.driving.process import main  # noqa: E402
from broker.driving.slices import reader_of  # noqa: E402
from env_service.config import ServiceConfig  # noqa: E402
from env_service.service import run_environment  # noqa: E402

if __name__ == "__main__":
    sys.exit(main("python -m env_service", reader_of(ServiceConfig), run_environment))
