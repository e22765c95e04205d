"""A view of the files of one's own, for a process that shall find other ones than the rest of the machine."""

from __future__ import annotations

import subprocess

import pytest

APART = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
"""Words before a shell's script, whose mounts nobody else sees."""


def need_mounts() -> None:
    """Where the kernel refuses, a test that mounts something is skipped."""
    probe = subprocess.run([*APART, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"the kernel refuses mount namespaces: {probe.stderr.decode().strip()}")
