"""The rule by which the length of full-size runs is decided: `tools/settled.py`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

_SPEC = importlib.util.spec_from_file_location("settled", Path(__file__).parent.parent / "tools" / "settled.py")
settled = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(settled)


def test_a_line_changes_by_a_fifth_of_its_rise_and_a_flat_curve_by_nothing():
    line = (np.arange(100) + 0.5) / 100
    assert settled.change(line, 1.0) == pytest.approx(0.2)
    assert settled.change(line, 0.4) == pytest.approx(0.08)
    assert settled.change(np.ones(100), 1.0) == 0


def test_what_comes_after_a_length_does_not_count_there():
    curve = np.concatenate([np.zeros(60), np.linspace(0, 1, 40)])
    assert settled.change(curve, 0.6) == 0
    assert settled.change(curve, 1.0) > 0.4


def test_a_task_has_settled_at_the_least_length_at_which_no_group_changes():
    changes = {4000: {"a": 0.001, "b": -0.02}, 6000: {"a": 0.009, "b": -0.009}, 8000: {"a": 0.0, "b": 0.0}}
    assert settled.settled(changes) == 6000
    assert settled.settled({4000: {"a": 0.01}}) is None
