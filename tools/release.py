"""Checks what `make wheels` and `python -m build --sdist` left in dist/, as a stranger would who installs it.

    python tools/release.py [FOLDER]        default dist; ends with 1, and a sentence, at the first thing that is wrong

The description is checked by twine. Then the wheel of this machine and the source are installed into environments of
their own, with the versions of requirements.lock, and the wheel again with those of requirements-node.lock alone. There
is no path to this tree from there. What docs/first-run.md shows of three episodes has to come out of each.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from broker.release import FORETELL  # noqa: E402

SWEEP = """\
title = "Installed"
scenarios = ["exchange-quick"]
seeds = [1, 2]
[settings]
episodes = 3
"""
"""Two short runs, and what is made of them."""
CHECK = ("simulate", "exchange-quick", "--episodes", "3")
"""The command whose digests docs/first-run.md shows."""
_LACKS = "which is not installed: pip install 'foretell[lab]'"


def main() -> int:
    """Check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist")
    folder = (ROOT / parser.parse_args().folder).resolve()
    wheels, source = sorted(folder.glob(f"foretell-{FORETELL}-*.whl")), folder / f"foretell-{FORETELL}.tar.gz"
    mine = [wheel for wheel in wheels if platform.machine() in wheel.name]
    if len(mine) != 1 or not source.exists():
        return _wrong(f"expected a wheel for {platform.machine()} and {source.name} in {folder}: see `make release`")
    _run(sys.executable, "-m", "twine", "check", "--strict", *map(str, (*wheels, source)))
    with tempfile.TemporaryDirectory(prefix="foretell-release-") as root:
        for name, what in (("wheel", mine[0]), ("source", source)):
            python = _environment(Path(root) / name)
            _install(python, f"{what}[lab]", "--constraint", str(ROOT / "requirements.lock"))
            if problem := _lab(python, Path(root)):
                return _wrong(f"{what.name}, installed: {problem}")
            _say(f"{what.name}: installed, and its three episodes have the digests of docs/first-run.md")
        python = _environment(Path(root) / "node")
        _install(python, "--requirement", str(ROOT / "requirements-node.lock"))
        _install(python, "--no-deps", str(mine[0]))
        if problem := _node(python, Path(root)):
            return _wrong(f"{mine[0].name} with requirements-node.lock alone: {problem}")
        _say(f"{mine[0].name}: a node, with requirements-node.lock alone")
    return 0


def shown() -> list[str]:
    """The digests that docs/first-run.md shows below the command."""
    page = (ROOT / "docs" / "first-run.md").read_text(encoding="utf-8")
    return _digests(page.split(f"foretell {' '.join(CHECK)}\n")[1])[:2]


def _lab(python: Path, folder: Path) -> str:
    """What is wrong with an installation that simulates; empty if nothing."""
    version = _run(*_foretell(python), "--version", folder=folder).stdout
    if not version.startswith(f"foretell, version {FORETELL}"):
        return f"expected version {FORETELL}, found {version.strip()!r}"
    if "kernels reference" in version:
        return "it has no kernels"
    found = _digests(_run(*_foretell(python), *CHECK, folder=folder).stdout)
    if found != shown():
        return f"expected digests {shown()}, found {found}"
    (folder / "installed.toml").write_text(SWEEP, encoding="utf-8")
    swept = folder / python.parent.parent.name
    _run(*_foretell(python), "sweep", "installed.toml", "--out", str(swept), folder=folder)
    lacks = [ending for ending in ("md", "png", "json") if not (swept / f"installed.{ending}").exists()]
    return f"a sweep made no {', '.join(lacks)}" if lacks else ""


def _node(python: Path, folder: Path) -> str:
    """What is wrong with a node; empty if nothing."""
    for words in (("--version",), ("--help",), ("list",)):
        if not _run(*_foretell(python), *words, folder=folder).stdout:
            return f"`foretell {' '.join(words)}` says nothing"
    refused = _run(*_foretell(python), *CHECK, folder=folder, code=2).stderr
    return "" if _LACKS in refused else f"expected the extra that is missing, found {refused.strip()!r}"


def _digests(text: str) -> list[str]:
    return re.findall(r"^(?:curve|weights) digest +([0-9a-f]{64})$", text, re.MULTILINE)


def _environment(place: Path) -> Path:
    _run(sys.executable, "-m", "venv", str(place))
    return place / "bin" / "python"


def _install(python: Path, *words: str) -> None:
    _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words)


def _foretell(python: Path) -> tuple[str, ...]:
    return (str(python.parent / "foretell"),)


def _run(*words: str, folder: Path = ROOT, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it, without what leads back to this tree; ends with what it said where it ends otherwise."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    if done.returncode != code:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _wrong(problem: str) -> int:
    sys.stderr.write(f"release: {problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
