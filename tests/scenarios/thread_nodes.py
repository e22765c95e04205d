"""Nodes in memory: participants as threads of this process, over real sockets; for tests of what stands above nodes."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from agent_node.build import make_agent
from agent_node.config import AgentConfig
from broker.driving.connect import make_codec, open_transport, refitted
from broker.driving.interruption import Interrupted, Interruption
from broker.driving.process import DONE, take_part
from broker.participants.link import LinkConfig
from broker.transports.transport import Transport
from broker.transports.wrapped import WrappedTransport
from broker.wire.messages import ENVIRONMENT, Envelope
from env_service.build import make_environment_within
from env_service.config import ServiceConfig
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.nodes import NodeEnd, ended_in_order
from scenarios.running.processes.this_host import ThisHost

KILLED, BROKE = -9, 1
_LOOK_EVERY_S = 0.05


class Killed(BaseException):
    """A thread has to end as if the system had killed its process."""


class Gate:
    """Stands before everything that a participant hears and says, and may never let it pass again."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.stands_still = threading.Event()
        self.killed = self.asked_to_end = False

    def stop(self) -> None:
        self.stands_still.clear()
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    def pass_(self) -> None:
        while not self._open.wait(_LOOK_EVERY_S) and not self.killed:
            self.stands_still.set()
        if self.killed:
            raise Killed
        if self.asked_to_end:
            self.asked_to_end = False
            raise Interrupted


class GatedTransport(WrappedTransport):
    """A transport behind a gate."""

    def __init__(self, inner: Transport, gate: Gate) -> None:
        super().__init__(inner)
        self._gate = gate

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        self._gate.pass_()
        super().send_all(envelopes)

    def poll(self, now: float) -> list[Envelope]:
        self._gate.pass_()
        return super().poll(now)

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        self._gate.pass_()
        super().wait(_LOOK_EVERY_S if timeout_s is None else min(timeout_s, _LOOK_EVERY_S), awaited)
        self._gate.pass_()

    def totals(self) -> list[Any]:
        self._gate.pass_()
        return super().totals()

    def close(self, linger_s: float) -> None:
        super().close(0.0 if self._gate.killed else linger_s)


class _Node:
    """One participant's thread."""

    def __init__(self, name: str, slice_json: str, folder: RunFolder) -> None:
        self.name = name
        self.gate = Gate()
        self.code: int | None = None
        self.said = ""
        self._slice_json = slice_json
        self._log = folder.log(name)
        self.thread = threading.Thread(target=self._live, name=f"node-{id(self)}", daemon=True)
        self.thread.start()

    @property
    def id(self) -> int:
        return self.thread.native_id or 0

    def _live(self) -> None:
        handler = _Said(self.thread.name)
        logging.getLogger("foretell").addHandler(handler)
        logging.getLogger("foretell").setLevel(logging.INFO)  # as a process of its own has it
        try:
            code = self._take_part()
        except Killed:
            code = KILLED
        except Exception as error:  # as of a process that breaks
            handler.lines += traceback.format_exc().splitlines()
            handler.lines.append(repr(error))
            code = BROKE
        finally:
            logging.getLogger("foretell").removeHandler(handler)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_text("\n".join(handler.lines), encoding="utf-8")
        self.said = handler.lines[-1] if handler.lines and code > DONE else ""
        self.code = code

    def _take_part(self) -> int:
        make: Callable[..., Any]
        with ExitStack() as beside:
            if self.name == ENVIRONMENT:
                service = ServiceConfig.model_validate_json(self._slice_json)
                make, link = partial(make_environment_within, beside, service), service.link
            else:
                agent = AgentConfig.model_validate_json(self._slice_json)
                make, link = partial(make_agent, agent), agent.link
            return take_part(make, link, self._connect, Interruption())

    def _connect(self, link: LinkConfig) -> Transport:
        gated = GatedTransport(open_transport(link, make_codec(link)), self.gate)
        faults = "[" + ",".join(fault.model_dump_json() for fault in link.faults) + "]"
        return refitted(link, gated, faults) if link.faults else gated


class _Said(logging.Handler):
    """What one thread says."""

    def __init__(self, thread: str) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName == self._thread:
            self.lines.append(record.getMessage())


class ThreadNodes:
    """Threads of this process; see `scenarios.running.nodes.Nodes`."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._nodes: dict[str, _Node] = {}

    def start(self, name: str, slice_json: str) -> None:
        self._nodes[name] = _Node(name, slice_json, self._folder)

    def stop(self, name: str) -> int | None:
        node = self._nodes.get(name)
        if node is None or node.code is not None:
            return None
        node.gate.stop()
        while not node.gate.stands_still.wait(_LOOK_EVERY_S):
            if node.code is not None:
                return None
        return node.id

    def go_on(self, name: str) -> None:
        if name in self._nodes:
            self._nodes[name].gate.go_on()

    def kill(self, names: Collection[str]) -> dict[str, int]:
        victims = [self._nodes[name] for name in names if name in self._nodes and self._nodes[name].code is None]
        for node in victims:
            node.gate.killed = True
        for node in victims:
            node.thread.join()
        return {node.name: node.id for node in victims if node.code == KILLED}

    def ended(self) -> Mapping[str, NodeEnd]:
        return {
            name: NodeEnd(node.code, node.said, self._folder.log(name))
            for name, node in self._nodes.items()
            if node.code is not None
        }

    def end(self) -> Collection[str]:
        for node in self._nodes.values():
            node.gate.asked_to_end = True
            node.gate.go_on()
        for node in self._nodes.values():
            node.thread.join()
        codes = {name: node.code for name, node in self._nodes.items()}
        self._nodes.clear()
        return [name for name, code in codes.items() if code is not None and ended_in_order(code)]


@contextmanager
def in_threads(plan: Plan, folder: RunFolder, observer: Observer) -> Iterator[ThisHost]:
    """This process, as the place of a run's participants."""
    yield ThisHost(plan, folder, ThreadNodes(folder))
