"""Plays the golden scenarios on an emulated aarch64 processor: a Raspberry Pi's instruction set, on any x86-64 Debian.

    python tools/emulated.py [--folder FOLDER] [--kernels neon] [--kernels reference] [NAME ...]

It unpacks Debian's arm64 Python and aarch64 wheels into FOLDER (kept for the next time; remove it to fetch anew), lays
this project beside them, compiles the kernels with gcc-aarch64-linux-gnu and lets qemu's user emulation run
tools/golden.py, without torch. Nothing is installed for arm64 on this host, and only apt-get needs root, where qemu or
the compiler is missing. It prints the rows of a table for docs/results/portability.md, and ends with 1 where a scenario
parts, with 2 where something is missing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from packages import LOCK, ROOT, pip, simulated_without_torch

_TOOLS = {
    "qemu-aarch64-static": "qemu-user-static",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
_DEBS = ("python3", "libstdc++6")
_OURS = ("broker", "agent_node", "env_service", "scenarios")
_OLDEST_GLIBC, _NEWEST_GLIBC = 17, 41
_KERNELS = ("neon", "reference")
_RESULT = re.compile(r"^(\d+) of (\d+) equal in (\d+) s: (.*)$", re.MULTILINE)


def main() -> int:
    """Make the emulated machine, and play on it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME", help="Golden scenarios; none: all.")
    default = Path(tempfile.gettempdir()) / f"foretell-arm64-{os.getuid()}"
    options.add_argument("--folder", type=Path, default=default, help="Where the emulated machine lies.")
    options.add_argument("--kernels", action="append", help="Which compute; repeatable. Default: neon and reference.")
    chosen = options.parse_args()
    began_at = time.monotonic()
    require_tools()
    machine = Machine(chosen.folder)
    machine.make()
    _note(f"made in {time.monotonic() - began_at:.0f} s")
    print("| machine | kernels | golden scenarios equal | seconds |\n|---|---|---|---|", flush=True)  # noqa: T201
    return max(machine.play(kernels, chosen.names) for kernels in chosen.kernels or _KERNELS)


