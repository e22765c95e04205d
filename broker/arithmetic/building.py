"""Compile the kernels: `python -m broker.arithmetic.building [--machine MACHINE] [--into FOLDER]`.

With the system's compiler (`$CC`, or cc, gcc or clang), for this machine or, cross-compiled, for another. A library is
written aside and renamed, so that nobody loads half of one.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from broker.arithmetic.targets import BUILT, FLAGS, SOURCES, TARGETS, Target, source_digest


class CannotCompile(Exception):
    """No compiler, or one that failed; its text is a sentence."""


def build(machine: str, into: Path) -> list[Path]:
    """Compile all libraries for a machine that are not there already, from this source.

    Args:
        machine: As `platform.machine` calls it.
        into: The folder they are written to.

    Returns:
        All libraries for that machine.

    Raises:
        CannotCompile: There is no compiler, or it failed.
    """
    targets = [target for target in TARGETS if target.machine == machine]
    if not targets:
        known = ", ".join(sorted({target.machine for target in TARGETS}))
        msg = f"there are no kernels for {machine}, expected one of {known}"
        raise CannotCompile(msg)
    into.mkdir(parents=True, exist_ok=True)
    missing = [target for target in targets if not _is_current(into / target.library.name)]
    if missing:
        compiler = compiler_for(machine)
        with ThreadPoolExecutor() as several:
            list(several.map(lambda target: _compile(compiler, target, into), missing))
    return [into / target.library.name for target in targets]


def _is_current(library: Path) -> bool:
    return library.is_file() and source_digest().encode() in library.read_bytes()


def compiler_for(machine: str) -> list[str]:
    """The command that compiles for a machine.

    Raises:
        CannotCompile: There is none.
    """
    native = machine == platform.machine()
    asked = os.environ.get("CC") if native else None
    names = ("cc", "gcc", "clang") if native else (f"{machine}-linux-gnu-gcc",)
    found = shlex.split(asked) if asked else [name for name in names if shutil.which(name)][:1]
    if not found:
        package = "gcc libc6-dev" if native else f"gcc-{machine.replace('_', '-')}-linux-gnu"
        msg = f"no C compiler for {machine} ({', '.join(names)}): install one (Debian: apt-get install {package})"
        raise CannotCompile(msg)
    return found


def _compile(compiler: list[str], target: Target, into: Path) -> None:
    library = into / target.library.name
    aside = library.with_suffix(f".{os.getpid()}.tmp")
    digest = f'-DSOURCE="{source_digest()}"'
    command = [*compiler, *FLAGS, *target.flags, digest, str(SOURCES / "kernels.c"), "-o", str(aside), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            msg = f"{shlex.join(command)} failed:\n{done.stderr}"
            raise CannotCompile(msg)
        aside.rename(library)
    except OSError as problem:
        msg = f"{compiler[0]} cannot be started: {problem}"
        raise CannotCompile(msg) from None
    finally:
        aside.unlink(missing_ok=True)


def main() -> None:
    """Build as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m broker.arithmetic.building", description="Compile the kernels.")
    parser.add_argument("--machine", default=platform.machine(), help="for which machine: x86_64 or aarch64")
    parser.add_argument("--into", type=Path, default=BUILT, help="the folder to write to")
    asked = parser.parse_args()
    try:
        for library in build(asked.machine, asked.into):
            sys.stdout.write(f"{library}\n")
    except CannotCompile as problem:
        sys.exit(f"{problem}\nWithout kernels the reference computes the same bits, many times slower.")


if __name__ == "__main__":
    main()
