"""An agent run again alone, from its journal."""

from __future__ import annotations

import io
import json

import pytest
from replay_cases import AGENTS, JOURNALED, ROUGH, journaled
from runs import start

from agent_node.build import make_agent
from agent_node.registry import BUILT_IN
from broker.errors import UserError
from broker.transports.journal import Journal, Told, read_journal
from scenarios.commands.main import foretell as commands
from scenarios.replay import replayed_life
from scenarios.replay.replay import replay
from scenarios.replay.watched_learner import Goal


@pytest.fixture(scope="module")
def rough(tmp_path_factory):
    """A run with faults, for tests that only look at it."""
    return journaled(tmp_path_factory.mktemp("rough") / "run", ROUGH)


def weights_of(out):
    """What the run says of its agents' weights."""
    return {
        agent: about["weights_digest"]
        for agent, about in json.loads((out / "policy" / "policy.json").read_text())["agents"].items()
    }


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_an_agent_run_again_alone_says_the_same_and_comes_to_the_same_weights_in_spite_of_faults(tmp_path, algorithm):
    out = journaled(tmp_path / "run", ROUGH, f"algorithm.name={algorithm}", episodes=2)
    for agent, digest in weights_of(out).items():
        found = replay(out, agent)
        assert (found.parted, found.failure, found.closed) == ("", "", True)
        assert (found.digest, found.recorded_digest) == (digest, digest)
        assert found.rounds == 6
        assert found.sent > found.rounds
        assert found.same


def test_stale_parameters_random_partners_and_other_paces_are_replayed_too(tmp_path):
    settings = ("algorithm.name=policy-sharing", "exchange.late_shares=reuse", "exchange.mode=random-partner")
    out = journaled(tmp_path / "run", ROUGH, *settings)
    assert replay(out, "agent-1").same
    assert replay(out, "agent-1").digest == weights_of(out)["agent-1"]


def test_a_replay_to_a_round_ends_with_the_weights_of_a_run_that_ended_there(tmp_path, rough):
    short = journaled(tmp_path / "short", ROUGH, episodes=2)
    found = replay(rough, "agent-2", Goal(1))
    assert found.reached.digest == weights_of(short)["agent-2"]
    assert found.rounds == 6
    assert set(found.reached.losses) == {"critic_loss", "gain", "penalty"}
    earlier = replay(rough, "agent-2", Goal(1, 0))
    assert earlier.rounds == 4
    assert earlier.reached.digest != found.reached.digest


def test_a_run_that_was_resumed_for_more_episodes_is_replayed_to_the_last_of_them(tmp_path):
    out = journaled(tmp_path / "run", ROUGH, episodes=2)
    commands(["resume", str(out), "--episodes", "3"], standalone_mode=False)
    found = replay(out, "agent-0", Goal(2))
    assert (found.lives, found.rounds) == (2, 9)
    assert found.reached.digest == weights_of(out)["agent-0"]


def test_somebody_may_look_in_before_a_round_closes(rough):
    seen = []
    replay(rough, "agent-0", Goal(2, 1), lambda: seen.append("2/1"))
    found = replay(rough, "agent-0", None, lambda: seen.append("first"))
    assert seen == ["2/1", "first"]
    assert found.digest == weights_of(rough)["agent-0"]


