"""CURVE keys of participants, as files: who may talk to whom over ZeroMQ, and how each proves who it is.

<folder>/<name>/curve.secret        its own pair: the public key, then the secret one; for its eyes only
<folder>/<name>/curve/<peer>.key    the public key of a peer
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from broker.errors import UserError
from broker.text_files import read_file
from broker.wire.messages import FORWARDER

_KEY_CHARACTERS = 40
_MOST_BYTES = 1 << 12
_FOR_OTHERS = 0o077
_SECRET, _PUBLIC_FOLDER, _PUBLIC_SUFFIX = "curve.secret", "curve", ".key"
_MAKE = "Make new keys with `foretell keys`."


@dataclass(frozen=True)
class CurveKeys:
    """The keys of one participant, in Z85.

    Attributes:
        public: Its own public key.
        secret: Its own secret key.
        peers: The public keys of those it talks to, by name.
    """

    public: str
    secret: str = field(repr=False)
    peers: Mapping[str, str]


def make_curve_keys(folder: Path, peers: Mapping[str, Sequence[str]]) -> None:
    """Make a pair of keys for every participant, and give each the public keys of its peers.

    Args:
        folder: Gets a folder for each participant.
        peers: For each participant, those it talks to.

    Raises:
        UserError: The folder holds keys already.
    """
    pairs = {name: _pair() for name in peers}
    for name, others in peers.items():
        own = folder / name
        (own / _PUBLIC_FOLDER).mkdir(parents=True, exist_ok=True)
        own.chmod(0o700)
        _write_secret(own / _SECRET, "\n".join((*pairs[name], "")))
        for other in others:
            (own / _PUBLIC_FOLDER / f"{other}{_PUBLIC_SUFFIX}").write_text(f"{pairs[other][0]}\n", encoding="ascii")


def with_forwarder(peers: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Who talks to whom where a forwarder stands between: everybody to it, too."""
    return {name: (*others, FORWARDER) for name, others in peers.items()} | {FORWARDER: tuple(peers)}


def read_curve_keys(folder: Path) -> CurveKeys:
    """The keys of the participant whose folder this is.

    Raises:
        UserError: Keys are missing or malformed, or others may read the secret one.
    """
    path = folder / _SECRET
    lines = _read(path).split()
    if path.stat().st_mode & _FOR_OTHERS:
        msg = f"{path} may be read by others, so its key is not used. Make new keys, or say `chmod 600 {path}`."
        raise UserError(msg)
    if len(lines) != 2 or not all(map(_is_key, lines)) or _public_of(lines[1]) != lines[0]:
        msg = f"{path} holds no pair of CURVE keys: expected a public and a secret key of 40 characters each. {_MAKE}"
        raise UserError(msg)
    peers = {}
    for public in sorted((folder / _PUBLIC_FOLDER).glob(f"*{_PUBLIC_SUFFIX}")):
        key = _read(public).strip()
        if not _is_key(key):
            msg = f"{public} holds no CURVE key: expected 40 characters of Z85. {_MAKE}"
            raise UserError(msg)
        peers[public.name.removesuffix(_PUBLIC_SUFFIX)] = key
    return CurveKeys(lines[0], lines[1], peers)


def key_of(keys: CurveKeys, peer: str, name: str) -> str:
    """The public key of a peer of `name`.

    Raises:
        UserError: There is none.
    """
    if peer not in keys.peers:
        msg = f"{name} has no key of {peer}: expected {peer}{_PUBLIC_SUFFIX} among its keys. {_MAKE}"
        raise UserError(msg)
    return keys.peers[peer]


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _write_secret(path: Path, text: str) -> None:
    """Write a file that nobody else could read at any time."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        msg = f"{path} exists already: expected a folder without keys. Choose another folder or remove it."
        raise UserError(msg) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _read(path: Path) -> str:
    try:
        return read_file(path, _MOST_BYTES).decode("ascii", "replace")
    except OSError as error:
        msg = f"cannot read the key {path}: {error.strerror}. {_MAKE}"
        raise UserError(msg) from None


def _is_key(text: str) -> bool:
    return len(text) == _KEY_CHARACTERS and _public_of(text) is not None


def _public_of(secret: str) -> str | None:
    """The public key of a secret one; None when it is no key."""
    try:
        return zmq.curve_public(secret.encode()).decode()
    except (zmq.ZMQError, ValueError):
        return None
