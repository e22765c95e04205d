"""What this machine allows a run to take: memory, open files, processes; and what of it a plan would miss."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from broker.counting import counted, shown_bytes
from broker.errors import UserError
from broker.open_files import allow_open_files, files_for

if TYPE_CHECKING:
    from scenarios.document.needs import Needs
    from scenarios.document.plan import Plan

_TASKS, _TASKS_EACH = 16, 6
"""Processes and threads of a run by itself, and of each participant."""
_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Machine:
    """What is allowed here.

    Attributes:
        memory_bytes: For all processes together.
        files: Open files of one process, as far as it may raise its own limit.
        tasks: Processes and threads that may still be started; None where nothing limits them.
    """

    memory_bytes: int
    files: int
    tasks: int | None


def this_machine() -> Machine:
    """What is allowed here and now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _cgroups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            memory = min(memory, _number(folder / name) or memory)
    return Machine(memory, _hard(resource.RLIMIT_NOFILE), _tasks_left())


def missing(plan: Plan, machine: Machine, needs: Needs, *, as_processes: bool) -> Iterator[str]:
    """What a plan needs and the machine has not, a sentence each.

    Args:
        plan: What is to run.
        machine: Where.
        needs: Memory for the plan.
        as_processes: Whether each participant is a process, or all are simulated in one.
    """
    files = files_needed(plan, as_processes=as_processes)
    if needs.in_all > machine.memory_bytes:
        yield memory_sentence(needs, machine)
    if files > machine.files:
        yield (
            f"{counted(len(plan.participants), 'participant')} need {files} open files in one process, and "
            f"this machine allows {machine.files}: raise the hard limit (ulimit -Hn), or take fewer agents"
        )
    if machine.tasks is not None and as_processes and _tasks_needed(plan) > machine.tasks:
        yield (
            f"{counted(len(plan.participants), 'participant')} need {_tasks_needed(plan)} processes and "
            f"threads, and this machine allows {machine.tasks} more: raise the limit (ulimit -u, pids.max of the "
            "cgroup), or take fewer agents"
        )


def memory_sentence(needs: Needs, machine: Machine) -> str:
    """How much memory is needed and how much there is."""
    largest = needs.largest
    return (
        f"the participants need at least {shown_bytes(needs.in_all)} of memory together, {largest} alone "
        f"{shown_bytes(needs.by_participant[largest])}, and this machine has {shown_bytes(machine.memory_bytes)}: make "
        "learning.hidden, parallel_episodes or the number of agents smaller"
    )


def memory_kills() -> int:
    """How many processes the kernel has killed for want of memory, in this control group or, without one, at all."""
    places = [folder / name for folder in _cgroups("memory") for name in ("memory.events", "memory.oom_control")]
    for path in (*places, _PROC / "vmstat"):
        with suppress(OSError):
            counts = dict(line.split() for line in path.read_text(encoding="utf-8").splitlines())
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return 0


def make_ready(plan: Plan, *, as_processes: bool) -> None:
    """Let this process, and those it starts, open as many files as a plan needs.

    Args:
        plan: What is to run.
        as_processes: As for `missing`.

    Raises:
        UserError: The machine has not what the plan needs.
    """
    from scenarios.document.needs import needs_of  # noqa: PLC0415 - what only asks what is allowed here needs no plan

    for sentence in missing(plan, this_machine(), needs_of(plan), as_processes=as_processes):
        raise UserError(sentence)
    allow_open_files(files_needed(plan, as_processes=as_processes))
    if as_processes:
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))


def files_needed(plan: Plan, *, as_processes: bool) -> int:
    """How many files the process with most of them opens."""
    if as_processes:
        return files_for(len(plan.participants))
    return files_for(0) + (len(plan.participants) if plan.scenario.transport.journal else 0)


def _tasks_needed(plan: Plan) -> int:
    return _TASKS + _TASKS_EACH * len(plan.participants)


def _hard(kind: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return (1 << 62) if hard == resource.RLIM_INFINITY else hard


def _tasks_left() -> int | None:
    left = []
    for folder in _cgroups("pids"):
        most, current = _number(folder / "pids.max"), _number(folder / "pids.current")
        if most is not None and current is not None:
            left.append(most - current)
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if hard != resource.RLIM_INFINITY and os.geteuid() != 0:  # nobody with root's rights is limited by it
        left.append(hard - _tasks_of_this_user())
    return max(0, min(left)) if left else None


def _tasks_of_this_user() -> int:
    own, count = os.getuid(), 0
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            if folder.stat().st_uid == own:
                count += sum(1 for _ in (folder / "task").iterdir())
    return count


def _cgroups(controller: str) -> Iterator[Path]:
    """This process's control group and all those above it, of either version."""
    try:
        lines = (_PROC / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root = _CGROUPS / controller if controllers else _CGROUPS
            place = root / own.lstrip("/")
            yield from (folder for folder in (place, *place.parents) if folder.is_relative_to(root))


def _number(path: Path) -> int | None:
    """The number in a file; None where there is none, such as `max`."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
