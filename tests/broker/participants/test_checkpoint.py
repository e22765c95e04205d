"""What is kept for a later life is what comes back, or it is refused."""

from __future__ import annotations

import contextlib
import json
import os

import numpy as np
import pytest

from broker.errors import CheckpointDamaged, UserError
from broker.participants.checkpoint import FileCheckpoints, State
from broker.participants.life import ParticipantLife, begin_life
from broker.participants.link import LifeConfig
from broker.wire.messages import first_number
from broker.wire.records import EdgeRecord, FaultCount

ARRAYS = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "steps": np.array([3, 4], np.int64),
    "odd": np.array([np.nextafter(np.float32(1), np.float32(2)), -0.0], np.float32),
}
FACTS = {"edges": {"agent-1": {"missed": [[3, 1]]}}}


@pytest.fixture
def checkpoints(tmp_path):
    return files(tmp_path)


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
            with contextlib.suppress(UserError):  # it seems to be of another version
                assert files(tmp_path).intact() == set(), (path, position)
        path.write_bytes(content)
    assert files(tmp_path).intact() == {0}


def test_one_of_another_version_is_named_and_never_taken_for_a_damaged_one(tmp_path):
    for episode in (0, 4):
        files(tmp_path).write(episode, State())
    path = tmp_path / "agent-0" / "episode-00000004.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 99}))
    sentence = (
        f"{path} is a checkpoint of version 99, and this Foretell reads version 2: "
        "use the Foretell that made it, or run its scenario again into another folder"
    )
    for ask in (lambda: files(tmp_path).read(4), lambda: files(tmp_path).intact()):
        with pytest.raises(UserError) as caught:
            ask()
        assert str(caught.value) == sentence


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


def test_what_was_counted_before_is_counted_on(checkpoints):
    counted = (EdgeRecord("a", "b", sent=3, lost=1), FaultCount("drop", "a", "b", 7, 2))
    ParticipantLife(0, checkpoints).keep(5, State(ARRAYS, FACTS), counted, {"b": 7}, due=True)
    life, state = begin_life(LifeConfig(incarnation=1, after_episode=5), checkpoints)
    assert (life.incarnation, life.counted, state.facts["edges"]) == (1, counted, FACTS["edges"])


def test_numbers_begin_beyond_those_of_earlier_lives_or_go_on_where_nothing_of_these_is_under_way(checkpoints):
    ParticipantLife(0, checkpoints).keep(5, State(ARRAYS, FACTS), (), {"b": 7}, due=True)
    alone, _ = begin_life(LifeConfig(incarnation=1, after_episode=5), checkpoints)
    assert (alone.numbers["b"], alone.numbers["c"]) == (first_number(1), first_number(1))
    together, _ = begin_life(LifeConfig(incarnation=1, after_episode=5), checkpoints, together=True)
    assert (together.numbers["b"], together.numbers["c"]) == (7, 0)


def test_a_first_life_begins_without_a_state(tmp_path):
    life, state = begin_life(LifeConfig(checkpoints=tmp_path))
    assert (life.incarnation, life.counted, state) == (0, (), None)


def test_the_states_of_the_last_two_episodes_are_written_when_a_participant_is_asked_to_end(checkpoints):
    life = ParticipantLife(0, checkpoints)
    weights = np.zeros(2, np.float32)
    for episode in range(8):
        weights += 1
        life.keep(episode, State({"weights": weights}, {}), (), {}, due=episode == 4)
    assert checkpoints.intact() == {4}, "those that are not due cost no disk"
    life.leave()
    assert checkpoints.intact() == {4, 6, 7}
    assert [checkpoints.read(episode).arrays["weights"][0] for episode in (6, 7)] == [7, 8]


def test_a_state_that_found_no_room_when_it_was_due_is_tried_again_at_the_end(checkpoints, tmp_path):
    (tmp_path / "agent-0").write_text("no folder")
    life = ParticipantLife(0, checkpoints)
    with pytest.raises(OSError, match="exists"):
        life.keep(4, State(), (), {}, due=True)
    (tmp_path / "agent-0").unlink()
    life.leave()
    assert checkpoints.intact() == {4}


def test_whoever_keeps_no_checkpoints_holds_none():
    life = ParticipantLife()
    life.keep(4, State(ARRAYS, FACTS), (), {}, due=True)
    life.leave()
