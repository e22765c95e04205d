"""Files that start all hosts as containers: what Compose and Kubernetes take, and that a pod finds its bundle whole."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from base64 import b64decode
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate import ValidationError
from limits import LIMIT_S
from pages.page import ROOT, blocks_of

from broker.errors import UserError
from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.hosts.bundle import FORMATS
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.running.bundles.containers import BundleSet, as_file, launcher_command
from scenarios.running.bundles.making import make_bundles
from scenarios.running.fleet import parse_fleet
from scenarios.running.hosts.bundle import open_bundle

FLEET = """
[launcher]
dial = "launcher"
listen = "0.0.0.0"
[box]
dial = "box"
listen = "0.0.0.0"
control = "tcp://box:7000"
memory_mb = 600
participants = ["environment", "agent-0"]
[right]
dial = "pi-2"
listen = "0.0.0.0"
control = "tcp://pi-2:7001"
participants = ["agent-1", "agent-2"]
"""
FAKE = """#!/bin/sh
echo "$@"
mkdir -p {folder}/runs/run
touch {folder}/runs/run/run.sqlite
. {folder}/ends-with
"""
OLDEST, NEWEST = "1.28", kubernetes_validate.latest_version()


def made(out: Path, format_: str, fleet: str = FLEET, **settings: Any) -> dict[str, Any]:
    name, make = FORMATS[format_]
    hosts = parse_fleet(fleet)
    make_bundles(
        make_plan(
            load_scenario("exchange-quick", {"parallel_episodes": 1, "transport.security.mode": "on"} | settings)
        ),
        hosts,
        out,
        also=lambda run, bundles: {name: as_file(make(BundleSet(run, hosts, bundles, "images.local/foretell:0.1")))},
    )
    found: dict[str, Any] = json.loads((out / name).read_text())
    return found


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    items = made(tmp_path_factory.mktemp("k8s") / "bundles", "k8s")["items"]
    return {(item["kind"], item["metadata"]["name"]): item for item in items}


def test_kubernetes_takes_every_manifest_and_no_key_of_them_is_misspelt(manifests):
    for item in manifests.values():
        for version in (OLDEST, NEWEST):
            kubernetes_validate.validate(item, version, strict=True)
    wrong = deepcopy(manifests["StatefulSet", "foretell-box"])
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_each_host_is_a_pod_behind_the_name_that_others_dial_with_its_limit_and_its_own_secret(manifests):
    assert {name for kind, name in manifests if kind == "Service"} == {"box", "pi-2", "launcher"}
    pod = manifests["StatefulSet", "foretell-box"]["spec"]["template"]
    service = manifests["Service", "box"]["spec"]
    assert service["clusterIP"] == "None"
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "600M"}
    assert container["livenessProbe"]["tcpSocket"] == {"port": "control"}
    secrets = {each["secret"]["secretName"] for each in pod["spec"]["volumes"] if "secret" in each}
    assert secrets == {"foretell-box"}


def test_a_long_name_of_a_scenario_makes_no_label_that_kubernetes_refuses(tmp_path):
    found = made(tmp_path / "bundles", "k8s", name="a" * 64)
    labels = {item["metadata"]["labels"]["app.kubernetes.io/instance"] for item in found["items"]}
    assert {len(label) for label in labels} == {63}


@pytest.mark.processes
@pytest.mark.parametrize("name", ["box", "pi-2", "launcher"])
def test_a_pod_finds_its_bundle_whole_and_for_its_own_eyes(manifests, name, tmp_path):
    """What Kubernetes does with the secret, which its user's group may read, and then the first container."""
    workload = manifests[("Job" if name == "launcher" else "StatefulSet", f"foretell-{name}")]
    pod = workload["spec"]["template"]["spec"]
    data = manifests["Secret", f"foretell-{name}"]["data"]
    for each in pod["volumes"][0]["secret"]["items"]:
        place = tmp_path / "secret" / each["path"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b64decode(data[each["key"]]))
        place.chmod(0o440)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle").chmod(0o777)  # a folder of the system's, whose mode its user may not change
    shell, option, copy = pod["initContainers"][0]["command"]
    copy = copy.replace("/secret", f"{tmp_path}/secret").replace("/bundle", f"{tmp_path}/bundle")
    subprocess.run([shell, option, copy], check=True)
    assert stat.S_IMODE((tmp_path / "bundle").stat().st_mode) == 0o777
    bundle = open_bundle(tmp_path / "bundle")
    bundle.require_whole()
    assert bundle.manifest.listen == {"box": "tcp://0.0.0.0:7000", "pi-2": "tcp://0.0.0.0:7001", "launcher": ""}[name]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "bundle").rglob("*")]
    assert [mode for mode in modes if mode & 0o077] == []


