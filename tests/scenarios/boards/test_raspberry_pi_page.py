"""The service of docs/raspberry-pi.md; test_pages.py tells the page, and tools/hosts_campaign.py between namespaces."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from boards.boards_of_page import blocks
from limits import LIMIT_S

from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.running.bundles.making import make_bundles
from scenarios.running.fleet import parse_fleet


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the page's hosts that wait."""
    (text,) = (text for text in blocks("toml") if text.startswith("# waiting.toml"))
    out = tmp_path_factory.mktemp("page") / "bundles"
    make_bundles(make_plan(load_scenario("exchange-quick", {})), parse_fleet(text), out)
    return out


def test_the_services_that_the_page_starts_are_in_its_bundles(bundles: Path) -> None:
    started = re.findall(r"'cd (\w+) && systemctl --user enable --now \$PWD/(\S+\.service)", "".join(blocks("sh")))
    assert [host for host, _ in started] == ["pi1", "pi2"]
    for host, unit in started:
        assert (bundles / host / unit).is_file()


@pytest.mark.processes
def test_the_service_of_the_page_is_one_that_systemd_takes(bundles: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (bundles / "pi1" / "foretell-pi1.service").read_text()
    unit = tmp_path / "foretell-pi1.service"
    unit.write_text(text.replace('"%h/foretell/bin/python"', sys.executable).replace("%h/pi1", str(tmp_path)))
    command = ["systemd-analyze", "verify", "--user", "--recursive-errors=no", str(unit)]
    own = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=own)
    assert done.returncode == 0, done.stderr
    assert "foretell-pi1" not in done.stderr
