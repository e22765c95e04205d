"""Prints the versions of everything in this environment, as the lines of requirements.lock."""

from __future__ import annotations

from importlib.metadata import distributions

HEADER = "# Pinned versions of everything `make demo` and `make test` install. Renew with `make lock`."
OURS = {"foretell", "pip", "setuptools"}
# Wheels from 2.11 on require CUDA packages on Linux aarch64.
TORCH_AARCH64 = "torch==2.10.0 ; sys_platform == 'linux' and platform_machine == 'aarch64'"
ELSEWHERE = "sys_platform != 'linux' or platform_machine != 'aarch64'"


def lines() -> list[str]:
    """One line a distribution, in alphabetical order."""
    found = []
    for distribution in distributions():
        name, version = distribution.metadata["Name"], distribution.version.split("+")[0]
        if name == "torch":
            found += [TORCH_AARCH64, f"torch=={version} ; {ELSEWHERE}"]
        elif name.lower() not in OURS:
            found.append(f"{name}=={version}")
    return sorted(set(found), key=str.lower)


print("\n".join([HEADER, *lines()]))  # noqa: T201
