"""A bundle: the folder that one host, or the launcher, of a run over sockets begins with.

manifest.json        of which run and document it is, and the SHA-256 of every other file
control/             its own pair of keys for the connection of launcher and host, and the other's public key
keys/                keys of its participants, if the run needs any
code/                the user's environment, if it lives there
initial-policy/      the policy that the agents begin with, if there is one
slices/              what its participants are told, less what the launcher knows alone: which life, which broker
scenario.toml        the document, for the launcher
hosts.json           the hosts, for the launcher
runs/                what runs leave there; not part of what was bundled
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.release import FORETELL
from broker.text_files import read_text

CODE, POLICY, KEYS = "code", "initial-policy", "keys"
"""What a run on a host needs there, in the bundle as in the folder of the run."""
MANIFEST, CONTROL, SLICES, DOCUMENT, HOSTS, RUNS = (
    *("manifest.json", "control", "slices", "scenario.toml", "hosts.json", "runs"),
)
_MOST_BYTES = 1 << 24
_AGAIN = "Copy the bundle there anew, or make all anew with `foretell bundle`"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle is.

    Attributes:
        run: Name of the run that it was made for, with its id; all bundles of a set have the same.
        host: Whose it is: the host's name in the fleet, or `launcher`.
        document: SHA-256 of the scenario; see `Scenario.digest`.
        version: Of the Foretell that made it.
        arithmetic: Version of its arithmetic.
        participants: Who lives there.
        listen: Where the host listens for its launcher; empty for the launcher.
        files: SHA-256 of every file, by its path.
    """

    run: str
    host: str
    document: str
    version: str
    arithmetic: int
    participants: tuple[str, ...]
    listen: str
    files: dict[str, str]


@dataclass(frozen=True)
class Bundle:
    """A bundle that is whole, and of this Foretell.

    Attributes:
        folder: It.
        manifest: What it is.
    """

    folder: Path
    manifest: Manifest

    def require(self, run: str, document: str) -> None:
        """See that a launcher has a bundle of the same set.

        Raises:
            UserError: It has another.
        """
        own = self.manifest
        if run != own.run:
            msg = f"its bundle is of another run: expected {own.run}, found {run or 'a launcher without a bundle'}. "
            raise UserError(f"{msg}Give all hosts and the launcher bundles of one `foretell bundle`")
        if document != own.document:
            msg = f"its bundle is of another document: expected {own.document[:16]}, found {document[:16]}. "
            raise UserError(f"{msg}Give all hosts and the launcher bundles of one `foretell bundle`")

    def belongings(self) -> dict[str, bytes]:
        """What its participants need in the folder of a run, read anew: content by path.

        Raises:
            UserError: A file is not what was bundled.
        """
        wanted = (f"{CODE}/", f"{KEYS}/", f"{POLICY}/")
        return {path: _read(self.folder, path, digest) for path, digest in self._of(wanted)}

    def require_whole(self) -> None:
        """See that every file is what was bundled.

        Raises:
            UserError: One is not.
        """
        for path, digest in self._of(("",)):
            _read(self.folder, path, digest)

    def _of(self, beginnings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        return (each for each in self.manifest.files.items() if each[0].startswith(beginnings))


def open_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, whose files are looked at as they are read.

    Raises:
        UserError: There is none, or it is of another Foretell.
    """
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(read_text(path, _MOST_BYTES), type=Manifest)
    except OSError as error:
        msg = f"expected a bundle of `foretell bundle` in {folder}: {MANIFEST}: {error.strerror or error}"
        raise UserError(msg) from None
    except msgspec.DecodeError as error:
        msg = f"{path} is damaged ({error}). {_AGAIN}"
        raise UserError(msg) from None
    if (manifest.version, manifest.arithmetic) != (FORETELL, ARITHMETIC):
        msg = (
            f"the bundle in {folder} is of Foretell {manifest.version} with arithmetic {manifest.arithmetic}, and this "
            f"is {FORETELL} with arithmetic {ARITHMETIC}. Install the one that made it, or make all bundles anew with "
            "`foretell bundle`"
        )
        raise UserError(msg)
    return Bundle(folder, manifest)


def _read(folder: Path, path: str, digest: str) -> bytes:
    try:
        content = (folder / path).read_bytes()
    except OSError as error:
        msg = f"the bundle in {folder} is damaged: {path}: {error.strerror or error}. {_AGAIN}"
        raise UserError(msg) from None
    found = sha256(content).hexdigest()
    if found != digest:
        what = "the user's code" if path.startswith(f"{CODE}/") else "it"
        msg = (
            f"the bundle in {folder} is damaged: {path}: {what} is not what was bundled: expected SHA-256 "
            f"{digest[:16]}, found {found[:16]}. {_AGAIN}"
        )
        raise UserError(msg)
    return content
