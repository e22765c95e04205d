"""What is kept for a later life is what comes back, or it is refused."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from broker.errors import CheckpointDamaged
from broker.participants.checkpoint import FileCheckpoints, MemoryCheckpoints, State
from broker.participants.life import ParticipantLife, begin_life
from broker.participants.link import LifeConfig
from broker.wire.records import EdgeRecord, FaultCount

ARRAYS = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "steps": np.array([3, 4], np.int64),
    "odd": np.array([np.nextafter(np.float32(1), np.float32(2)), -0.0], np.float32),
}
FACTS = {"edges": {"agent-1": {"missed": [[3, 1]]}}}


@pytest.fixture(params=["memory", "files"])
def checkpoints(request, tmp_path):
    return MemoryCheckpoints() if request.param == "memory" else FileCheckpoints(tmp_path / "agent-0")


def files(tmp_path):
    return FileCheckpoints(tmp_path / "agent-0")


def test_a_state_comes_back_bit_for_bit(checkpoints):
    checkpoints.write(7, State(ARRAYS, FACTS))
    found = checkpoints.read(7)
    assert found.facts == FACTS
    assert {name: (array.dtype, array.shape, array.tobytes()) for name, array in found.arrays.items()} == {
        name: (array.dtype, array.shape, array.tobytes()) for name, array in ARRAYS.items()
    }


def test_what_changes_later_changes_no_checkpoint(checkpoints):
    weights = np.zeros(3, np.float32)
    checkpoints.write(0, State({"weights": weights}, {}))
    weights += 1
    assert not checkpoints.read(0).arrays["weights"].any()


def test_a_state_may_be_empty(checkpoints):
    checkpoints.write(0, State())
    assert checkpoints.read(0) == State()


def test_old_ones_can_be_forgotten(checkpoints):
    for episode in (4, 9, 14):
        checkpoints.write(episode, State(ARRAYS, FACTS))
    checkpoints.prune(9)
    assert checkpoints.intact() == {9, 14}


def test_those_of_a_life_that_is_over_can_be_forgotten(checkpoints):
    for episode in (4, 9, 14):
        checkpoints.write(episode, State(ARRAYS, FACTS))
    checkpoints.forget_after(4)
    assert checkpoints.intact() == {4}


def test_one_that_was_never_written_is_refused(checkpoints):
    assert checkpoints.intact() == set()
    with pytest.raises(CheckpointDamaged):
        checkpoints.read(3)


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "missing"])
def test_a_damaged_file_is_refused_and_the_one_before_it_is_still_good(tmp_path, suffix, harm):
    for episode in (4, 9):
        files(tmp_path).write(episode, State(ARRAYS, FACTS))
    path = tmp_path / "agent-0" / f"episode-00000009.{suffix}"
    content = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes({"cut": content[:-9], "flip": content, "empty": b""}[harm])
    with pytest.raises(CheckpointDamaged, match=r"episode-00000009\.json cannot be used: .+"):
        files(tmp_path).read(9)
    assert files(tmp_path).intact() == {4}


def test_any_flipped_byte_is_noticed(tmp_path):
    files(tmp_path).write(0, State({"weights": ARRAYS["weights"]}, {}))
    for path in sorted((tmp_path / "agent-0").iterdir()):
        content = path.read_bytes()
        for position in range(len(content)):
            path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
            assert files(tmp_path).intact() == set(), (path, position)
        path.write_bytes(content)
    assert files(tmp_path).intact() == {0}


def test_another_version_is_named(tmp_path):
    files(tmp_path).write(0, State())
    path = tmp_path / "agent-0" / "episode-00000000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    with pytest.raises(CheckpointDamaged, match="expected version 1, found 99"):
        files(tmp_path).read(0)


def test_a_crash_while_writing_leaves_what_was_there(tmp_path, monkeypatch):
    """Whatever the moment: after any number of renames."""
    files(tmp_path).write(4, State(ARRAYS, FACTS))

    class PowerLost(Exception):
        pass

    for survived in range(2):
        left = survived

        def replace(source, target, *, really=os.replace):
            nonlocal left
            if left == 0:
                raise PowerLost
            left -= 1
            return really(source, target)

        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr("pathlib.Path.replace", replace)
        with pytest.raises(PowerLost):
            files(tmp_path).write(9, State(ARRAYS, FACTS))
        assert files(tmp_path).intact() == {4}
    monkeypatch.undo()
    files(tmp_path).write(9, State(ARRAYS, FACTS))
    assert files(tmp_path).intact() == {4, 9}


def test_what_was_counted_before_is_counted_on():
    counted = (EdgeRecord("a", "b", sent=3, lost=1), FaultCount("drop", "a", "b", 7, 2))
    checkpoints = MemoryCheckpoints()
    ParticipantLife(0, checkpoints).keep(5, State(ARRAYS, FACTS), counted)
    life, state = begin_life(LifeConfig(incarnation=1, after_episode=5), checkpoints)
    assert (life.incarnation, life.counted, state.facts["edges"]) == (1, counted, FACTS["edges"])


def test_a_first_life_begins_without_a_state(tmp_path):
    life, state = begin_life(LifeConfig(checkpoints=tmp_path))
    assert (life.incarnation, life.counted, state) == (0, (), None)
