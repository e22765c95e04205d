"""What a host does: starts, stops and kills the processes of its participants, as its launcher asks.

It is the fleet of `foretell run` behind a pipe. When the launcher is gone for longer than the lease, or another one
takes the run over, it ends everybody and itself.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from broker.arithmetic.version import ARITHMETIC
from broker.errors import CheckpointDamaged, ForetellError, UserError
from broker.files import write_whole
from broker.own_clock import OwnClock
from broker.participants.checkpoint import FileCheckpoints
from broker.release import FORETELL
from scenarios.results.folder import RunFolder
from scenarios.running.apart import call_apart
from scenarios.running.hosts import frames
from scenarios.running.hosts.bundle import Bundle
from scenarios.running.hosts.claim import HostClaim, claimed
from scenarios.running.hosts.frames import (
    Answer,
    Asked,
    ContinueNode,
    EndNodes,
    Examine,
    ForgetKept,
    Frames,
    IntactKept,
    KillNodes,
    LeaveHost,
    LookInto,
    MeasureSpeed,
    NewestKept,
    NodeEnded,
    OpenRun,
    PruneKept,
    ReadKept,
    ReadLogs,
    Refusal,
    RenewLease,
    Request,
    StartNode,
    StopNode,
    Told,
)
from scenarios.running.hosts.remote_checkpoints import checkpoint_bytes
from scenarios.running.log_files import new_in_logs
from scenarios.running.nodes import Nodes

_LOOK_EVERY_S = 0.1
_SILENT_S = 5.0
"""A launcher says something every second; one that does not for so long may be gone."""
_CHUNK = 1 << 20
_log = logging.getLogger("foretell.host")


class Host:
    """One host of one run.

    Args:
        requests: Descriptor on which a launcher asks.
        answers: Descriptor on which it is answered.
        base: Where runs are kept here.
        ended: Asked whether a signal wants the end.
        make_nodes: Makes the processes of a run from its folder here.
        bundle: What this host was given beforehand: it works for the launcher of that set alone. None: nothing, and
            for any.
    """

    def __init__(
        self,
        requests: int,
        answers: int,
        base: Path,
        ended: Callable[[], bool],
        *,
        make_nodes: Callable[[RunFolder], Nodes],
        bundle: Bundle | None,
    ) -> None:
        self._make_nodes = make_nodes
        self._requests, self._answers, self._base, self._wants_end = requests, answers, base, ended
        self._bundle = bundle
        self._frames = Frames()
        self._clock = OwnClock()
        self._heard_at = self._clock()
        self._open_ends = True
        self._left = False
        self._claim: HostClaim | None = None
        self._lease_s = _SILENT_S
        self._nodes: Nodes | None = None
        self._logs: Path | None = None
        self._told: set[str] = set()
        self._stack = ExitStack()

    def serve(self) -> None:
        """Serve until the lease is over or a signal ends it; nobody is left afterwards."""
        with self._stack:
            try:
                while not self._wants_end() and not self._is_over():
                    self._hear()
                    self._tell_ends()
            finally:
                if self._nodes is not None:
                    self._nodes.end()

    def _is_over(self) -> bool:
        if self._left:
            return True
        silent_s = self._clock() - self._heard_at
        alone = not self._open_ends or silent_s > _SILENT_S
        if self._claim is not None:
            self._claim.say(alone=alone)
        if self._nodes is None:
            return not self._open_ends
        return alone and silent_s > self._lease_s

    def _hear(self) -> None:
        """Wait a moment for requests, and do them."""
        if not self._open_ends:
            select.select([], [], [], _LOOK_EVERY_S)
            return
        ready, _, _ = select.select([self._requests], [], [], _LOOK_EVERY_S)
        if not ready:
            return
        arrived = os.read(self._requests, _CHUNK)
        if not arrived:
            self._open_ends = False
            return
        self._heard_at = self._clock()
        if self._claim is not None:
            self._claim.hear()
        for frame in self._frames.cut(arrived):
            self._do(frames.asked(frame))

    def _do(self, asked: Asked) -> None:
        try:
            answer: Told = Answer(asked.number, self._done(asked.request))
        except UserError as error:
            answer = Refusal(asked.number, mistake=True, text=str(error))
        except ForetellError as error:
            answer = Refusal(asked.number, mistake=False, text=str(error))
        except OSError as error:
            answer = Refusal(asked.number, mistake=True, text=f"{error.strerror}: {error.filename}")
        self._say(answer)

    def _done(self, request: Request) -> Any:
        match request:
            case RenewLease():
                return None
            case LeaveHost():
                self._left = True
                return None
            case OpenRun():
                return self._open(request)
            case LookInto(run):
                return self._look_into(run)
            case ReadLogs(begin) if self._logs is not None:
                return new_in_logs(self._logs, begin)
            case Examine(listens, dials) if self._nodes is not None:
                from scenarios.running.hosts.health.examining import examine  # noqa: PLC0415 - looks at plans, with pydantic

                return examine(listens, dials)
            case MeasureSpeed(slice_json) if self._nodes is not None:
                return _measured(slice_json)
        if self._nodes is None:
            raise ForetellError("expected a launcher to open a run first")
        return self._of_nodes(self._nodes, request)

    def _of_nodes(self, nodes: Nodes, request: Request) -> Any:
        match request:
            case StartNode(name, slice_json):
                self._told.discard(name)
                return nodes.start(name, slice_json)
            case StopNode(name):
                return nodes.stop(name)
            case ContinueNode(name):
                return nodes.go_on(name)
            case KillNodes(names):
                killed = nodes.kill(names)
                self._tell_ends()  # before the answer: then nobody takes it for the end of a process started anew
                return killed
            case EndNodes():
                in_order = list(nodes.end())
                self._told.clear()
                return in_order
            case _:
                return _of_checkpoints(request)

    def _open(self, asked: OpenRun) -> dict[str, object]:
        if (asked.version, asked.arithmetic) != (FORETELL, ARITHMETIC):
            msg = (
                f"expected Foretell {asked.version} with arithmetic {asked.arithmetic}, as the launcher has, found "
                f"{FORETELL} with arithmetic {ARITHMETIC}. Install one version for all"
            )
            raise UserError(msg)
        if self._claim is not None:
            raise ForetellError("expected one run, found another")
        root, files = self._base / _inside(asked.run), asked.files
        if self._bundle is not None:
            self._bundle.require(asked.bundle, asked.document)
            files = self._bundle.belongings()
        alone_in = root if self._bundle is None else self._base
        self._claim = self._stack.enter_context(claimed(alone_in))
        root.mkdir(exist_ok=True)
        os.chdir(root)
        folder = RunFolder(Path())
        folder.logs.mkdir(exist_ok=True)
        for path, content in files.items():
            place = Path(_inside(path))
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(place, content)
        self._lease_s = asked.lease_s
        self._nodes = self._make_nodes(folder)
        return {"pid": os.getpid(), "folder": str(root), "python": sys.version.split()[0]}

    def _look_into(self, run: str) -> None:
        self._logs = RunFolder(self._base / _inside(run)).logs
        if not self._logs.is_dir():
            msg = f"expected the folder of a run that was here, found none at {self._logs.parent}"
            raise UserError(msg)

    def _tell_ends(self) -> None:
        """Tell of those that have ended since the last look."""
        if self._nodes is None or not self._open_ends:
            return
        for name, end in self._nodes.ended().items():
            if name not in self._told:
                self._told.add(name)
                self._say(NodeEnded(name, end.code, end.said, str(end.log.absolute())))

    def _say(self, told: Told) -> None:
        if not self._open_ends:
            return
        left = memoryview(frames.packed(told))
        try:
            while left:
                left = left[os.write(self._answers, left) :]
        except OSError as error:
            _log.info("the launcher is gone: %s", error.strerror)
            self._open_ends = False


def _measured(slice_json: str) -> tuple[float, float, int]:
    """How long an agent computes here, found out where its algorithm can do no harm, and how many can at a time."""
    from scenarios.running.hosts.health.examining import cores  # noqa: PLC0415 - looks at plans, with pydantic

    told = Path("speed.json")

    def measure() -> str:
        from scenarios.running.speed import measure_speed  # noqa: PLC0415 - nobody else here needs an agent

        write_whole(told, json.dumps(measure_speed(slice_json)).encode())
        return ""

    call_apart(measure, "the algorithm")
    action_s, share_s = json.loads(told.read_bytes())
    return action_s, share_s, cores()


def _of_checkpoints(request: Request) -> Any:
    folder = RunFolder(Path()).checkpoints
    match request:
        case IntactKept(name):
            return sorted(FileCheckpoints(folder / name).intact())
        case ReadKept(name, episode):
            try:
                return checkpoint_bytes(FileCheckpoints(folder / name).read(episode))
            except CheckpointDamaged:
                return None
        case PruneKept(name, keep_from):
            return FileCheckpoints(folder / name).prune(keep_from)
        case ForgetKept(name, episode):
            return FileCheckpoints(folder / name).forget_after(episode)
        case NewestKept(name, count):
            return FileCheckpoints(folder / name).newest(count)
    msg = f"expected a request of a launcher, found {type(request).__name__}"
    raise ForetellError(msg)


def _inside(path: str) -> str:
    """A path that stays in the folder.

    Raises:
        UserError: It would not.
    """
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts:
        msg = f"expected a path inside the run's folder, found {path!r}"
        raise UserError(msg)
    return path
