"""Compiles the kernels on the way to a wheel or an editable install; everything else stands in pyproject.toml.

A wheel is for one machine and any version of Python. `FORETELL_MACHINE=aarch64` cross-compiles one for another machine.
Without a compiler the wheel has no kernels and is for all machines: the reference computes the same, many times slower
(with `CI=true` there is no such wheel).
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import warnings
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent))

from broker.arithmetic.building import CannotCompile, build, compiler_for
from broker.arithmetic.targets import BUILT

MACHINE = os.environ.get("FORETELL_MACHINE") or platform.machine()


def _can_compile() -> bool:
    try:
        compiler_for(MACHINE)
    except CannotCompile as problem:
        if os.environ.get("CI") == "true" or "FORETELL_MACHINE" in os.environ:
            raise
        warnings.warn(f"built without kernels: {problem}", stacklevel=1)
        return False
    return True


COMPILES = _can_compile()


class _Distribution(Distribution):
    def has_ext_modules(self) -> bool:
        return COMPILES


class _BuildPy(build_py):
    def run(self) -> None:
        super().run()
        if not COMPILES:
            return
        libraries = build(MACHINE, BUILT)
        if self.editable_mode:
            return
        into = Path(self.build_lib) / "broker" / "arithmetic" / BUILT.name
        shutil.rmtree(into, ignore_errors=True)  # another machine's
        into.mkdir(parents=True)
        for library in libraries:
            shutil.copy(library, into)


class _Wheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # Nothing newer than glibc 2.17 is asked for (tests/broker/arithmetic/test_building.py).
        system = "manylinux_2_17" if platform.libc_ver()[0] == "glibc" else "linux"
        return ("py3", "none", f"{system}_{MACHINE}" if COMPILES else "any")


setup(distclass=_Distribution, cmdclass={"build_py": _BuildPy, "bdist_wheel": _Wheel})
