"""Where two runs part."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from replay_cases import JOURNALED, journaled
from runs import start, summary

from agent_node.learning.networks import Stack
from broker.errors import UserError
from scenarios.commands.main import foretell as commands
from scenarios.replay.comparing.by_episode import ByEpisode
from scenarios.replay.comparing.parting import compare

ONE_SHARE = (
    'faults=[{kind="drop",probability=1.0,messages=["share"],edges=["agent-1->agent-2"],rounds=[1,2],episodes=[1,2]}]'
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run without faults, for tests that only look at it."""
    return journaled(tmp_path_factory.mktemp("plain") / "run")


def without_journals(run, out):
    """A copy of a run that kept none."""
    shutil.copytree(run, out)
    shutil.rmtree(out / "journal")
    return out


def test_two_runs_of_one_scenario_are_the_same_with_all_their_arrays(tmp_path, plain):
    again = journaled(tmp_path / "again")
    found = compare(plain, again)
    assert not found.parts
    messages = 3 * (2 * 6 * 3 + 3 * 3 * 2)  # per episode: timesteps and answers; rounds of three agents, two neighbors
    assert found.sentence == (
        f"{plain} and {again} are the same: 3 episodes with all numbers, fates and returns, {messages} messages with "
        "all arrays."
    )
    assert found.notes == ()


@pytest.mark.parametrize(("after", "parts"), [(2, True), (0, False)])
def test_weights_are_compared_where_they_were_kept_after_the_same_episode(tmp_path, plain, after, parts):
    other = without_journals(plain, tmp_path / "other")
    path = other / "policy" / "policy.json"
    document = json.loads(path.read_text())
    document["agents"]["agent-1"] |= {"after_episode": after, "weights_digest": "0" * 64}
    path.write_text(json.dumps(document))
    assert compare(plain, other).parts is parts


def test_journals_change_nothing(tmp_path, plain):
    without = journaled(tmp_path / "without", "transport.journal=false")
    assert not (without / "journal").exists()
    digests = ("curve_digest", "weights_digest", "ledger_digest")
    assert [summary(plain)[each] for each in digests] == [summary(without)[each] for each in digests]
    assert not compare(plain, without).parts


@pytest.mark.parametrize("journals", [True, False])
def test_one_share_that_was_dropped_is_named_whichever_run_comes_first(tmp_path, plain, journals):
    dropped = journaled(tmp_path / "dropped", ONE_SHARE)
    whole = plain if journals else without_journals(plain, tmp_path / "plain")
    for pair in ((whole, dropped), (dropped, whole)):
        found = compare(*pair)
        assert found.parts
        assert found.sentence == (
            f"The share of round 1 of episode 1 from agent-1 to agent-2 was dropped by the fault 'drop' in {dropped}, "
            f"and not in {whole}."
        )
        missing = () if journals else (f"no journals in {whole}: arrays were not compared (transport.journal = true)",)
        assert found.notes == ("their documents differ in faults", *missing)


