"""No two processes that test are given the same port, though none listens yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ports import free_ports


@pytest.mark.processes
def test_what_was_given_to_one_is_given_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.randrange", lambda first, _last: first)  # both look at the same place
    here = {free_ports(5) + n for _ in range(8) for n in range(5)}
    program = "import random; random.randrange = lambda first, _: first\n"
    program += "from ports import free_ports; print(*(free_ports(5) for _ in range(8)))"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    there = {int(first) + n for first in said.stdout.split() for n in range(5)}
    assert len(here) == len(there) == 40
    assert not here & there
