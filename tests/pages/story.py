"""One page, told: its blocks are executed in order, in one folder, as a reader would who copies them.

| block | what is done |
|---|---|
| `sh` | each line by bash; it ends with 0, unless stories.toml knows better |
| `text` | what the lines of the block before it print, `...` for what is left out |
| `python` | executed, all of a page in one namespace, tests by pytest; `# name.py` in its first line makes a file |
| `toml` | read as what it is: see documents.py; `# name.toml` makes a file |
| `yaml`, `ini` | read |
| `{...}` | left to Sphinx, which builds the page (tests/test_site.py) |
| without a language | a drawing, in which no command stands |
"""

from __future__ import annotations

import json
import random
import re
import signal
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages.desk import Desk
from pages.documents import load_block
from pages.door import Door
from pages.page import ROOT, Block, blocks_of
from pages.telling import Telling, read_stories
from ports import free_ports
from runs import until

from broker.errors import UserError
from scenarios.commands.exit_codes import ExitCode
from scenarios.results.reader import read_store

PROGRAMS = ("foretell", "make", "python", "pip", "pytest", "ssh", "scp", "ray", "podman", "kubectl", "tar", "git")
DIGESTS = ("curve_digest", "weights_digest")
_NAMED = re.compile(r"# (\S+\.(?:py|toml))\n")


@dataclass
class Story:
    """A page while it is told.

    Attributes:
        desk: Where it happens.
        telling: What is done otherwise.
        always: Text that is replaced on every page where it stands.
        net: Of the hosts of the page: 127.NET.0.1 and so on, which nobody else uses.
        port: The first of eight that nobody uses.
        executed: Lines of shells, as the pages have them, that have been executed.
    """

    desk: Desk
    telling: Telling
    always: dict[str, str]
    executed: list[str] = field(default_factory=list)
    net: str = field(default_factory=lambda: str(random.randrange(1, 255)))
    port: str = field(default_factory=lambda: str(free_ports(8)))
    _said: str = ""
    _known: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    _tests: list[str] = field(default_factory=list)
    _replaced: set[str] = field(default_factory=set)

    def tell(self, blocks: list[Block]) -> None:
        """Execute all that stands on the page."""
        for line in self.telling.before:
            self._line(line, "before the page")
        with self._run_beside() if self.telling.beside else nullcontext():
            for block in blocks:
                self._tell(block)
        self._run_tests()
        for claim in self.telling.holds:
            assert eval(claim, self._known), claim
        self._compare()
        self._nothing_is_left_over()

    @contextmanager
    def _run_beside(self) -> Iterator[None]:
        """A run goes on until all is told, and is interrupted then."""
        said = self.desk.folder / ".bin" / "beside"
        with self.desk.start(self._shorter(self.telling.beside), said) as run:
            try:
                until(lambda: self._has_played() or run.poll() is not None, "the first episode of the run beside")
                assert run.poll() is None, said.read_text()
                yield
            finally:
                run.send_signal(signal.SIGINT)
        assert run.returncode == ExitCode.INTERRUPTED, said.read_text()

    def _has_played(self) -> bool:
        for store in self.desk.folder.glob("runs/*/run.sqlite"):
            with suppress(UserError), read_store(store) as reader:
                return reader.count_episodes() > 0
        return False

    def _nothing_is_left_over(self) -> None:
        """See that stories.toml speaks of what the page has."""
        unused = set(self.telling.instead) - self._replaced
        assert not unused, f"stories.toml replaces what the page does not say any more: {sorted(unused)}"
        missed = {*self.telling.exactly, *self.telling.ends, *self.telling.says} - set(self.executed)
        assert not missed, f"stories.toml knows lines that the page does not have any more: {sorted(missed)}"

    def _tell(self, block: Block) -> None:
        match block.language:
            case "sh":
                self._said = "".join(self._line(line, block.place) for line in told_lines(block, self.telling))
            case "text":
                self._is_shown(block)
            case "python":
                self._execute(block)
            case "toml":
                load_block(block.text, self._file(block))
            case "yaml":
                assert yaml.safe_load(block.text), block.place
            case "ini":
                RawConfigParser().read_string(block.text, block.place)
            case "":
                stray = [line for line in block.lines if line.split()[0] in PROGRAMS]
                assert not stray, f"{block.place}: a drawing has a command, so say what it is (```sh): {stray}"
            case directive:
                assert directive.startswith("{"), f"{block.place}: expected a language of story.py, found {directive!r}"

    def _line(self, line: str, place: str) -> str:
        """Execute a line of a shell; what it prints."""
        bare = bare_line(line)
        self.executed.append(bare)
        done = self.desk.run(line if bare in self.telling.exactly else self._shorter(line))
        said = done.stdout + done.stderr
        assert done.returncode == self.telling.ends.get(bare, 0), (
            f"{place}: {line}\nended with {done.returncode}\n{said}"
        )
        assert "Traceback" not in said, f"{place}: {line}\n{said}"
        assert self.telling.says.get(bare, "") in said, f"{place}: {line}\n{said}"
        return done.stdout

    def _shorter(self, text: str) -> str:
        for said, other in {**self.telling.instead, **self.always}.items():
            if said in text:
                self._replaced.add(said)
                text = text.replace(said, other.replace("NET", self.net).replace("PORT", self.port))
        return text

    def _is_shown(self, block: Block) -> None:
        """See that what the page shows is what was printed, or what the committed run says."""
        if self.telling.shown_by:
            _fits_summary(block, json.loads((ROOT / self.telling.shown_by).read_text(encoding="utf-8")))
            return
        printed = iter(line.rstrip() for line in self._said.splitlines())
        for line in block.text.splitlines():
            assert line == "..." or line.rstrip() in printed, f"{block.place}: {line}\nis not shown:\n{self._said}"

    def _execute(self, block: Block) -> None:
        if re.search(r"^def test_", block.text, re.MULTILINE):
            self._tests.append(block.text)
            return
        self._file(block)
        exec(compile(self._shorter(block.text), block.place, "exec"), self._known)

    def _file(self, block: Block) -> Path | None:
        """The file that a block is, if its first line says so."""
        named = _NAMED.match(block.text)
        if named is None:
            return None
        path = self.desk.folder / named[1]
        path.write_text(self._shorter(block.text), encoding="utf-8")
        return path

    def _run_tests(self) -> None:
        if self._tests:
            (self.desk.folder / "test_of_page.py").write_text("\n\n".join(self._tests), encoding="utf-8")
            done = self.desk.run("pytest -q --rootdir . test_of_page.py")
            assert done.returncode == 0, done.stdout

    def _compare(self) -> None:
        for group in self.telling.equal:
            found = {folder: [self._summary(folder)[name] for name in DIGESTS] for folder in group}
            assert len(set(map(tuple, found.values()))) == 1, found
        for group in self.telling.differ:
            weights = {folder: self._summary(folder)["weights_digest"] for folder in group}
            assert len(set(weights.values())) == len(group), weights

    def _summary(self, folder: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.desk.folder / folder / "summary.json").read_text(encoding="utf-8"))
        return found


