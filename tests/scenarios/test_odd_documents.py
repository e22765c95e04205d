"""Documents as chance makes them: whatever they are, a command ends, with an exit code and in sentences.

`tools/try_documents.py` tries thousands; its output is docs/results/odd-documents.md.
"""

from __future__ import annotations

import shutil
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_documents import broken_text, mutated, nearly_toml, written
from odd_outcome import is_small, problem_of

from broker.errors import ForetellError
from scenarios.document.loading import load_scenario
from scenarios.trials.quiet_run import try_out

RANDOM = st.integers(0, 1 << 32).map(Random)
QUICK = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check(path, content):
    path.write_bytes(content)
    code, problem = problem_of("check", "--no-play", str(path))
    assert not problem
    return code


@pytest.mark.parametrize("make", [nearly_toml, broken_text], ids=lambda make: make.__name__)
@settings(QUICK, max_examples=100)
@given(random=RANDOM)
def test_check_ends_in_sentences_whatever_text_it_is_given(tmp_path, make, random):
    check(tmp_path / "odd.toml", make(random))


@pytest.mark.long
def test_what_passes_its_check_is_played_to_an_end_in_sentences(tmp_path):
    """Up to a hundred of them, by the same steps as `foretell simulate` but for the picture."""
    path, root, ends = tmp_path / "odd.toml", tmp_path / "run", Counter()
    said = []

    @settings(QUICK, max_examples=300)
    @given(random=RANDOM)
    def play(random):
        if check(path, written(mutated(random))) != 0 or not is_small(path) or ends.total() >= 100:
            return
        try:
            try_out(load_scenario(str(path), {"episodes": 1}), root)
        except ForetellError as error:
            said.append(str(error))
            ends["died"] += 1
        else:
            ends["done"] += 1
        finally:
            shutil.rmtree(root, ignore_errors=True)

    play()
    assert not [sentence for sentence in said if "\n" in sentence]
    assert ends.total() >= 50
    assert ends["done"] > ends["died"]