def test_the_debugger_opens_where_shares_can_be_looked_at(rough, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("p 'shares of', sorted(shares), self._number\nc\n"))
    commands(["replay", str(rough), "agent-0", "--until", "0/2", "--debug"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "('shares of', [" in said
    assert "], 2)" in said
    assert "losses of the round: " in said
    commands(["replay", str(rough), "agent-0", "--debug"], standalone_mode=False)  # nobody answers any more
    assert "left in the debugger" in capsys.readouterr().out


def test_an_agent_that_would_say_something_else_now_is_found_by_message_and_array(rough, monkeypatch, capsys):
    def changed(config, *arguments):
        learning = config.learning.model_copy(update={"actor_learning_rate": 0.5})
        return make_agent(config.model_copy(update={"learning": learning}), *arguments)

    monkeypatch.setattr(replayed_life, "make_agent", changed)
    found = replay(rough, "agent-0")
    assert found.parted.startswith("the share of round 1 of episode 0 from agent-0 to agent-")
    assert "differs in the array 'policy'[0, 0]: 0." in found.parted
    assert not found.same
    with pytest.raises(SystemExit) as end:
        commands(["replay", str(rough), "agent-0"], standalone_mode=False)
    assert end.value.code == 4
    assert "it differs from the run: the share of round 1" in capsys.readouterr().out


def test_the_journal_of_a_run_that_was_cut_off_is_played_as_far_as_it_is_whole(tmp_path):
    out = journaled(tmp_path / "run", ROUGH)
    path = out / "journal" / "agent-1.journal"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = replay(out, "agent-1")
    assert (found.closed, found.parted) == (False, "")
    assert 0 < found.rounds < 9
    assert found.digest == ""
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(UserError, match="has no journal of agent-1"):
        replay(out, "agent-1")


def test_what_cannot_be_replayed_is_a_sentence(tmp_path, rough):
    plain = journaled(tmp_path / "plain", "transport.journal=false", episodes=1)
    for name, arguments, sentence in (
        (plain, ("agent-0",), "has no journal of agent-0: expected a run with transport.journal = true"),
        (rough, ("agent-7",), "expected an agent of .*, one of agent-0, agent-1, agent-2; found 'agent-7'"),
        (rough, ("agent-0", Goal(3)), "expected an episode below 3 and a round below 3, found 3"),
        (rough, ("agent-0", Goal(0, 3)), "found 0/3"),
        (tmp_path, ("agent-0",), "holds no run"),
    ):
        with pytest.raises(UserError, match=sentence):
            replay(name, *arguments)
    (plain / "hosts.json").write_text("{}")
    with pytest.raises(UserError, match="copy them from journal/ of the run on its hosts"):
        replay(plain, "agent-0")
    with pytest.raises(Exception, match="expected EPISODE or EPISODE/ROUND, such as 4/1, found '1/x'"):
        commands(["replay", str(rough), "agent-0", "--until", "1/x"], standalone_mode=False)


def test_a_journal_whose_agent_was_told_something_unknown_names_the_version_that_wrote_it(tmp_path):
    out = journaled(tmp_path / "run", episodes=1)
    path = out / "journal" / "agent-0.journal"
    entries = list(read_journal(path))
    journal = Journal(path, "agent-0")
    for entry in entries[1:]:
        journal.write(Told(entry.slice.replace('"gamma"', '"gama"')) if isinstance(entry, Told) else entry)
    journal.close()
    with pytest.raises(UserError, match=r"agent-0.journal was written by Foretell [\d.]+, .*: learning.gama: Extra"):
        replay(out, "agent-0")


@pytest.mark.processes
def test_an_agent_that_was_killed_in_a_run_of_processes_is_replayed_through_all_its_lives(tmp_path):
    faults = (
        'faults=[{kind="drop",probability=0.1},{kind="crash",participants=["agent-1"],at_episodes=[3]},'
        '{kind="crash",name="all",participants=["*"],at_episodes=[6]}]'
    )
    settings = (faults, "recovery.checkpoint_every=2", "recovery.on_crash=restart", "exchange.patience_s=0.1")
    assignments = [word for setting in settings for word in ("--set", setting)]
    out = tmp_path / "run"
    with start("run", *JOURNALED, "--episodes", "8", *assignments, "--out", str(out)) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert len(list((out / "journal").iterdir())) == 3 * (1 + len(AGENTS))
    for agent, found in {agent: replay(out, agent) for agent in AGENTS}.items():
        assert (found.lives, found.parted, found.digest) == (3, "", weights_of(out)[agent])
    (out / "journal" / "agent-1.journal").unlink()
    with pytest.raises(UserError, match="cannot replay life 1 of agent-1: it goes on after episode 1, and neither"):
        replay(out, "agent-1")


@pytest.mark.processes
def test_a_replay_leaves_the_run_as_it_is(tmp_path):
    out = tmp_path / "run"
    with start("run", *JOURNALED, "--episodes", "2", "--out", str(out)) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert replay(out, "agent-2").same
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