class Container:
    """The launcher's, with a `foretell` that says how it was called, and ends with what stands in `ends-with`."""

    def __init__(self, folder: Path) -> None:
        (folder / "foretell").write_text(FAKE.format(folder=folder))
        (folder / "foretell").chmod(0o755)
        self.folder, self.run = folder, folder / "runs/run"
        shell, option, script = launcher_command()
        self._words = [shell, option, script.replace("/runs", f"{folder}/runs")]
        self._environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}

    def start(self, ends_with: str) -> subprocess.Popen[str]:
        (self.folder / "ends-with").write_text(ends_with)
        return subprocess.Popen(self._words, stdout=subprocess.PIPE, text=True, env=self._environment)

    def said(self, ends_with: str) -> tuple[str, int]:
        """What it says, and what it ends with."""
        with self.start(ends_with) as process:
            said, _ = process.communicate(timeout=LIMIT_S)
            return said.strip(), process.returncode


@pytest.mark.processes
@pytest.mark.parametrize("code", [0, 4])
def test_the_launcher_begins_a_run_goes_on_with_it_and_ends_as_it_did_once_it_is_over(tmp_path, code):
    container = Container(tmp_path)
    assert container.said("exit 3") == (f"run /bundle --on socket --out {container.run}", 3)
    assert container.said("kill -9 $$") == (f"run --resume {container.run}", 128 + 9)
    assert container.said(f"exit {code}") == (f"run --resume {container.run}", code)
    for _ in range(2):
        assert container.said("exit 2") == (f"{container.run} is over: it ended with {code}", code)


@pytest.mark.processes
def test_a_launcher_that_is_to_end_lets_its_run_end_and_goes_on_another_time(tmp_path):
    container = Container(tmp_path)
    with container.start("trap 'exit 130' TERM; echo waits; while kill -0 $PPID; do sleep 0.01; done") as process:
        assert process.stdout is not None
        while process.stdout.readline() != "waits\n":
            pass
        process.terminate()
        assert process.wait(LIMIT_S) == 130
    assert container.said("exit 0") == (f"run --resume {container.run}", 0)


def test_a_run_that_is_over_is_not_begun_again_by_what_starts_containers(manifests, tmp_path):
    job = manifests["Job", "foretell-launcher"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [ExitCode.MISMATCH])
    assert made(tmp_path / "bundles", "compose")["services"]["launcher"]["restart"] == "on-failure:20"


@pytest.mark.processes
def test_compose_takes_its_file_and_no_key_of_it_is_misspelt(tmp_path):
    document = made(tmp_path / "bundles", "compose", name="ring-0.5")
    assert re.fullmatch(r"ring-0-5-[a-z2-7]{8}", document["name"])
    checks = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    subprocess.run([*checks, tmp_path / "bundles" / "compose.json"], check=True, capture_output=True)
    box = document["services"]["box"]
    assert box["mem_limit"] == 600_000_000
    assert box["volumes"][0] == "./box:/bundle:ro"
    assert document["services"]["pi-2"]["volumes"][0] == "./right:/bundle:ro"
    assert set(document["services"]["launcher"]["depends_on"]) == {"box", "pi-2"}
    box["helthcheck"] = box.pop("healthcheck")
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    assert subprocess.run([*checks, tmp_path / "wrong.json"], check=False, capture_output=True).returncode == 1


def test_the_hosts_of_the_page_about_clusters_become_what_both_programs_take(tmp_path):
    blocks = blocks_of(ROOT / "docs" / "cluster.md")
    (fleet,) = (block.text for block in blocks if block.text.startswith("# containers.toml"))
    assert made(tmp_path / "composed", "compose", fleet)["services"].keys() == {"pi1", "launcher"}
    for item in made(tmp_path / "pods", "k8s", fleet)["items"]:
        kubernetes_validate.validate(item, NEWEST, strict=True)


@pytest.mark.parametrize(
    ("was", "would_be", "said"),
    [
        ('dial = "box"', 'dial = "10.0.0.1"', "host box: a container is dialled by the name of its service: expected"),
        ('control = "tcp://pi-2:7001"', 'control = "tcp://10.0.0.2:7001"', "host right: a container is dialled by"),
        ('listen = "0.0.0.0"\ncontrol = "tcp://box', 'control = "tcp://box', 'listen = ""'),
        ('dial = "launcher"', 'dial = "10.0.0.1"', 'launcher: expected dial = "launcher" and listen = "0.0.0.0"'),
    ],
)
def test_a_fleet_whose_addresses_are_no_services_is_refused_in_a_sentence(tmp_path, was, would_be, said):
    for format_ in FORMATS:
        with pytest.raises(UserError) as raised:
            made(tmp_path / "bundles", format_, FLEET.replace(was, would_be))
        assert said in str(raised.value)
    assert not (tmp_path / "bundles").exists()
