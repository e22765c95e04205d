"""As what a run goes on, asked in one place for Python and all commands."""

from __future__ import annotations

import re

import pytest

from broker.errors import UserError
from scenarios.document.loading import load_scenario
from scenarios.results.folder import RunFolder
from scenarios.results.going_on import begun_as
from scenarios.results.store import Store


def folder_of(root, substrate):
    folder = RunFolder(root)
    store = Store(folder.store, ("agent-0",))
    if substrate is not None:
        store.begin(load_scenario("exchange-quick", {}), substrate)
    store.close()
    return folder


@pytest.mark.parametrize("substrate", ["simulate", "run"])
def test_a_run_goes_on_as_what_it_was_begun_as(tmp_path, substrate):
    folder = folder_of(tmp_path, substrate)
    assert begun_as(folder, None) == begun_as(folder, substrate) == substrate


def test_a_run_that_was_begun_as_another_than_is_wanted_is_refused_with_the_command_that_goes_on(tmp_path):
    sentence = f"{tmp_path} was begun with `foretell simulate`: go on with `foretell resume {tmp_path}`"
    with pytest.raises(UserError, match=re.escape(sentence)):
        begun_as(folder_of(tmp_path, "simulate"), "run")


def test_a_run_that_was_killed_before_it_had_begun_goes_on_only_where_somebody_says_as_what(tmp_path):
    folder = folder_of(tmp_path, None)
    sentence = f"{tmp_path} was interrupted before the run had begun: begin it anew, with --out {tmp_path}"
    with pytest.raises(UserError, match=re.escape(sentence)):
        begun_as(folder, None)
    assert begun_as(folder, "run") == "run"
