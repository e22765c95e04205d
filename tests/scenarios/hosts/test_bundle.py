"""What stands in a bundle, whom it serves, and what is said of one that is damaged, old or somebody else's."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from broker.errors import UserError
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.running.bundles.making import make_bundles
from scenarios.running.fleet import parse_fleet
from scenarios.running.hosts.bundle import open_bundle

FLEET = """
[launcher]
dial = "127.0.0.1"
[left]
dial = "127.0.0.1"
control = "tcp://10.77.0.2:7000"
listen = "0.0.0.0"
memory_mb = 600
python = "~/foretell/bin/python"
participants = ["environment", "agent-0"]
[right]
dial = "127.0.0.2"
control = "tcp://10.77.0.3:7000"
participants = ["agent-*1", "agent-2"]
"""
TINY = {"parallel_episodes": 1, "environment.steps": 2, "learning.hidden": [4], "transport.security.mode": "on"}
GAME = """
import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

class parallel_env(ParallelEnv):
    metadata = {"name": "ours_v0"}
    possible_agents = ["a", "b"]
    agents = []

    def observation_space(self, agent):
        return Box(-9, 9, (2,))

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return dict.fromkeys(self.agents, np.zeros(2, np.float32)), {}

    def step(self, actions):
        return dict.fromkeys(self.agents, np.zeros(2, np.float32)), dict.fromkeys(self.agents, 1.0), {}, {}, {}
