"""Libraries as a compiler makes them: from any flags that keep to the rules, and from some that do not."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_cases import different, network_results, row_results

from broker.arithmetic import building
from broker.arithmetic.building import CannotCompile, build, compiler_for
from broker.arithmetic.native import Native
from broker.arithmetic.reference import Reference
from broker.arithmetic.sizes import Sizes
from broker.arithmetic.targets import BUILT, FLAGS, SOURCES, TARGETS, source_digest

pytestmark = [pytest.mark.processes, pytest.mark.long]
ROOT = Path(__file__).parents[3]
OWN = [target for target in TARGETS if target.machine == platform.machine()]


def compiled(folder: Path, *flags: str, without: str = "", source: Path = SOURCES / "kernels.c") -> Native:
    library = folder / f"variant-{len(list(folder.iterdir()))}.so"
    kept = [flag for flag in FLAGS if flag != without]
    digest = f'-DSOURCE="{source_digest()}"'
    compiler = compiler_for(platform.machine())
    subprocess.run([*compiler, *kept, *flags, digest, str(source), "-o", str(library), "-lm"], check=True)
    return Native("variant", library, source_digest())


def differences(kernels: Native) -> set[str]:
    """What the properties of test_kernels.py would find, in a few cases."""
    found: set[str] = set()
    for seed in range(12):
        sizes = Sizes(9, (24, 17), 5)
        found |= set(different(lambda k, s=seed, z=sizes: network_results(k, s, z, 23, 2), Reference(), kernels))
        found |= set(different(lambda k, s=seed: row_results(k, s, 37, 5), Reference(), kernels))
    return found


@pytest.mark.parametrize("flag", ["-O0", "-O1"])
def test_no_level_of_optimization_changes_a_bit(tmp_path: Path, flag: str) -> None:
    assert differences(compiled(tmp_path, flag)) == set()


@pytest.mark.skipif(OWN[0].machine != "x86_64", reason="an option of x86-64")
def test_a_compiler_that_may_fuse_products_with_sums_is_seen(tmp_path: Path) -> None:
    if "fma" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("this processor cannot fuse them")
    assert differences(compiled(tmp_path, "-mavx2", "-mfma", "-DWIDTH=32")) == set()
    fused = differences(compiled(tmp_path, "-mavx2", "-mfma", "-DWIDTH=32", without="-ffp-contract=off"))
    assert {"outputs", "gradient"} <= fused


@pytest.mark.parametrize(
    ("file", "written", "instead", "seen"),
    [
        ("products.h", "k = p->k; k > 0; k--, a += a_column, b += b_row)", "k = p->k - 1; k >= 0; k--)", "outputs"),
        ("rows.h", "total[row] += exponential(", "total[row] += 0x1p-23f + exponential(", "log softmax"),
        ("kernels.c", "i = 0, n = count(x); i < n; i++) sum +=", "i = count(x) - 1; i >= 0; i--) sum +=", "total"),
        ("networks.h", "first[i] + (own - first[i]) * to_first", "first[i] * 0.9f + own * to_first", "first"),
    ],
)
def test_a_sum_in_another_order_or_written_otherwise_is_seen(
    tmp_path: Path, file: str, written: str, instead: str, seen: str
) -> None:
    for path in SOURCES.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.name == file:
            assert text.count(written) == 1
            text = text.replace(written, instead)
            if file == "products.h":
                text = text.replace("a[r * a_row] * load(b + v", "a[r * a_row + k * a_column] * load(b + k * b_row + v")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    assert seen in differences(compiled(tmp_path, source=tmp_path / "kernels.c"))


def test_a_compiler_that_may_reorder_sums_is_refused(tmp_path: Path) -> None:
    command = [
        *compiler_for(platform.machine()),
        *FLAGS,
        "-Ofast",
        str(SOURCES / "kernels.c"),
        "-o",
        str(tmp_path / "x"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "compile without -Ofast and -ffast-math" in done.stderr


def test_libraries_are_built_once_and_again_when_the_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, compiler = tmp_path / "built", tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do args="$args $1"; shift; done; echo "$args" > "$2"\n')
    compiler.chmod(0o700)
    monkeypatch.setenv("CC", str(compiler))
    libraries = build(platform.machine(), folder)
    assert [path.name for path in libraries] == [target.library.name for target in OWN]
    assert sorted(folder.iterdir()) == sorted(libraries)
    monkeypatch.setenv("CC", "false")
    assert build(platform.machine(), folder) == libraries
    monkeypatch.setattr(building, "source_digest", lambda: "1" * 64)
    with pytest.raises(CannotCompile, match="failed"):
        build(platform.machine(), folder)
    assert sorted(folder.iterdir()) == sorted(libraries)


def test_libraries_ask_for_nothing_that_glibc_2_17_has_not() -> None:
    """A wheel says so by its name; see setup.py."""
    for library in build(platform.machine(), BUILT):
        asked = re.findall(rb"GLIBC_(\d+)\.(\d+)", library.read_bytes())
        assert asked
        assert max((int(major), int(minor)) for major, minor in asked) <= (2, 17)


def test_without_a_compiler_one_reads_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotCompile, match=r"no C compiler for .* apt-get install gcc libc6-dev"):
        build(platform.machine(), tmp_path / "built")
    with pytest.raises(CannotCompile, match="apt-get install gcc-riscv64-linux-gnu"):
        compiler_for("riscv64")
    with pytest.raises(CannotCompile, match="no kernels for riscv64, expected one of aarch64, x86_64"):
        build("riscv64", tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(CannotCompile, match="no-such-compiler cannot be started"):
        build(platform.machine(), tmp_path / "built")


def test_the_command_builds_and_names_what_there_is_then() -> None:
    command = [sys.executable, "-m", "broker.arithmetic.building"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == [str(target.library) for target in OWN]
