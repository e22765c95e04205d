"""What a plan needs of a machine: said before anything is started, and open files are allowed as many as it takes."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from limits import LIMIT_S
from runs import TINY, command, simulate_here, summary

from broker.counting import shown_bytes
from broker.errors import UserError
from scenarios.commands.main import main
from scenarios.document.loading import load_scenario
from scenarios.document.needs import needs_of
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.running import machine
from scenarios.running.machine import Machine, files_needed, make_ready, missing, this_machine
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.processes.forked_nodes import ForkedNodes
from scenarios.trials.quiet_run import try_out

LARGE = Machine(1 << 60, 1 << 40, None)
RUN = ("exchange-quick", "--episodes", "2", *TINY, "--set", "environment.steps=3", "--set", "learning.rounds=1")


def planned(**settings):
    settings = {name.replace("__", "."): value for name, value in settings.items()}
    return make_plan(load_scenario("exchange-quick", settings))


def predators(number, **settings):
    ring = {"environment": {"kind": "predation", "agents": number}, "topology": {"kind": "ring"}}
    return make_plan(load_scenario("exchange-quick", ring | settings))


def lacks(plan, found, *, as_processes=True):
    return list(missing(plan, found, needs_of(plan), as_processes=as_processes))


def test_a_machine_that_has_all_misses_nothing():
    assert lacks(planned(), LARGE) == []
    assert lacks(planned(), this_machine()) == []


# Memory


def test_what_a_plan_needs_grows_with_its_networks_copies_and_agents():
    needs = [
        needs_of(planned(learning__hidden=[8])),
        needs_of(planned(learning__hidden=[800])),
        needs_of(planned(learning__hidden=[800], parallel_episodes=400)),
        needs_of(planned(learning__hidden=[800], parallel_episodes=400, environment__agents=4)),
    ]
    sizes = [each.in_all for each in needs]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == len(sizes)
    assert needs[0].by_participant.keys() == {"environment", "agent-0", "agent-1", "agent-2"}
    assert needs[0].in_all == sum(needs[0].by_participant.values())


def test_no_catalogue_scenario_is_said_to_need_more_than_a_small_computer_has():
    from scenarios.document.loading import catalogue_names

    for name in catalogue_names():
        if "mpe2" not in name and "vmas" not in name:
            assert needs_of(make_plan(load_scenario(name))).in_all < 2e9, name


def test_at_least_the_parameters_and_what_adam_keeps_are_counted():
    units, least = 8_000_000_000, {"parallel_episodes": 1, "environment__steps": 1}
    needs = needs_of(planned(learning__hidden=[units], **least))
    inputs, networks = planned().observation_size, 3 + 1
    assert needs.by_participant["agent-0"] > 3 * 4 * networks * units * inputs


def test_memory_that_is_missing_is_said_with_both_numbers_and_who_needs_most():
    (said,) = lacks(planned(learning__hidden=[1000, 1000]), Machine(1_000_000, 1 << 40, None))
    assert said.startswith("the participants need at least ")
    assert " agent-0 alone " in said
    assert "this machine has 1 MB" in said


def test_bytes_are_shown_in_few_digits():
    assert [shown_bytes(number) for number in (0, 999, 1000, 23_456_789, 10**15)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "23.5 MB",
        "1 PB",
    ]


@pytest.mark.parametrize("command", ["check", "simulate", "run"])
def test_networks_that_no_machine_can_hold_are_refused_before_a_folder_is_made(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["foretell", command, "exchange-quick", "--set", "learning.hidden=[8000000000]"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("foretell: the participants need at least ")
    assert "this machine has" in said
    assert not Path("runs").exists()


def test_a_check_says_what_is_missing_here_of_a_plan_for_many_machines(monkeypatch, capsys):
    needs = needs_of(planned())
    small = Machine(needs.by_participant[needs.largest], 10, 5)
    monkeypatch.setattr("scenarios.commands.check.this_machine", lambda: small)
    monkeypatch.setattr(sys, "argv", ["foretell", "check", "exchange-quick"])
    main()
    shown = capsys.readouterr().out
    notes = [line for line in shown.splitlines() if line.startswith("# note: ")]
    assert ["of memory" in notes[0], "open files" in notes[1], "processes and threads" in notes[2]] == [True] * 3
    assert f"# memory: at least {shown_bytes(needs.in_all)}" in shown
    assert "# as processes: 20 connections, at most 48 open files in one (the launcher)" in shown


# Open files and processes


def test_every_process_may_open_files_for_all_it_speaks_to():
    assert files_needed(predators(130), as_processes=True) == 64 + 8 * 131
    assert files_needed(predators(130), as_processes=False) == 64
    assert files_needed(predators(130, **{"transport.journal": True}), as_processes=False) == 64 + 131


def test_what_is_missing_of_files_and_processes_is_said_with_both_numbers():
    said = lacks(predators(130), Machine(1 << 60, 1024, 500))
    assert "131 participants need 1112 open files in one process, and this machine allows 1024" in said[0]
    assert "131 participants need 802 processes and threads, and this machine allows 500 more" in said[1]
    assert lacks(predators(130), Machine(1 << 60, 1024, 500), as_processes=False) == []


@pytest.fixture
def few_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_of_open_files_is_raised_to_what_is_needed(few_files):
    make_ready(planned(), as_processes=True)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64 + 8 * 4, few_files)
    make_ready(planned(), as_processes=False)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64 + 8 * 4, few_files)


@pytest.mark.parametrize("peers", [3, 100])
def test_a_participant_that_is_started_by_hand_may_open_files_for_its_peers(few_files, peers):
    from broker.config import JoiningConfig, TransportConfig
    from broker.driving.interruption import Interruption
    from broker.driving.process import WRONG, take_part
    from broker.participants.link import LinkConfig

    def make(_state):
        raise UserError("no further")

    names = tuple(f"agent-{number}" for number in range(peers))
    link = LinkConfig(run="r", name="me", peers=names, seed=1, transport=TransportConfig(), joining=JoiningConfig())
    assert take_part(make, link, lambda _: None, Interruption()) == WRONG
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 64 + 8 * (peers + 1)


def test_a_trial_asks_the_machine_first(tmp_path):
    with pytest.raises(UserError, match=r"^the participants need at least "):
        try_out(load_scenario("exchange-quick", {"learning.hidden": [8_000_000_000]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def limited(limit, *words):
    """Run the command under a limit of the shell's."""
    said = ["bash", "-c", f'ulimit {limit} && exec "$@"', "bash", *command(*words)]
    return subprocess.run(said, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.mark.processes
@pytest.mark.long
def test_a_run_under_a_low_soft_limit_goes_to_its_end_with_the_same_digests(tmp_path):
    expected = simulate_here(tmp_path / "simulated", *RUN)
    done = limited("-Sn 40", "run", *RUN, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    found = summary(tmp_path / "run")
    assert (found["curve_digest"], found["weights_digest"]) == (expected["curve_digest"], expected["weights_digest"])


@pytest.mark.processes
@pytest.mark.parametrize("way", ["run", "simulate"])
def test_a_run_under_a_low_hard_limit_is_refused_in_a_sentence_at_once(tmp_path, way):
    done = limited("-n 50", way, *RUN, "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    needed = 96 if way == "run" else 64
    said = f"foretell: 4 participants need {needed} open files in one process, and this machine allows 50: raise "
    assert done.stderr.startswith(said), done.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A machine whose control groups are files of the test."""
    (tmp_path / "proc/self").mkdir(parents=True)
    monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")

    def write(line, **files):
        (tmp_path / "proc/self/cgroup").write_text(line)
        for name, content in files.items():
            path = tmp_path / "cgroup" / name.replace("__", "/").replace("_max", ".max").replace("_current", ".current")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return write


def test_the_narrowest_control_group_above_a_process_counts(groups):
    groups(
        "0::/a/b\n",
        a__pids_max="100\n",
        a__pids_current="40\n",
        a__b__pids_max="max\n",
        a__b__pids_current="4\n",
        a__memory_max="1000000\n",
        a__b__memory_max="max\n",
    )
    found = this_machine()
    assert found.memory_bytes == 1_000_000
    assert found.tasks is not None
    assert found.tasks <= 60


def test_control_groups_of_the_first_version_count_too(groups):
    groups("8:pids:/a\n4:memory:/nowhere\n", pids__a__pids_max="20\n", pids__a__pids_current="30\n")
    assert this_machine().tasks == 0


def test_a_machine_without_control_groups_has_what_the_system_says(groups):
    assert this_machine().memory_bytes > 1 << 28


@pytest.mark.processes
@pytest.mark.parametrize(
    ("group", "counts"), [("0::/own", "own/memory.events"), ("3:memory:/own", "memory/own/memory.oom_control")]
)
def test_who_is_killed_for_want_of_memory_is_told_so(tmp_path, monkeypatch, group, counts):
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(f"{group}\n")
    monkeypatch.setattr(machine, "_PROC", tmp_path)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "groups")
    kernel, folder = tmp_path / "groups" / counts, RunFolder(tmp_path / "run")
    for place in (kernel.parent, folder.logs):
        place.mkdir(parents=True)
    kernel.write_text("oom_kill 1\n")
    plan, nodes, said = planned(), ForkedNodes(folder, None), []
    wiring = Wiring("tiny", make_addresses(plan.participants, plan.scenario.transport.zeromq, tmp_path))
    for kills in (1, 2):
        nodes.start("agent-0", plan.agent("agent-0", wiring).model_dump_json())
        kernel.write_text(f"oom_kill {kills}\n")
        nodes.kill(["agent-0"])
        said.append(nodes.ended()["agent-0"].said)
    nodes.end()
    assert said[0] == ""
    assert said[1].startswith("the kernel has just killed for want of memory here, where")
