"""A run goes on with other hosts than those that it began with, which have none of its checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from ports import free_ports
from runs import TINY, simulate_here, summary

from broker.errors import UserError
from scenarios.commands.main import foretell as commands

DOCUMENT = ("exchange-quick", *TINY)
DIGESTS = ("curve_digest", "weights_digest")
FLEET = '[launcher]\ndial = "127.0.0.1"\n[{name}]\ndial = "127.0.0.1"\nfolder = "{folder}"\nparticipants = ["*"]\n'


@pytest.mark.processes
def test_a_run_that_moves_to_other_hosts_ends_as_a_simulation_does(tmp_path: Path) -> None:
    first, second, out = tmp_path / "first.toml", tmp_path / "second.toml", str(tmp_path / "run")
    first.write_text(FLEET.format(name="first", folder=tmp_path / "there"))
    second.write_text(FLEET.format(name="second", folder=tmp_path / "elsewhere"))
    ports = ("--set", f"transport.zeromq.base_port={free_ports(5)}")
    words = ("run", *DOCUMENT, *ports, "--episodes", "1", "--on", "here", "--hosts", str(first), "--out", out)
    commands([*words], standalone_mode=False)
    commands(["resume", out, "--episodes", "2", "--hosts", str(second)], standalone_mode=False)
    simulated, found = simulate_here(tmp_path / "simulated", *DOCUMENT, "--episodes", "2"), summary(tmp_path / "run")
    assert [found[name] for name in DIGESTS] == [simulated[name] for name in DIGESTS]
    assert list((tmp_path / "elsewhere").glob("second/*/logs/agent-0.log"))
    _refuses_to_move(tmp_path, out)


def _refuses_to_move(root: Path, out: str) -> None:
    (root / "third.toml").write_text(FLEET.format(name="third", folder=root).replace("*", "agent-0"))
    for run, words, said in (
        (out, ("--hosts", str(root / "third.toml")), r"^no host has environment, agent-1, agent-2; expected everybody"),
        (out, ("--on", "socket"), r"^bundles say which hosts a run has that wait with them: expected neither"),
        (str(root / "simulated"), ("--on", "ray"), r"and this one has none: it is on this host alone$"),
    ):
        with pytest.raises(UserError, match=said):
            commands(["resume", run, "--episodes", "3", *words], standalone_mode=False)
    assert "second" in (root / "run" / "hosts.json").read_text()
