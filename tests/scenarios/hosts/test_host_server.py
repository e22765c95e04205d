"""What a host does with requests that are wrong, early, late or somebody else's; in this process, over pipes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from limits import LIMIT_S
from runs import until

from broker.arithmetic.version import ARITHMETIC
from broker.errors import ForetellError
from broker.release import FORETELL
from scenarios.running.hosts import claim, server
from scenarios.running.hosts.bundle import Bundle, Manifest
from scenarios.running.hosts.claim import claimed
from scenarios.running.hosts.frames import (
    Answer,
    Asked,
    Frames,
    IntactKept,
    KillNodes,
    NodeEnded,
    OpenRun,
    Refusal,
    RenewLease,
    Request,
    StopNode,
    packed,
    told,
)
from scenarios.running.hosts.server import Host
from scenarios.running.nodes import NodeEnd
from scenarios.running.processes.forked_nodes import ForkedNodes


class Pipe:
    """A host in a thread, and the launcher's end of its pipe."""

    def __init__(self, base: Path, bundle: Bundle | None = None) -> None:
        (requests, self._asking), (self._hearing, answers) = os.pipe(), os.pipe()
        self._descriptors = [requests, answers, self._hearing]
        self.wants_end = False
        nodes = partial(ForkedNodes, counters=None)
        self.host = Host(requests, answers, base, lambda: self.wants_end, make_nodes=nodes, bundle=bundle)
        self.raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self._number, self._frames = 0, Frames()

    def ask(self, request: Request) -> Any:
        self._number += 1
        self.write(packed(Asked(self._number, request)))
        return self.hear()

    def write(self, content: bytes) -> None:
        os.write(self._asking, content)

    def hear(self) -> Any:
        while True:
            for frame in self._frames.cut(os.read(self._hearing, 1 << 16)):
                return told(frame)

    def leave(self) -> None:
        if self._asking >= 0:
            os.close(self._asking)
            self._asking = -1

    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def close(self) -> None:
        self.wants_end = True
        self.leave()
        self._thread.join()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _serve(self) -> None:
        try:
            self.host.serve()
        except ForetellError as error:
            self.raised.append(error)


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    monkeypatch.chdir(tmp_path)  # the host goes into its folder, and this process with it
    made = Pipe(tmp_path)
    yield made
    made.close()


def opening(run: str = "tiny", lease_s: float = 20.0, **changes: Any) -> OpenRun:
    said = {"version": FORETELL, "arithmetic": ARITHMETIC, "files": {}} | changes
    return OpenRun(run=run, participants=(), lease_s=lease_s, **said)


def test_nothing_is_done_before_a_run_is_opened(pipe):
    assert pipe.ask(StopNode("agent-0")) == Refusal(1, mistake=False, text="expected a launcher to open a run first")


@pytest.mark.parametrize("changes", [{"version": "0.0.9"}, {"arithmetic": ARITHMETIC + 1}])
def test_another_foretell_is_refused_by_both_versions(pipe, changes):
    answer = pipe.ask(opening(**changes))
    assert answer.mistake
    assert f"found {FORETELL} with arithmetic {ARITHMETIC}. Install one version for all" in answer.text


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", ""])
def test_no_file_and_no_run_lies_outside_of_the_folder(pipe, tmp_path, path):
    assert "expected a path inside the run's folder" in pipe.ask(opening(files={path: b"x"})).text
    assert not (tmp_path.parent / "outside").exists()


def test_files_lie_in_the_folder_of_the_run(pipe, tmp_path):
    answer = pipe.ask(opening(files={"keys/agent-0/secret": b"s"}))
    assert isinstance(answer, Answer)
    assert (tmp_path / "tiny" / "keys" / "agent-0" / "secret").read_bytes() == b"s"


def test_who_is_not_there_is_neither_stopped_nor_killed_and_has_kept_nothing(pipe):
    pipe.ask(opening())
    requests = (StopNode("agent-0"), KillNodes(("agent-0",)), IntactKept("agent-0"))
    assert [pipe.ask(request).value for request in requests] == [None, {}, []]


class Killable:
    """Nodes of which everybody can be killed once."""

    def __init__(self) -> None:
        self._ended: dict[str, NodeEnd] = {}

    def kill(self, names: Collection[str]) -> dict[str, int]:
        self._ended |= {name: NodeEnd(-9, "", Path("log")) for name in names}
        return dict.fromkeys(names, 1)

    def ended(self) -> dict[str, NodeEnd]:
        return self._ended

    def end(self) -> None:
        pass


