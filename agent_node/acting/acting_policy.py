"""The policy that an agent acts with: its own networks of a saved policy, and nothing else that is there.

`policy.json` is that whose digest stands in the slice, and says the digest of its arrays: who has checked both need not
look at what they hold.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import safetensors.numpy as tensors
from safetensors import SafetensorError

from agent_node.acting.acting_slice import ActingSlice
from agent_node.fixed_policy import FixedPolicy
from agent_node.policy_files import DOCUMENT, joined, name_of_policy
from broker.arithmetic.sizes import Sizes
from broker.errors import UserError


class _Learned(msgspec.Struct, frozen=True):
    actor: Sizes
    weights_digest: str | None


class _Document(msgspec.Struct, frozen=True):
    agents: dict[str, _Learned]
    arrays: str
    sha256: str


def read_acting_policy(slice_: ActingSlice) -> FixedPolicy:
    """What the agent of a slice acts with.

    Raises:
        UserError: It is not there, or not the one that its slice names.
    """
    asked, name = slice_.initial_policy, slice_.link.name
    folder = asked.path
    text = _content(folder / DOCUMENT)
    if (found := sha256(text).hexdigest()) != asked.digest:
        msg = f"{folder} holds another policy: expected that of SHA-256 {asked.digest[:16]}, which is to be evaluated, "
        raise UserError(f"{msg}found {found[:16]}. Copy it there anew")
    try:
        document = msgspec.json.decode(text, type=_Document)
        learned = document.agents[name]
        content = _content(folder / document.arrays)
        if sha256(content).hexdigest() != document.sha256:
            msg = f"{folder} cannot be used: {document.arrays} is not what was written"
            raise UserError(msg)
        parameters = joined(name_of_policy(name, name), len(learned.actor.hidden), tensors.load(content))
    except (msgspec.DecodeError, SafetensorError, KeyError) as error:
        msg = f"{folder} cannot be used: it holds no policy of {name} ({error})"
        raise UserError(msg) from None
    return FixedPolicy(slice_.config, learned.actor, parameters, learned.weights_digest or "")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}. Copy a run's folder `policy` to this board"
        raise UserError(msg) from None
