"""Which kernels a process takes, and what it says where it cannot have those that were asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.arithmetic import chosen, targets
from broker.arithmetic.native import Native, Unusable
from broker.arithmetic.targets import TARGETS, Target, source_digest
from broker.errors import UserError

POSSIBLE = tuple(chosen.possible())


def moved(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let libraries be looked for in a folder."""
    monkeypatch.setattr(targets, "BUILT", folder)


def test_the_fastest_kernels_are_taken_and_the_reference_is_the_last() -> None:
    kernels, why_not_fast = chosen._choose(None)
    order = [target.name for target in TARGETS if target.name in POSSIBLE]
    assert [*order, "reference"] == list(POSSIBLE)
    assert kernels.name == order[0]
    assert why_not_fast == ""


@pytest.mark.parametrize("name", POSSIBLE)
def test_kernels_can_be_asked_for_by_name(name: str) -> None:
    kernels, _ = chosen._choose(name)
    assert kernels.name == name


def test_a_name_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"^FORETELL_KERNELS=sse: expected one of reference, avx512, avx2, baseline"):
        chosen._choose("sse")


def test_a_name_for_another_processor_is_answered_with_those_for_this_one() -> None:
    other = next(target.name for target in TARGETS if target.name not in POSSIBLE)
    expected = f"^FORETELL_KERNELS={other}: this processor has no such instructions; expected one of {POSSIBLE[0]}"
    with pytest.raises(UserError, match=expected):
        chosen._choose(other)


def test_an_instruction_set_that_the_processor_does_not_know_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Native, "known_here", 0)
    assert list(chosen.possible()) == [*(t.name for t in TARGETS if t.name in POSSIBLE and not t.needs), "reference"]


def test_without_libraries_the_reference_serves_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    moved(monkeypatch, tmp_path)
    kernels, why_not_fast = chosen._choose(None)
    assert kernels.name == "reference"
    assert why_not_fast.startswith(str(tmp_path))
    assert why_not_fast.endswith("is missing; build them with `python -m broker.arithmetic.building`")
    with pytest.raises(UserError, match=r"baseline: .* is missing; build them with `python -m broker.arithmetic"):
        chosen._choose("baseline")


def test_a_library_that_was_built_from_another_source_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "source_digest", lambda: "0" * 64)
    kernels, why_not_fast = chosen._choose(None)
    assert kernels.name == "reference"
    assert "was built from another source; build them" in why_not_fast


def test_a_library_that_is_none_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    moved(monkeypatch, tmp_path)
    for target in TARGETS:
        target.library.write_bytes(b"no library")
    kernels, why_not_fast = chosen._choose(None)
    assert kernels.name == "reference"
    assert "cannot be loaded" in why_not_fast


def test_a_layout_of_arrays_that_the_library_does_not_know_is_found_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here, numbers of types that are not those numpy has."""
    target = native_target()
    monkeypatch.setattr("broker.arithmetic.native._TYPES", {float: 11})
    with pytest.raises(Unusable, match="are laid out in a way that"):
        Native(target.name, target.library, source_digest())


def native_target() -> Target:
    return next(target for target in TARGETS if target.name in POSSIBLE)


@pytest.mark.processes
@pytest.mark.parametrize("asked", ["reference", "avx", ""])
def test_a_process_takes_what_its_environment_asks_for(asked: str) -> None:
    program = "from broker.arithmetic.chosen import kernels, why_not_fast; print(kernels.name, why_not_fast())"
    environment = os.environ | {"FORETELL_KERNELS": asked}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    if asked == "reference":
        assert done.stdout == "reference \n"
    elif asked:
        assert "UserError: FORETELL_KERNELS=avx: expected one of" in done.stderr
    else:
        assert done.stdout == f"{POSSIBLE[0]} \n"
