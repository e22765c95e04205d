"""The service of docs/raspberry-pi.md; test_pages.py tells the page, and tools/hosts_campaign.py between namespaces."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from boards.boards_of_page import blocks
from limits import LIMIT_S


@pytest.mark.processes
def test_the_service_of_the_page_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    (text,) = blocks("ini")
    unit = tmp_path / "foretell-agent@.service"
    unit.write_text(text.replace("/home/pi/foretell/bin/python", sys.executable).replace("User=pi", "User=root"))
    command = ["systemd-analyze", "verify", "--recursive-errors=no", str(tmp_path / "foretell-agent@agent-0.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "foretell-agent@" not in done.stderr
