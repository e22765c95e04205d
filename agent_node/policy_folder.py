"""The folder `policy/` of a run: what its agents have learned, written whole or not at all.

    policy.json                  what the arrays are: `agent_node.policy_document`
    weights-DIGEST.safetensors   AGENT/actor/HELD_FOR/LAYER/weight (inputs, outputs) and .../bias (outputs,),
                                 AGENT/critic/LAYER/weight and .../bias; float32, layers from 0;
                                 AGENT/estimator/NAME/LAYER/..., where the algorithm has networks of its own
    training-DIGEST.safetensors  AGENT/PART: what training needs beside these to go on, as checkpoints of agents have it

The JSON names the files of arrays that it is about, and is written last: until then the policy that was there before is
there, whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import safetensors.numpy as tensors
from pydantic import ValidationError
from safetensors import SafetensorError

from agent_node.learning.fields import Arrays
from agent_node.learning.network_sizes import Networks
from agent_node.policy_document import VERSION, PolicyDocument
from agent_node.policy_files import DOCUMENT, cut, name_of_critic, name_of_estimator, name_of_policy
from broker.errors import UserError
from broker.files import sync, write_whole

_ARRAYS = "weights-{}.safetensors"
_TRAINING = "training-{}.safetensors"


def arrays_of(
    agent: str, networks: Networks, policies: np.ndarray, critic: np.ndarray, *estimators: np.ndarray
) -> Arrays:
    """The arrays of one agent, by name; views.

    Args:
        agent: Whose.
        networks: What it holds.
        policies: (R, P) float32, a policy for each agent that it models.
        critic: (1, P) float32.
        estimators: (1, P) float32, each.
    """
    held = {
        name_of_policy(agent, other): (networks.actor, row)
        for other, row in zip(networks.modeled, policies, strict=True)
    }
    held[name_of_critic(agent)] = (networks.critic, critic[0])
    for (name, sizes), estimator in zip(networks.estimators.items(), estimators, strict=True):
        held[name_of_estimator(agent, name)] = (sizes, estimator[0])
    return {name: array for prefix, network in held.items() for name, array in cut(prefix, *network).items()}


def write_policy(
    folder: Path,
    document: PolicyDocument,
    arrays: Mapping[str, np.ndarray],
    training: Mapping[str, np.ndarray],
) -> None:
    """Put a policy into the place of the one that was there.

    Args:
        folder: Made if it is not there.
        document: What the arrays are; it is told of their files here.
        arrays: By name, see above.
        training: The same, of what training needs to go on; empty where nobody is to train on.

    Raises:
        OSError: It cannot be written; what was there before is there still.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        name, digest = _write_arrays(folder, _ARRAYS, arrays)
        document = document.model_copy(update={"arrays": name, "sha256": digest})
        name, digest = _write_arrays(folder, _TRAINING, training) if training else ("", "")
        document = document.model_copy(update={"training": name, "training_sha256": digest})
        write_whole(folder / DOCUMENT, (json.dumps(document.model_dump(mode="json"), indent=2) + "\n").encode())
        sync(folder)
    finally:
        _tidy(folder)


def read_policy(folder: Path) -> tuple[PolicyDocument, Arrays]:
    """The document and the networks that `write_policy` wrote.

    Raises:
        UserError: There is no policy, it is of another version, or it is damaged.
    """
    document, _ = read_document(folder)
    return document, _read_arrays(folder, document.arrays, document.sha256)


def read_training(folder: Path, document: PolicyDocument) -> Arrays:
    """What training needs beside the networks; nothing where the policy was written without.

    Raises:
        UserError: It is damaged.
    """
    return _read_arrays(folder, document.training, document.training_sha256) if document.training else {}


def read_document(folder: Path) -> tuple[PolicyDocument, str]:
    """What a folder's policy is, and SHA-256 of what says so.

    Raises:
        UserError: There is no policy, or it is of another version.
    """
    path = folder / DOCUMENT
    try:
        text = path.read_bytes()
    except OSError as error:
        msg = f"{folder} holds no policy: expected {DOCUMENT} in it ({error.strerror}). A run leaves one in `policy/`"
        raise UserError(msg) from None
    return _parsed(path, text), sha256(text).hexdigest()


def _write_arrays(folder: Path, name: str, arrays: Mapping[str, np.ndarray]) -> tuple[str, str]:
    """Write a file of arrays; what it is called, and its SHA-256."""
    content = tensors.save({each: np.ascontiguousarray(array) for each, array in arrays.items()})
    digest = sha256(content).hexdigest()
    path = folder / name.format(digest[:16])
    write_whole(path, content)
    return path.name, digest


def _read_arrays(folder: Path, name: str, digest: str) -> Arrays:
    path = folder / DOCUMENT
    try:
        content = (folder / Path(name).name).read_bytes()
        if sha256(content).hexdigest() != digest:
            msg = f"{path} cannot be used: {name} is not what was written"
            raise UserError(msg)
        return tensors.load(content)
    except (OSError, SafetensorError) as error:
        msg = f"{path} cannot be used: {name or 'its file of arrays'} cannot be read ({error})"
        raise UserError(msg) from None


def learned_until(folder: Path) -> int:
    """The last episode that all agents but those that are gone have learned from; -1 where there is no such policy."""
    try:
        document, _ = read_policy(folder)
        read_training(folder, document)
    except UserError:
        return -1
    return document.last_episode


def _parsed(path: Path, text: bytes) -> PolicyDocument:
    try:
        found = json.loads(text)
        version = found.get("version")
        if version != VERSION:
            msg = f"{path} is of version {version}, and this Foretell reads version {VERSION}"
            raise UserError(msg)
        return PolicyDocument.model_validate_json(text)
    except (ValidationError, ValueError, AttributeError, RecursionError) as error:
        msg = f"{path} cannot be used: it is not what was written ({str(error).splitlines()[0]})"
        raise UserError(msg) from None


def _tidy(folder: Path) -> None:
    """Delete arrays that no document is about: those that were replaced, or those that were not finished."""
    with suppress(OSError, UserError):
        text = (folder / DOCUMENT).read_bytes() if (folder / DOCUMENT).exists() else b""
        document = _parsed(folder / DOCUMENT, text) if text else None
        used = {document.arrays, document.training} if document is not None else set()
        for path in (*folder.glob(_ARRAYS.format("*")), *folder.glob(_TRAINING.format("*"))):
            if path.name not in used:
                path.unlink()
        if not used:
            folder.rmdir()
