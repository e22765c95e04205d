"""Draws by name: the same on every machine, in every process, for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from broker_toys import property_test
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from broker.seeding import choice, derive, generator, uniform

seeds = st.integers(-(2**63), 2**63)
names = st.lists(st.text(max_size=8) | st.integers(), max_size=4).map(tuple)


@property_test
@given(seeds, names)
def test_equal_names_give_equal_draws(seed, name):
    assert derive(seed, *name) == derive(seed, *name)
    assert uniform(seed, *name) == uniform(seed, *name)
    assert generator(seed, *name).bytes(32) == generator(seed, *name).bytes(32)


@property_test
@given(seeds, names, seeds, names)
def test_different_names_give_different_draws(seed, name, other_seed, other_name):
    if (seed, *map(str, name)) != (other_seed, *map(str, other_name)):
        assert derive(seed, *name) != derive(other_seed, *other_name)
        assert generator(seed, *name).bytes(16) != generator(other_seed, *other_name).bytes(16)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a",), ("a", "")),
        ((), ("",)),
        (("a", "b"), ("b", "a")),
        (("a", 1, 23), ("a", 12, 3)),
        (("agent-1", 0), ("agent-10",)),
        (("\u00fc",), ("u\u0308",)),
        ((-1,), (1,)),
    ],
)
def test_names_cannot_be_mixed_up(one, other):
    assert derive(1, *one) != derive(1, *other)


def test_the_seed_is_not_mixed_up_with_the_name():
    assert derive(1, 2, "x") != derive(12, "x")
    assert derive(1, "x") != derive(2, "x")


def test_a_number_and_its_text_are_one_name():
    assert derive(5, "episode", 1) == derive(5, "episode", "1")


@property_test
@given(seeds, names)
def test_a_uniform_draw_lies_in_the_half_open_unit_interval(seed, name):
    assert 0.0 <= uniform(seed, *name) < 1.0


@property_test
@given(st.integers(1, 1000), seeds, names)
def test_a_choice_is_an_index(count, seed, name):
    assert choice(count, seed, *name) in range(count)


def test_uniform_draws_are_uniform_and_uncorrelated():
    draws = np.array([uniform(3, "test", number) for number in range(5000)])
    assert stats.kstest(draws, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.05


def test_choices_are_equally_likely():
    counts = np.bincount([choice(7, 3, number) for number in range(7000)], minlength=7)
    assert stats.chisquare(counts).pvalue > 0.01


def test_neighboring_generators_do_not_overlap():
    streams = {episode: generator(0, "episode", episode).bytes(800) for episode in range(20)}
    chunks = {stream[at : at + 8] for stream in streams.values() for at in range(0, 800, 8)}
    assert len(chunks) == 20 * 100


GOLDEN = (
    6861102590469786802,
    16382642265938171272,
    5304871326508701228,
    [0.1723673735475716, 0.471796418014518, 0.69974419767279],
    0.8254822772343913,
    [2687292414, 2923987644, 2325157324],
    [0.6807939253341602, 0.9557877947905491],
)


def drawn():
    return (
        derive(0, "agent-3", 7),
        derive(42),
        derive(-1, "\u00fc"),
        [uniform(1, "u", number) for number in (0, 1, 3)],
        uniform(1, "fault", "drop", "agent-0", "agent-1", "share", 3, 2, 0, 0),
        generator(7, "episode", 0).integers(1 << 32, size=3).tolist(),
        generator(7, "episode", 0).random(2).tolist(),
    )


def test_golden_draws_never_change():
    assert drawn() == GOLDEN


@pytest.mark.processes
@pytest.mark.parametrize("hash_seed", ["0", "1234"])
def test_draws_do_not_depend_on_the_hash_seed_of_a_process(hash_seed):
    folders = [str(folder) for folder in Path(__file__).parents[:2]]  # last: a folder of tests is called broker, too
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path += {folders}; import test_seeding; print(test_seeding.drawn())"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(GOLDEN)
