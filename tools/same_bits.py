"""Compiles the kernels in every way this host can, and compares one number over all they give.

python tools/same_bits.py

It takes gcc and clang, several levels of optimization and widths of vectors, and, where a compiler and emulator are
installed (Debian: apt-get install clang gcc-aarch64-linux-gnu qemu-user-static), aarch64. The stream of cases stands in
same_bits.c. The last lines are compiled as they may not be, and have to be seen. Ends with 1 where one of the others
differs. What it said once is kept in same_bits.txt.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from broker.arithmetic.targets import FLAGS, TARGETS  # noqa: E402

_KEPT = tuple(flag for flag in FLAGS if flag not in {"-shared", "-fPIC", "-fvisibility=hidden", "-O3"})


@dataclass(frozen=True)
class Way:
    """One way to compile and start the stream of cases.

    Attributes:
        compiler: Its command.
        flags: Beside those that all ways have.
        machine: For which.
        emulated: By what it is started, if it is for another machine.
        refused: Whether it breaks a rule on purpose.
    """

    compiler: tuple[str, ...]
    flags: tuple[str, ...]
    machine: str = "x86_64"
    emulated: str = ""
    refused: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.machine:8} {' '.join((*self.compiler, *self.flags))}"

    @property
    def missing(self) -> str:
        """What this host lacks for it, if anything."""
        needed = [self.compiler[0], *([self.emulated] if self.machine != platform.machine() else [])]
        return next((program for program in needed if not shutil.which(program)), "")


def ways() -> list[Way]:
    """All of them."""
    found = [Way(("gcc",), (level,)) for level in ("-O0", "-O1", "-O2", "-O3")]
    for compiler in ("gcc", "clang"):
        found += [Way((compiler,), ("-O3", *target.flags)) for target in TARGETS if target.machine == "x86_64"]
        found.append(Way((compiler,), ("-O3", "-march=native")))
    arm, emulator = "aarch64", "qemu-aarch64-static"
    cross, clang = ("aarch64-linux-gnu-gcc", "-static"), ("clang", "--target=aarch64-linux-gnu", "-static")
    for compiler in (cross, clang):
        found += [Way(compiler, ("-O3", *flags), arm, emulator) for flags in ((), ("-march=armv8.2-a+sve",))]
    found.append(Way(cross, ("-O0",), arm, emulator))
    fused = ("-O3", "-ffp-contract=fast")
    found.append(Way(("gcc",), (*fused, "-mavx2", "-mfma", "-DWIDTH=32"), refused=True))
    found.append(Way(cross, fused, arm, emulator, refused=True))
    return found


def digest(way: Way, folder: Path) -> str:
    """What it gives, or why it gives nothing, in parentheses."""
    if way.missing:
        return f"({way.missing} is missing)"
    program = folder / "cases"
    source = str(ROOT / "tools/same_bits.c")
    command = [*way.compiler, *_KEPT, *way.flags, source, "-o", str(program), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"(does not compile: {done.stderr.splitlines()[0]})"
    start = [way.emulated, str(program)] if way.machine != platform.machine() else [str(program)]
    done = subprocess.run(start, capture_output=True, text=True, check=False)
    if done.returncode == -4:  # SIGILL
        return "(this processor has no such instructions)"
    return done.stdout.strip() or f"(ended with {done.returncode}: {done.stderr.strip()})"


def main() -> int:
    """Compare; returns the exit code."""
    found: dict[Way, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way in ways():
            found[way] = digest(way, Path(folder))
            said = " as it has to be seen" if way.refused else ""
            print(f"{found[way]:16}  {way.name}{said}", flush=True)  # noqa: T201
    good = {each for way, each in found.items() if not way.refused and not each.startswith("(")}
    bad = {each for way, each in found.items() if way.refused}
    print(f"{'the same bits' if len(good) == 1 else 'DIFFERENT BITS'} in all ways that keep to the rules")  # noqa: T201
    return int(len(good) != 1 or bool(good & bad))


if __name__ == "__main__":
    sys.exit(main())
