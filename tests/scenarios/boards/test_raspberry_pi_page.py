"""docs/raspberry-pi.md, executed: two boards that only a network connects, with what the lock names and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from boards.node_install import ROOT, install_node
from hosts.network import Network, need_programs, network
from limits import LIMIT_S
from pages.page import blocks_of
from pages.story import told_lines
from pages.telling import read_stories
from runs import summary

PAGE = "docs/raspberry-pi.md"
SHORTER = {"pi@": "", ".local": "", "--episodes 500": "--episodes 3", "--episodes 20": "--episodes 2"}
"""What the namespaces are called, and less to wait for."""
FORETELL = "#!{python} -P\nfrom scenarios.commands.main import main\n\nmain()\n"
RUN = Path("runs") / "exchange-quick-seed1-1"


def blocks(language: str) -> list[str]:
    return [block.text for block in blocks_of(ROOT / PAGE) if block.language == language]


def lines() -> list[str]:
    shells = [block for block in blocks_of(ROOT / PAGE) if block.language == "sh"]
    said = "\n".join(line for block in shells for line in told_lines(block, read_stories().of(PAGE)))
    for words, other in SHORTER.items():
        said = said.replace(words, other)
    return said.splitlines()


def program(place: Path, text: str) -> None:
    place.write_text(text)
    place.chmod(0o755)


def furnish(net: Network, root: Path) -> None:
    """Give each board Foretell, as the page has it installed, and the laptop its commands and files."""
    node = install_node(root / "node")
    program(node.parent / "foretell", FORETELL.format(python=node))
    for host in ("pi1", "pi2"):
        (net.home(host) / "foretell").symlink_to(node.parents[1])
    program(root / "bin" / "foretell", FORETELL.format(python=sys.executable))
    for text in blocks("toml"):
        name, content = text.split("\n", 1)
        (root / "laptop").mkdir(exist_ok=True)
        (root / "laptop" / name.removeprefix("# ")).write_text(content.replace("pi@", "").replace(".local", ""))


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_boards_that_are_set_up_as_the_page_says_learn_and_act(tmp_path: Path) -> None:
    need_programs("tar")
    with network(tmp_path, ("pi1", "pi2")) as net:
        furnish(net, tmp_path)
        said = {}
        for line in lines():
            words = [*net.here, "sh", "-c", line]
            done = subprocess.run(
                words,
                cwd=tmp_path / "laptop",
                env=net.environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said[line] = done.stdout
    learned, simulated = (summary(tmp_path / "laptop" / place) for place in (RUN, "runs/simulated"))
    for digest in ("curve_digest", "weights_digest", "ledger_digest"):
        assert learned[digest] == simulated[digest]
    on_boards, here = (digests(text) for line, text in said.items() if line.startswith("foretell evaluate"))
    assert on_boards == here


def digests(shown: str) -> list[str]:
    found = re.findall(r"^(?:curve|weights) digest +([0-9a-f]{64})$", shown, re.MULTILINE)
    assert len(found) == 2
    return found


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
