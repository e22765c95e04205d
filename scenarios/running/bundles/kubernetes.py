"""The Kubernetes manifests of a set of bundles: a secret, a headless service and a pod for each host and the launcher.

A host is a StatefulSet of one pod, so that name and checkpoints outlive it; the launcher is a Job, whose next pod goes
on. Bundles are secrets, which a first container copies for the eyes of its user alone.
"""

from __future__ import annotations

from base64 import b64encode

from broker.counting import shown_bytes
from broker.errors import UserError
from scenarios.running.bundles.containers import (
    BUNDLE,
    GRACE_S,
    MISMATCH,
    RESTARTS,
    RUNS,
    BundleSet,
    Document,
    Files,
    Service,
    host_command,
    launcher_command,
    services,
)
from scenarios.running.fleet import LAUNCHER

KUBERNETES = "kubernetes.json"
_SECRET = "/secret"  # noqa: S105 - a folder
_MOST_BYTES = 1_000_000
_KEPT = "1Gi"
_LONGEST_LABEL = 63
_USER = 1000
_COPY = f"umask 077 && cp -rL {_SECRET}/. {BUNDLE}"
"""The folder itself is not the user's own: its mode is not to be changed."""
_WAIT = """import socket, sys, time
for at in sys.argv[1:]:
    host, port = at.split(":")
    while True:
        try:
            socket.create_connection((host, int(port)), 5).close()
            break
        except OSError as error:
            print(f"waits for {at}: {error}", flush=True)
            time.sleep(2)
"""


def kubernetes(made: BundleSet) -> Document:
    """The manifests, as one list.

    Raises:
        UserError: A host's addresses are not those of a service, or a bundle is too large for a secret.
    """
    hosts, items = services(made.fleet), []
    for host in hosts:
        files = made.bundles[host.host]
        items += [_secret(host.name, files), _reached(host.name, host.port), _stateful(made.image, host, files)]
    files, waited = made.bundles[LAUNCHER], [f"{host.name}:{host.port}" for host in hosts]
    items += [_secret(LAUNCHER, files), _reached(LAUNCHER, None), _claim(), _job(made.image, files, waited)]
    for item in items:
        item["metadata"]["labels"] = {"app.kubernetes.io/instance": made.run[:_LONGEST_LABEL].rstrip("-_.")}
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _secret(service: str, files: Files) -> Document:
    size = sum(map(len, files.values()))
    if size > _MOST_BYTES:
        msg = (
            f"the bundle of {service} takes {shown_bytes(size)}, and a secret of Kubernetes takes "
            f"{shown_bytes(_MOST_BYTES)}: put the policy or the code into the image and leave them out of the scenario"
        )
        raise UserError(msg)
    data = {_key(number): b64encode(files[path]).decode() for number, path in enumerate(sorted(files))}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _named(service)}, "data": data}


def _reached(name: str, port: int | None) -> Document:
    """The name by which others dial: it leads to the pod itself, as soon as that has an address."""
    spec: Document = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": _selector(name)}
    if port is not None:
        spec["ports"] = [{"name": "control", "port": port}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _stateful(image: str, host: Service, files: Files) -> Document:
    container = _container(image, host_command())
    container["ports"] = [{"name": "control", "containerPort": host.port}]
    knock = {"tcpSocket": {"port": "control"}, "periodSeconds": 10}
    container |= {"startupProbe": knock | {"failureThreshold": 30}, "readinessProbe": knock, "livenessProbe": knock}
    if host.memory_mb is not None:
        amount = {"memory": f"{host.memory_mb}M"}
        container["resources"] = {"limits": amount, "requests": amount}
    spec = {
        "serviceName": host.name,
        "replicas": 1,
        "selector": {"matchLabels": _selector(host.name)},
        "template": _template(image, host.name, container, files, []),
        "volumeClaimTemplates": [{"metadata": {"name": "runs"}, "spec": _claimed()}],
    }
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": _named(host.name)}, "spec": spec}


def _job(image: str, files: Files, hosts: list[str]) -> Document:
    wait = _container(image, ["python3", "-c", _WAIT, *hosts]) | {"name": "wait"}
    template = _template(image, LAUNCHER, _container(image, launcher_command()), files, [wait])
    template["spec"]["restartPolicy"] = "Never"  # the Job makes another pod, unless the run is over
    claim = {"name": "runs", "persistentVolumeClaim": {"claimName": f"{_named(LAUNCHER)}-runs"}}
    template["spec"]["volumes"].append(claim)
    over = {"containerName": "foretell", "operator": "In", "values": [MISMATCH]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": over, "onPodConditions": []}]}
    spec = {"backoffLimit": RESTARTS, "podFailurePolicy": policy, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": _named(LAUNCHER)}, "spec": spec}


def _template(image: str, service: str, container: Document, files: Files, first: list[Document]) -> Document:
    copy = _container(image, ["sh", "-c", _COPY]) | {"name": "copy"}
    copy["volumeMounts"] = [{"name": "secret", "mountPath": _SECRET}, {"name": "bundle", "mountPath": BUNDLE}]
    items = [{"key": _key(number), "path": path} for number, path in enumerate(sorted(files))]
    pod: Document = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [copy, *first],
        "containers": [container],
        "volumes": [
            {"name": "secret", "secret": {"secretName": _named(service), "items": items}},
            {"name": "bundle", "emptyDir": {"medium": "Memory"}},
        ],
    }
    return {"metadata": {"labels": _selector(service)}, "spec": pod}


def _container(image: str, command: list[str]) -> Document:
    return {
        "name": "foretell",
        "image": image,
        "command": command,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "bundle", "mountPath": BUNDLE}, {"name": "runs", "mountPath": RUNS}],
    }


def _claim() -> Document:
    name = f"{_named(LAUNCHER)}-runs"
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": _claimed()}


def _claimed() -> Document:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": _KEPT}}}


def _key(number: int) -> str:
    return f"file-{number}"


def _named(service: str) -> str:
    return f"foretell-{service}"


def _selector(service: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "foretell", "app.kubernetes.io/component": service}
