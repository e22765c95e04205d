"""docs/raspberry-pi.md on two boards that only a network connects, with what the lock names and no more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
AS_TOLD_HERE = ("--wheels build", "systemctl --user enable --now $PWD/", "&& loginctl enable-linger")
"""What is done otherwise there, too: without an index, and without systemd."""
FORETELL = "#!{python} -P\nfrom scenarios.commands.main import main\n\nmain()\n"
RUN = Path("runs") / "exchange-quick-seed1-1"


def blocks(language: str) -> list[str]:
    """The page's blocks of a language."""
    return [block.text for block in blocks_of(ROOT / PAGE) if block.language == language]


def tell_on_boards(root: Path) -> int:
    """Execute the page as far as it can be without an index, and see that what it says of digests is so.

    Args:
        root: A folder that is empty.

    Returns:
        How many lines were executed.
    """
    need_programs("tar")
    with network(root, ("pi1", "pi2")) as net:
        _furnish(net, root)
        said = {line: _execute(line, net, root / "laptop") for line in _lines()}
    learned, waited, simulated = (summary(root / "laptop" / run) for run in (RUN, "runs/waited", "runs/simulated"))
    for digest in ("curve_digest", "weights_digest", "ledger_digest"):
        assert learned[digest] == waited[digest] == simulated[digest]
    on_boards, here = (digests(text) for line, text in said.items() if line.startswith("foretell evaluate"))
    assert on_boards == here
    return len(said)


def digests(shown: str) -> list[str]:
    """Those that an evaluation shows."""
    found = re.findall(r"^(?:curve|weights) digest +([0-9a-f]{64})$", shown, re.MULTILINE)
    assert len(found) == 2
    return found


def _lines() -> list[str]:
    shells = [block for block in blocks_of(ROOT / PAGE) if block.language == "sh"]
    telling = read_stories().of(PAGE)
    said = "\n".join(line for block in shells for line in told_lines(block, telling))
    for words, other in (SHORTER | {words: telling.instead[words] for words in AS_TOLD_HERE}).items():
        said = said.replace(words, other)
    return said.splitlines()


def _execute(line: str, net: Network, laptop: Path) -> str:
    done = subprocess.run(
        [*net.here, "sh", "-c", line],
        cwd=laptop,
        env=net.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def _furnish(net: Network, root: Path) -> None:
    """Give each board Foretell, as the page has it installed, and the laptop its commands and files."""
    node = install_node(root / "node")
    _program(node.parent / "foretell", FORETELL.format(python=node))
    for host in ("pi1", "pi2"):
        (net.home(host) / "foretell").symlink_to(node.parents[1])
    _program(root / "bin" / "foretell", FORETELL.format(python=sys.executable))
    for text in blocks("toml"):
        name, content = text.split("\n", 1)
        (root / "laptop").mkdir(exist_ok=True)
        (root / "laptop" / name.removeprefix("# ")).write_text(content.replace("pi@", "").replace(".local", ""))


def _program(place: Path, text: str) -> None:
    place.write_text(text)
    place.chmod(0o755)