def test_who_is_killed_is_told_of_before_the_answer_lest_it_be_taken_for_the_end_of_whoever_is_started_next(pipe):
    pipe.ask(opening())
    pipe.host._nodes = Killable()
    first = pipe.ask(KillNodes(("agent-0",)))
    assert isinstance(first, NodeEnded)
    assert (first.name, first.code) == ("agent-0", -9)


def test_what_is_no_frame_ends_the_host_with_a_sentence(pipe):
    pipe.write(b"Welcome to Raspberry Pi OS!\n")
    until(pipe.has_ended, "the end of the host")
    assert "expected frames of `foretell host`, found b'Welcome" in str(pipe.raised)


def test_without_a_launcher_a_host_ends_when_its_lease_is_over(pipe):
    pipe.ask(opening(lease_s=0.3))
    assert not pipe.has_ended()
    pipe.leave()
    until(pipe.has_ended, "the end of the host")


@contextmanager
def heard(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A launcher that says again and again that it is there, while another one waits to see whether it is."""
    monkeypatch.setattr(claim, "_GIVES_UP_WITHIN_S", LIMIT_S)
    enough = threading.Event()

    def renew() -> None:
        while not enough.is_set():
            pipe.ask(RenewLease())

    launcher = threading.Thread(target=renew)
    launcher.start()
    yield
    enough.set()
    launcher.join()


def test_a_second_launcher_is_refused_as_soon_as_the_first_is_heard(pipe, tmp_path, monkeypatch):
    pipe.ask(opening())
    refused = pytest.raises(ForetellError, match="another launcher works on this run")
    with heard(pipe, monkeypatch), refused, claimed(tmp_path / "tiny"):
        pass
    assert not pipe.has_ended()


def test_a_launcher_takes_over_where_the_first_is_heard_no_more(pipe, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_SILENT_S", 0.3)

    def end(_number: int, _frame: FrameType | None) -> None:
        pipe.wants_end = True  # as the process of a host does; here its id is that of the test

    before = signal.signal(signal.SIGTERM, end)
    try:
        pipe.ask(opening())
        with claimed(tmp_path / "tiny"):  # the connection of the first stays open
            assert pipe.wants_end
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    monkeypatch.chdir(tmp_path)
    files = {"keys/agent-0/secret": b"s", "control/curve.secret": b"c"}
    for path, content in files.items():
        (tmp_path / "bundle" / path).parent.mkdir(parents=True)
        (tmp_path / "bundle" / path).write_bytes(content)
    digests = {path: sha256(content).hexdigest() for path, content in files.items()}
    manifest = Manifest(
        run="set",
        host="pi1",
        document="d",
        version=FORETELL,
        arithmetic=ARITHMETIC,
        participants=("agent-0",),
        listen="",
        files=digests,
    )
    made = Pipe(tmp_path / "runs", Bundle(tmp_path / "bundle", manifest))
    yield made
    made.close()


def test_a_host_with_a_bundle_takes_keys_from_it_alone(bundled, tmp_path):
    said = bundled.ask(opening(bundle="set", document="d", files={"keys/agent-0/secret": b"another"}))
    assert isinstance(said, Answer), said
    kept = tmp_path / "runs" / "tiny"
    assert {path.name: path.read_bytes() for path in kept.rglob("*secret")} == {"secret": b"s"}


@pytest.mark.parametrize(("bundle", "document"), [("other", "d"), ("set", "e"), ("", "")])
def test_a_host_with_a_bundle_refuses_the_launcher_of_another_set(bundled, tmp_path, bundle, document):
    answer = bundled.ask(opening(bundle=bundle, document=document))
    assert answer.mistake
    assert "Give all hosts and the launcher bundles of one `foretell bundle`" in answer.text
    assert not (tmp_path / "runs").exists()


def test_a_bundle_serves_one_run_at_a_time(bundled, tmp_path, monkeypatch):
    bundled.ask(opening("first", bundle="set", document="d"))
    refused = pytest.raises(ForetellError, match="another launcher works on this run")
    with heard(bundled, monkeypatch), refused, claimed(tmp_path / "runs"):
        pass