def changed(run, out, *statements):
    """A copy of a run with another store."""
    shutil.copytree(run, out)
    with closing(sqlite3.connect(out / "run.sqlite")) as store, store:
        for statement in statements:
            assert store.execute(statement).rowcount > 0
    return out


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A run whose shares of the last round are held beyond it, beyond the end in the last episode."""
    delay = 'faults=[{kind="delay",delay_s={distribution="constant",value_s=1.7},rounds=[2,3]}]'
    return journaled(tmp_path_factory.mktemp("held") / "run", delay, "exchange.patience_s=0.5")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE endings SET fate = 'late' WHERE fate = 'expired'",
        "UPDATE endings SET fate = 'expired' WHERE fate = 'late'",
        "UPDATE endings SET fate = 'rejected' WHERE fate = 'expired'",
        "DELETE FROM endings WHERE fate IN ('late', 'expired')",
    ],
)
def test_how_a_share_ended_that_nobody_heard_in_time_is_left_to_the_clock(tmp_path, held, change):
    other = changed(held, tmp_path / "other", change)
    for pair in ((held, other), (other, held)):
        assert not compare(*pair).parts


def test_a_share_that_was_heard_in_one_run_alone_is_named(tmp_path, plain):
    late = "INSERT INTO endings VALUES ('agent-0', 'agent-1', 'share', 1, 2, 0, 'late', '')"
    heard = "UPDATE rounds SET heard = 1 WHERE agent = 'agent-1' AND episode = 1 AND round = 2"
    other = changed(plain, tmp_path / "other", late, heard)
    for pair in ((plain, other), (other, plain)):
        assert compare(*pair).sentence == (
            f"The share of round 2 of episode 1 from agent-0 to agent-1 was late in {other}, and not in {plain}."
        )


def test_where_as_many_were_heard_of_others_the_share_is_named(tmp_path, plain):
    heard = "UPDATE rounds SET heard = 1 WHERE agent = 'agent-0' AND episode = 1 AND round = 2"
    of_1, of_2 = (
        f"INSERT INTO endings VALUES ('agent-{number}', 'agent-0', 'share', 1, 2, 0, 'late', '')" for number in (1, 2)
    )
    one, other = changed(plain, tmp_path / "one", of_1, heard), changed(plain, tmp_path / "other", of_2, heard)
    assert compare(one, other).sentence == (
        f"The share of round 2 of episode 1 from agent-1 to agent-0 was late in {one}, and not in {other}."
    )


def test_other_arithmetic_is_found_in_the_first_array_that_shows_it(tmp_path, plain, monkeypatch):
    descend = Stack.descend

    def otherwise(self, *arguments, **named):
        finite = descend(self, *arguments, **named)
        self.parameters *= np.float32(1 + 2**-20)  # as another order of a sum would have it
        return finite

    monkeypatch.setattr(Stack, "descend", otherwise)
    other = journaled(tmp_path / "other")
    found = compare(plain, other)
    expected = (
        r"The share of round 1 of episode 0 from agent-0 to agent-1 differs in the array 'policy'\[\d+, \d+\]: "
        rf"0\.\d+ and 0\.\d+ \(\d+ of \d+ numbers differ\), in {plain} and {other}\."
    )
    assert re.fullmatch(expected, found.sentence)
    unknown = compare(without_journals(plain, tmp_path / "a"), without_journals(other, tmp_path / "b"))
    expected = r"critic_loss of agent-0 in round 1 of episode 0 is [\d.]+ in .*/a, and [\d.]+ in .*/b\."
    assert re.fullmatch(expected, unknown.sentence)


def test_runs_of_other_lengths_are_the_same_as_far_as_both_go(tmp_path, plain):
    short = journaled(tmp_path / "short", episodes=2)
    found = compare(short, plain)
    assert found.sentence == f"{short} has 2 episodes and {plain} 3; all that both have is the same."
    assert found.notes == ("their documents differ in episodes",)


def test_where_files_lie_is_no_difference_of_documents(tmp_path, plain):
    for name in ("here", "there"):
        shutil.copytree(plain, tmp_path / name)
        with (tmp_path / name / "scenario.toml").open("a", encoding="utf-8") as document:
            document.write(f'[initial_policy]\npath = "{tmp_path / name}"\n')
    assert compare(tmp_path / "here", tmp_path / "there").notes == ()


def test_a_sentence_that_begins_with_a_folder_leaves_its_name_as_it_is(tmp_path, plain, monkeypatch):
    journaled(tmp_path / "short", episodes=2)
    monkeypatch.chdir(tmp_path)
    assert compare(Path("short"), plain).sentence.startswith("short has 2 episodes and ")


def test_runs_of_other_agents_are_told_apart_at_once(tmp_path, plain):
    four = journaled(tmp_path / "four", "environment.agents=4", episodes=1)
    sentence = compare(plain, four).sentence
    assert sentence.startswith(f"The agents are agent-0, agent-1, agent-2 in {plain}, and agent-0, ")


def test_another_seed_shows_in_what_the_environment_says_first(tmp_path, plain):
    other = journaled(tmp_path / "other", "seed=5", episodes=1)
    assert compare(plain, other).sentence.startswith(
        "The timestep of step 0 of episode 0 from environment to agent-0 differs in the array 'observation'["
    )


def test_the_command_ends_with_4_where_runs_part_and_with_nothing_where_they_do_not(tmp_path, plain, capsys):
    again = journaled(tmp_path / "again")
    commands(["diff", str(plain), str(again)], standalone_mode=False)
    assert "are the same: 3 episodes" in capsys.readouterr().out
    short = journaled(tmp_path / "short", episodes=1)
    with pytest.raises(SystemExit) as end:
        commands(["diff", str(plain), str(short)], standalone_mode=False)
    assert end.value.code == 4
    assert capsys.readouterr().out.endswith("(their documents differ in episodes)\n")
    with pytest.raises(UserError, match="holds no run"):
        commands(["diff", str(plain), str(tmp_path)], standalone_mode=False)


@pytest.mark.processes
def test_a_run_of_processes_that_were_killed_is_the_same_as_a_simulation(tmp_path):
    crash = 'faults=[{kind="crash",participants=["agent-1"],at_episodes=[2]}]'
    out, arguments = tmp_path / "run", ("--episodes", "4", "--set", "recovery.checkpoint_every=1", "--set", crash)
    with start("run", *JOURNALED, *arguments, "--out", str(out)) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    found = compare(journaled(tmp_path / "plain", "recovery.checkpoint_every=1", episodes=4), out)
    assert not found.parts
    assert found.notes == ("their documents differ in faults", "ways: simulate, run")


def test_what_comes_by_episode_is_taken_by_episode():
    items = ByEpisode(iter([(0, "a"), (0, "b"), (2, "c"), (3, "d"), (5, "e")]))
    assert [items.take(episode) for episode in (0, 1, 2, 4, 5, 6)] == [["a", "b"], [], ["c"], [], ["e"], []]
