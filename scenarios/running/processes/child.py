"""What a forked process of a run does first.

The fork server has imported all that participants need (`PRELOADED`); the launcher, which imports this page too, has
not: it stays small.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from broker.driving.process import WRONG
from broker.release import lacking
from broker.servers import leash
from broker.wire.messages import ENVIRONMENT
from scenarios.running.procfs import LOG_FORMAT

if TYPE_CHECKING:
    from broker.participants.link import LinkConfig

PRELOADED = [
    *("scenarios.running.processes.fork_server", "scenarios.running.processes.child"),
    *("agent_node.node", "env_service.service"),
    "encodings.idna",
    "scenarios.running.processes.frozen",
]
"""Modules that the fork server imports once; the standard library imports `encodings.idna` at the first address."""

FOR_THE_LAUNCHER = (signal.SIGINT, signal.SIGHUP)
"""Ctrl-C and the end of the terminal: the launcher takes them, and ends its processes in order."""

_BROKE = 1


def be_participant(name: str, slice_json: str, log: Path, counters: Path | None = None) -> None:
    """Be participant `name` and end the process with its exit code.

    Args:
        name: `environment` or an agent.
        slice_json: Its slice of the scenario.
        log: Where everything it says goes.
        counters: Socket of this host that is told what it has counted; None: nobody asks.
    """
    for number in FOR_THE_LAUNCHER:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, FOR_THE_LAUNCHER
    )  # programs that user code starts inherit what is blocked
    _write_to(log)
    end_with_parent()
    try:
        code = _run(name, slice_json, counters)
    except Exception as error:
        code = _tell(name, error)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _run(name: str, slice_json: str, counters: Path | None) -> int:
    if name == ENVIRONMENT:
        from env_service.config import ServiceConfig  # noqa: PLC0415
        from env_service.service import run_environment  # noqa: PLC0415

        told = ServiceConfig.model_validate_json(slice_json)
        return run_environment(told.model_copy(update={"link": _asked(told.link, counters)}))
    from agent_node.config import AgentConfig  # noqa: PLC0415
    from agent_node.node import run_agent  # noqa: PLC0415

    config = AgentConfig.model_validate_json(slice_json)
    return run_agent(config.model_copy(update={"link": _asked(config.link, counters)}))


def _asked(link: LinkConfig, counters: Path | None) -> LinkConfig:
    """The same way to its peers, with what this host wants to know besides."""
    return link if counters is None else link.model_copy(update={"counters": counters})


def _tell(name: str, error: Exception) -> int:
    """Say why it ends; the exit code for that."""
    log = logging.getLogger("foretell")
    if needed := lacking(error):
        log.error("%s %s", name, needed)
        return WRONG
    log.error("%s broke; this is a bug in Foretell", name, exc_info=error)
    return _BROKE


def _write_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    for said in (sys.stdout, sys.stderr):  # in the order in which it is said, or the last line would not be why
        said.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # they are those of the interpreter
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr, force=True)


def end_with_parent() -> None:
    """No process of a run outlives its launcher, however that ended, not even one that is stopped."""
    leash.end_with_parent()  # the fork server, which itself ends with the launcher

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(_BROKE)

    threading.Thread(target=watch, name="foretell.parent-watch", daemon=True).start()
