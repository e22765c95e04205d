"""The instruction sets that the kernels are compiled for, and where their libraries lie."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FLAGS = (
    *("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)
"""Of the compiler, for every target. None lets it change a result: no product is added before it is rounded
(`-ffp-contract=off`), and nobody asks for the C library's `errno` or the processor's record of exceptions."""
SOURCES = Path(__file__).parent / "source"
BUILT = Path(__file__).parent / "built"


@dataclass(frozen=True)
class Target:
    """An instruction set.

    Attributes:
        name: What `FORETELL_KERNELS` calls it.
        machine: The processors that have it or may have it, as `platform.machine` calls them.
        flags: Of the compiler, beside `FLAGS`.
        needs: Bit of `known_here` in kernels.c that tells whether a processor has it; 0 where all of them do.
    """

    name: str
    machine: str
    flags: tuple[str, ...]
    needs: int

    @property
    def library(self) -> Path:
        """Where its library lies once it is built."""
        return BUILT / f"kernels-{self.name}.so"


_AVX512 = ("-DWIDTH=64", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=512")
TARGETS = (
    Target("avx512", "x86_64", _AVX512, 2),
    Target("avx2", "x86_64", ("-DWIDTH=32", "-mavx2"), 1),
    Target("baseline", "x86_64", ("-DWIDTH=16",), 0),
    Target("neon", "aarch64", ("-DWIDTH=16",), 0),
)
"""Of each machine the fastest first."""


def source_digest() -> str:
    """Of the flags and of all C source: a library that was compiled from anything else is not used."""
    digest = sha256(" ".join(FLAGS).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
