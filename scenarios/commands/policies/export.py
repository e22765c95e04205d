"""`foretell policy export` from the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from broker.counting import counted
from scenarios.commands.screen import say
from scenarios.policies import onnx_files, torch_files
from scenarios.policies.exported import TOLERANCE, ExportedPolicy, policies_of
from scenarios.policies.folder import require_new_folder, write_folder

FORMATS: dict[str, tuple[str, Callable[[ExportedPolicy], tuple[bytes, float]]]] = {
    "torch": (torch_files.SUFFIX, torch_files.to_torch),
    "onnx": (onnx_files.SUFFIX, onnx_files.to_onnx),
}


def export(place: Path, format_: str, out: Path) -> None:
    """Write each agent's policy to a file of its own.

    Args:
        place: A run's folder, or that of a policy.
        format_: One of `FORMATS`.
        out: A new folder.

    Raises:
        UserError: There is no policy, something is not installed, a policy acts otherwise there, or nothing can be
            written.
    """
    require_new_folder(out)
    policies, without = policies_of(place)
    suffix, convert = FORMATS[format_]
    files, greatest = {}, 0.0
    for policy in policies:
        content, difference = convert(policy)
        files[f"{policy.facts['agent']}{suffix}"] = content
        greatest = max(greatest, difference)
    write_folder(out, files)
    for agent in without:
        say(f"{agent} died before it kept anything, so there is no policy of it", err=True)
    for policy in policies:
        if policy.facts["died"]:
            learned = counted(policy.facts["learned_from"], "episode")
            say(f"{policy.facts['agent']} died in its run: its policy is of {learned}", err=True)
    kinds = sorted({_kind(policy) for policy in policies})
    say(f"{counted(len(files), 'policy', 'policies')}, from {' and '.join(kinds)}")
    say(f"probabilities differ by at most {greatest:.1e} from those that agents act with here (allowed: {TOLERANCE:g})")
    say(f"results          {out}")


def _kind(policy: ExportedPolicy) -> str:
    size, *_, actions = policy.facts["layers"]
    return f"{counted(size, 'number')} to {counted(actions, 'action')}"