def require_tools() -> None:
    """See that there is what emulates, and what compiles for it; as root, install it."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        _note(f"apt-get install {' '.join(missing)}")
        words = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *" ".join(missing).split()]
        for command in (["apt-get", "update", "-qq"], words):
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if missing:
        _stop(f"missing here: apt-get install {' '.join(missing)} (on Debian or one that is like it, as root)")


class Machine:
    """An aarch64 Debian of which only Python is there, in a folder.

    Args:
        folder: Where it lies, with what was fetched for it.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self.site = folder / "root", folder / "site"
        self._apt, self._wheels = folder / "apt", folder / "wheels"

    def make(self) -> None:
        """Lay down Python, the packages, this project, and the kernels."""
        self.unpack_python()
        version = self.python()
        _note(f"Python {version} for arm64")
        self._unpack_wheels(version)
        self._lay_down_project()

    @property
    def command(self) -> list[str]:
        """What starts its Python, from here."""
        return ["qemu-aarch64-static", "-L", str(self.root), str(self.root / "usr/bin/python3")]

    @property
    def paths(self) -> dict[str, str]:
        """Environment variables by which its Python finds what is there."""
        return {"PYTHONPATH": str(self.site), "PYTHONHOME": str(self.root / "usr"), "PYTHONNOUSERSITE": "1"}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Let its Python do something, and take what it prints."""
        told = os.environ | self.paths | environment
        return subprocess.run([*self.command, *words], env=told, stdout=subprocess.PIPE, text=True, check=False)

    def python(self) -> str:
        """The version of its Python, such as `3.11`."""
        return self.run("-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()

    def play(self, kernels: str, names: Sequence[str]) -> int:
        """Let it play golden scenarios, and print a row; 1 where one parts or it cannot play them."""
        done = self.run(str(ROOT / "tools" / "golden.py"), "--quiet", *names, FORETELL_KERNELS=kernels)
        result = _RESULT.search(done.stdout)
        if done.returncode or result is None:
            _note(done.stdout)
        if result is None:
            print(f"| aarch64, emulated | {kernels} | none played | |", flush=True)  # noqa: T201
            return 1
        equal, of, seconds, where = result.groups()
        told = where.replace(f"kernels {kernels}, ", "")
        print(f"| {told}, emulated | {kernels} | {equal} of {of} | {seconds} |", flush=True)  # noqa: T201
        return done.returncode

    def unpack_python(self) -> None:
        """Let apt find what Debian's Python needs as if this were an empty arm64 machine, and unpack it."""
        if (self.root / "usr/bin/python3").exists():
            return
        for place in (self._apt / "lists/partial", self._apt / "cache/archives/partial", self.root):
            place.mkdir(parents=True, exist_ok=True)
        status = self._apt / "status"
        status.touch()
        settings = {
            "APT::Architecture": "arm64",
            "APT::Architectures::": "arm64",
            "APT::Install-Recommends": "0",
            "APT::Sandbox::User": "",
            "Dir::State": self._apt,
            "Dir::State::lists": self._apt / "lists",
            "Dir::State::status": status,
            "Dir::Cache": self._apt / "cache",
            "Debug::NoLocking": "1",
        }
        apt = ["apt-get", "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
        for words in (["update"], ["-y", "--download-only", "install", *_DEBS]):
            done = subprocess.run([*apt, *words], capture_output=True, text=True, check=False)
            if done.returncode:
                _stop(f"apt-get {words[0]} for arm64 failed; do this host's sources have arm64?\n{done.stderr}")
        for package in (self._apt / "cache/archives").glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(self.root)], check=True)

    def _unpack_wheels(self, python: str) -> None:
        """Fetch the wheels that a simulation needs, of the pinned versions, and unzip them."""
        if self._wheels.exists() and self.site.exists():
            return
        words = wheel_tags(python)
        shutil.rmtree(self._wheels, ignore_errors=True)
        with tempfile.TemporaryDirectory() as folder:
            pins = Path(folder) / "pins.txt"
            lines = LOCK.read_text(encoding="utf-8").splitlines()
            pins.write_text("\n".join(line for line in lines if not line.startswith("torch=")), encoding="utf-8")
            pip("download", "-q", "-c", str(pins), "-d", str(self._wheels), *words, *simulated_without_torch())
        shutil.rmtree(self.site, ignore_errors=True)
        for wheel in self._wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(self.site)
        _note(f"{sum(1 for _ in self._wheels.iterdir())} wheels for aarch64, without torch")

    def _lay_down_project(self) -> None:
        """Copy this project's packages, and compile the kernels for aarch64."""
        for name in _OURS:
            shutil.rmtree(self.site / name, ignore_errors=True)
            shutil.copytree(
                ROOT / name, self.site / name, ignore=shutil.ignore_patterns("__pycache__", "built", "*.so")
            )
        if (ROOT / "broker/arithmetic/building.py").exists():
            into = self.site / "broker/arithmetic/built"
            words = ["-m", "broker.arithmetic.building", "--machine", "aarch64", "--into", str(into)]
            done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                _stop(f"the kernels cannot be compiled for aarch64: {done.stderr or done.stdout}")


def wheel_tags(python: str) -> list[str]:
    """Words with which pip downloads wheels for aarch64 and a Python such as `3.11`, and nothing else."""
    short = python.replace(".", "")
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(_OLDEST_GLIBC, _NEWEST_GLIBC)]
    words = ["--python-version", python, "--implementation", "cp", "--only-binary", ":all:"]
    words += [word for abi in (f"cp{short}", "abi3", "none") for word in ("--abi", abi)]
    return words + [word for platform in (*platforms, "manylinux2014_aarch64") for word in ("--platform", platform)]


def _note(line: str) -> None:
    sys.stderr.write(f"{line.rstrip()}\n")


def _stop(sentence: str) -> None:
    _note(sentence)
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
