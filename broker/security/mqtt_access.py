"""Who may use an MQTT broker: a password for everybody, and permission for the own edges and nothing else.

    FOLDER/<participant>/mqtt.json    its name and password
    FOLDER/<participant>/ca.pem       what it checks the broker's certificate with
    FOLDER/broker/passwords           everybody's password, hashed
    FOLDER/broker/acl                 who may publish and subscribe to what
    FOLDER/broker/ca.pem, server.pem, server.key

Participants get their own folder alone; the broker's host gets `broker`. All files are for their owner's eyes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker.errors import UserError
from broker.files import sync, sync_tree
from broker.security.certificates import ServerCertificate, is_for, make_server_certificate
from broker.security.validity import certificates_in
from broker.text_files import read_text
from broker.wire.messages import topic

BROKER = "broker"
"""The broker's folder; no participant may be called so."""
PASSWORDS, PERMISSIONS = "passwords", "acl"
AUTHORITY, CERTIFICATE, KEY = "ca.pem", "server.pem", "server.key"

_CREDENTIALS = "mqtt.json"
_MOST_BYTES = 1 << 16
_PASSWORD_BYTES = 32
_SALT_BYTES = 12
_ITERATIONS = 101
"""Mosquitto's own; guessing 32 random bytes needs no slowing down."""
_OTHERS = 0o077
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class MqttCredentials:
    """What a participant shows the broker, and what it checks the broker with.

    Attributes:
        username: The participant's name, or that of an account of the broker's own.
        password: Shown to the broker alone; None where the account has none.
        ca: Certificate of the authority that signed the broker's; None: those that this host trusts.
        from_settings: Whether the scenario names them, not the keys of the run.
    """

    username: str = field(repr=False)
    password: str | None = field(repr=False)
    ca: Path | None
    from_settings: bool = False


def make_mqtt_access(folder: Path, run: str, peers: Mapping[str, Sequence[str]], hosts: Sequence[str]) -> None:
    """Write new passwords, permissions and certificates of a run.

    Args:
        folder: Where; made if it does not exist.
        run: Name of the run, part of every topic.
        peers: For every participant, the observer included, those it sends to and hears from.
        hosts: DNS names and IP addresses under which participants reach the broker.

    Raises:
        UserError: Such files exist already, cannot be written, or a name cannot be part of a topic.
    """
    for name in (run, *peers):
        if not _NAME.fullmatch(name) or name == BROKER:
            msg = f"expected a name of letters, digits, '.', '_' and '-' other than {BROKER!r}, found {name!r}"
            raise UserError(msg)
    passwords = {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in peers}
    server = make_server_certificate(f"foretell {run}", hosts)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, password in passwords.items():
            own = folder / name
            _make_private(own)
            _write(own / _CREDENTIALS, json.dumps({"username": name, "password": password}).encode())
        own = folder / BROKER
        _make_private(own)
        hashed = [f"{name}:{_hash(password)}\n" for name, password in passwords.items()]
        _write(own / PASSWORDS, "".join(hashed).encode())
        _write(own / PERMISSIONS, _permissions(run, peers).encode())
        _write_authority(folder, server)
        _write(own / CERTIFICATE, server.certificate)
    except FileExistsError as error:
        msg = f"{error.filename} exists already: delete the folder {folder} or choose another for new keys"
        raise UserError(msg) from None
    except OSError as error:
        msg = f"cannot write keys to {folder}: {error}"
        raise UserError(msg) from None


def renew_certificate(folder: Path, run: str, hosts: Sequence[str]) -> None:
    """Make certificates anew where the broker's does not name all of `hosts`; passwords and permissions stay.

    The broker's own goes first and comes last: where that was cut, it is not there, and all are made once more.

    Args:
        folder: Where `make_mqtt_access` wrote.
        run: As there.
        hosts: As there.

    Raises:
        UserError: A host cannot stand in a certificate.
        OSError: They cannot be written.
    """
    own = folder / BROKER
    if any(is_for(each, hosts) for each in certificates_in(own / CERTIFICATE)):
        return
    server = make_server_certificate(f"foretell {run}", hosts)
    (own / CERTIFICATE).unlink(missing_ok=True)
    sync(own)
    for path in (own / KEY, *folder.glob(f"*/{AUTHORITY}")):
        path.unlink(missing_ok=True)
    _write_authority(folder, server)
    sync_tree(folder)
    _write(own / CERTIFICATE, server.certificate)
    sync_tree(own)


def read_mqtt_credentials(folder: Path) -> MqttCredentials:
    """What `make_mqtt_access` wrote for one participant.

    Args:
        folder: The participant's own.

    Raises:
        UserError: The file is missing, unreadable, open to others, or not what was written.
    """
    path = folder / _CREDENTIALS
    try:
        refuse_if_open_to_others(path, path.stat().st_mode)
        text = read_text(path, _MOST_BYTES)
    except FileNotFoundError:
        msg = f"expected MQTT's password in {path}, found no such file: copy this participant's folder of keys here"
        raise UserError(msg) from None
    except OSError as error:
        msg = f"cannot read MQTT's password from {path}: {error.strerror}"
        raise UserError(msg) from None
    authority = folder / AUTHORITY
    return _parse(text, path, authority if authority.exists() else None)


def refuse_if_open_to_others(path: Path, mode: int) -> None:
    """Refuse a file with a password, of this mode, that others than its owner can read.

    Raises:
        UserError: It is one.
    """
    if mode & _OTHERS:
        msg = f"{path} is open to others (mode {mode & 0o777:o}) and so no secret any more: chmod 600, or make new keys"
        raise UserError(msg)


def _parse(text: str, path: Path, authority: Path | None) -> MqttCredentials:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        username, password = found.get("username"), found.get("password")
        if isinstance(username, str) and username and isinstance(password, str) and password:
            return MqttCredentials(username, password, authority)
    msg = (
        f'expected {{"username": ..., "password": ...}} in {path}, found something else: copy it again or make new keys'
    )
    raise UserError(msg)


def _write_authority(folder: Path, server: ServerCertificate) -> None:
    """Write what everybody with a password checks the broker's certificate with, and the broker's secret key."""
    own = folder / BROKER
    for holder in (*(path.parent for path in folder.glob(f"*/{_CREDENTIALS}")), own):
        _write(holder / AUTHORITY, server.authority)
    _write(own / KEY, server.key)


def _permissions(run: str, peers: Mapping[str, Sequence[str]]) -> str:
    lines: list[str] = []
    for name, others in peers.items():
        lines.append(f"user {name}")
        lines += [f"topic write {topic(run, name, other)}" for other in others]
        lines += [f"topic read {topic(run, other, name)}" for other in others]
        lines.append("")
    return "\n".join(lines)


def _hash(password: str) -> str:
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"$7${_ITERATIONS}${_text(salt)}${_text(_derived(password, salt, _ITERATIONS))}"


def is_password(password: str, hashed: str) -> bool:
    """Whether `password` is the one that a line of the passwords' file was made from."""
    _, _, iterations, salt, expected = hashed.split("$")
    found = _derived(password, base64.b64decode(salt), int(iterations))
    return secrets.compare_digest(found, base64.b64decode(expected))


def _derived(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def _write(path: Path, content: bytes) -> None:
    """Write a new file that nobody else can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