def bare_line(line: str) -> str:
    """A line of a shell without its comment."""
    return re.split(r"(?:^|\s)#\s", line)[0].strip()


def told_lines(block: Block, telling: Telling) -> list[str]:
    """The lines that are executed: a block whose first line is left out is left out whole, any other line alone."""
    lines = [line for line in block.lines if bare_line(line)]
    if lines and bare_line(lines[0]) in telling.left_out:
        return []
    return [line for line in lines if bare_line(line) not in telling.left_out]


def tell_page(name: str, door: Door, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Execute a page in a folder of its own.

    Args:
        name: Of the page, from the root of the repository.
        door: What its shells call `foretell`.
        root: A folder that is empty.
        monkeypatch: Takes back what is changed meanwhile.
    """
    stories = read_stories()
    site, folder = root / "site", root / "page"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    telling = stories.of(name)
    desk = Desk(folder, site)
    desk.furnish(door, telling.files)
    monkeypatch.chdir(folder)
    Story(desk, telling, stories.always).tell(blocks_of(ROOT / name))


def _fits_summary(block: Block, summary: dict[str, Any]) -> None:
    """See that the figures of a shown ending are those of a summary."""
    shown = re.search(r"team return +(\S+) -> (\S+)", block.text)
    assert shown is not None, block.place
    assert list(shown.groups()) == [f"{summary[name]:.2f}" for name in ("team_return_first", "team_return_last")]
    for name in DIGESTS:
        said = re.search(rf"{name.replace('_', ' ')} +([0-9a-f]{{64}})", block.text)
        assert said is not None, f"{block.place}: {name}"
        assert said[1] == summary[name], f"{block.place}: {name}"