"""
DOCUMENT = """
name = "mine"
seed = 1
episodes = 2
environment = {kind = "pettingzoo", env = "ours", observation = "own"}
topology = {kind = "complete"}
"""


def bundles(out: Path, name: str = "exchange-quick", fleet: str = FLEET, **settings: Any) -> Path:
    make_bundles(make_plan(load_scenario(name, TINY | settings)), parse_fleet(fleet), out)
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles(tmp_path_factory.mktemp("made") / "bundles")


@pytest.fixture
def left(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "left", tmp_path / "left"))


def test_each_host_gets_the_keys_of_its_own_participants_and_nobody_elses(made):
    found = {host.name: {path.name for path in (host / "keys").iterdir()} for host in made.iterdir()}
    assert found == {
        "left": {"environment", "agent-0"},
        "right": {"agent-1", "agent-2"},
        "launcher": {"observer", "broker", "forwarder"},
    }
    secrets = [path.read_bytes() for path in made.rglob("curve.secret")]
    assert len(secrets) == len(set(secrets)) == 3 + 4 + 2


def test_nobody_but_its_owner_reads_a_bundle(made):
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (made, *made.rglob("*")) if path.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.rglob("*") if path.is_file()} == {0o600}


def test_the_manifest_names_run_document_and_the_digest_of_every_other_file(made):
    manifests = [json.loads((host / "manifest.json").read_text()) for host in made.iterdir()]
    assert len({(each["run"], each["document"]) for each in manifests}) == 1
    for each in manifests:
        host = made / each["host"]
        files = {str(path.relative_to(host)): path for path in host.rglob("*") if path.is_file()}
        del files["manifest.json"]
        assert each["files"] == {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert {each["host"]: each["listen"] for each in manifests} == {
        "launcher": "",
        "left": "tcp://0.0.0.0:7000",
        "right": "tcp://10.77.0.3:7000",
    }


def test_a_slice_is_that_of_a_participant_of_the_host(made):
    assert {path.stem for path in (made / "right" / "slices").iterdir()} == {"agent-1", "agent-2"}
    link = json.loads((made / "right" / "slices" / "agent-1.json").read_text())["link"]
    assert link["name"] == "agent-1"
    assert link["credentials"] == "keys/agent-1"


def _change(path: Path, **changes: Any) -> None:
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            lambda it: (it / "keys/agent-0/curve.secret").write_text("x"),
            "keys/agent-0/curve.secret: it is not what was",
        ),
        (lambda it: (it / "slices/agent-0.json").unlink(), "slices/agent-0.json: No such file"),
        (lambda it: (it / "manifest.json").write_text("{"), "manifest.json is damaged (Input data was truncated)"),
        (
            lambda it: (it / "manifest.json").write_text("{}"),
            "manifest.json is damaged (Object missing required field `run`)",
        ),
        (lambda it: (it / "manifest.json").write_bytes(b"\xff\xfe"), "manifest.json"),
        (lambda it: (it / "manifest.json").unlink(), "expected a bundle of `foretell bundle` in"),
        (lambda it: _change(it, version="0.0.9"), "is of Foretell 0.0.9 with arithmetic"),
        (lambda it: _change(it, arithmetic=99), "with arithmetic 99, and this is"),
    ],
)
def test_a_bundle_that_is_damaged_or_of_another_foretell_is_refused_in_a_sentence(left, harm, said):
    open_bundle(left).require_whole()
    harm(left)
    with pytest.raises(UserError) as raised:
        open_bundle(left).require_whole()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("run", "document", "said"),
    [
        ("other-run", None, "its bundle is of another run: expected exchange-quick-"),
        ("", None, "found a launcher without a bundle"),
        (None, "0" * 64, "its bundle is of another document: expected "),
    ],
)
def test_a_launcher_with_a_bundle_of_another_set_is_refused(left, run, document, said):
    bundle = open_bundle(left)
    bundle.require(bundle.manifest.run, bundle.manifest.document)
    with pytest.raises(UserError) as raised:
        bundle.require(
            bundle.manifest.run if run is None else run, bundle.manifest.document if document is None else document
        )
    assert said in str(raised.value)


def test_the_users_environment_goes_where_it_lives_and_is_that_which_was_bundled(tmp_path):
    package = tmp_path / "ours"
    package.mkdir()
    (package / "__init__.py").write_text(GAME)
    (package / "beside.txt").write_text("a table")
    document = tmp_path / "mine.toml"
    document.write_text(DOCUMENT)
    made = bundles(
        tmp_path / "out",
        str(document),
        FLEET.replace('"environment", "agent-0"', '"agent-*"').replace('"agent-*1", "agent-2"', '"environment"'),
    )
    assert not (made / "left" / "code").exists()
    found = open_bundle(made / "right").belongings()
    assert {path for path in found if path.startswith("code/")} == {"code/__init__.py", "code/beside.txt"}
    slice_ = json.loads((made / "right" / "slices" / "environment.json").read_text())
    assert slice_["environment"]["file"] == "code/__init__.py"
    assert load_scenario(str(made / "launcher" / "scenario.toml")).environment.file.is_relative_to(made)
    (made / "right" / "code" / "__init__.py").write_text("raise SystemExit")
    with pytest.raises(UserError, match=r"code/__init__\.py: the user's code is not what was bundled"):
        open_bundle(made / "right").belongings()


def test_of_the_folders_beside_bundles_none_is_touched(tmp_path):
    (tmp_path / "bundles.new").mkdir()
    (tmp_path / "bundles.new" / "own").touch()
    bundles(tmp_path / "bundles")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundles", "bundles.new"]
    assert (tmp_path / "bundles.new" / "own").exists()


def test_an_empty_folder_can_be_that_in_which_one_is(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    bundles(Path())
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"launcher", "left", "right"}


def test_nothing_is_written_into_a_folder_with_files_and_nothing_is_left_of_what_failed(made, tmp_path):
    with pytest.raises(UserError, match="expected a new folder for bundles"):
        bundles(made)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot make bundles in .*file/out"):
        bundles(tmp_path / "file" / "out")
    with pytest.raises(UserError, match="host right: expected `control`, such as"):
        bundles(tmp_path / "out", fleet=FLEET.replace('control = "tcp://10.77.0.3:7000"', ""))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.processes
def test_systemd_takes_the_unit_of_a_host(left):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = left / "foretell-left.service"
    text = unit.read_text()
    assert 'ExecStart="%h/foretell/bin/python" -P -m scenarios host .' in text
    assert "MemoryMax=600M" in text
    unit.write_text(text.replace("%h/foretell/bin/python", "/bin/sh"))
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
