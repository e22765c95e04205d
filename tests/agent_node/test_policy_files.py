"""What a saved policy is called, in one place for those who write, train on, evaluate, export and only act."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from agent_node.policy_document import NetworkLayout
from agent_node.policy_files import DOCUMENT, cut, holds_policy, joined, layers_in, names_of_layers, place_of_policy
from broker.arithmetic.sizes import Sizes

ROOT = Path(__file__).parents[2]
SIZES = Sizes(3, (5, 4), 2)


def test_a_network_that_was_cut_into_arrays_is_joined_to_the_same_parameters():
    parameters = np.arange(SIZES.size, dtype=np.float32)
    arrays = cut("a/critic", SIZES, parameters)
    assert list(arrays) == names_of_layers("a/critic", 2)
    assert [array.shape for array in arrays.values()] == [(3, 5), (5,), (5, 4), (4,), (4, 2), (2,)]
    assert joined("a/critic", 2, arrays).tolist() == parameters.tolist()
    for ours, theirs in zip(layers_in("a/critic", 2, arrays), SIZES.layers_of(parameters), strict=True):
        assert all(map(np.array_equal, ours, theirs))
    with pytest.raises(KeyError, match="a/critic/2/bias"):
        joined("a/critic", 2, {name: array for name, array in arrays.items() if name != "a/critic/2/bias"})


def test_a_policys_document_says_the_sizes_that_arithmetic_takes():
    assert NetworkLayout(inputs=3, hidden=(5, 4), outputs=2).sizes == SIZES


def test_the_folder_of_a_run_stands_for_the_policy_in_it_and_a_policys_for_itself(tmp_path):
    assert place_of_policy(tmp_path) == tmp_path
    (tmp_path / "policy").mkdir()
    assert place_of_policy(tmp_path) == tmp_path / "policy"
    assert not holds_policy(tmp_path / "policy")
    (tmp_path / "policy" / DOCUMENT).touch()
    assert holds_policy(tmp_path / "policy")


def test_what_a_policys_document_and_arrays_are_called_stands_in_one_file():
    knowing = set()
    for package in ("agent_node", "scenarios"):
        for path in (ROOT / package).rglob("*.py"):
            text = {each.value for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Constant)}
            if text & {"policy.json", "/weight", "/actor/", "/critic", "/estimator/"}:
                knowing.add(path.relative_to(ROOT).as_posix())
    assert knowing == {"agent_node/policy_files.py"}
