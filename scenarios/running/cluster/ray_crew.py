"""The cells of a study on the nodes of a Ray cluster, a task each; their runs come home."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from agent_node.policy_files import place_of_policy
from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.files import write_whole
from broker.release import FORETELL
from broker.text_files import read_text
from broker.wire.messages import ENVIRONMENT
from scenarios.document.loading import MOST_BYTES, parse_scenario
from scenarios.document.scenario import Scenario
from scenarios.results.folder import RunFolder
from scenarios.running.batch.cell import Cell
from scenarios.running.cluster.cell_task import Files, play_cell, write_files
from scenarios.running.cluster.connected import RayCluster
from scenarios.running.cluster.ray_hosts import sentence
from scenarios.running.hosts.belongings import belongings, told_there
from scenarios.running.hosts.client import LOST

_RETRIES = 3
"""How often a cell is begun anew whose node, or Ray's process there, was lost."""
_ENDS_WITHIN_S = 10.0


class RayCrew:
    """See `scenarios.running.batch.crew.Crew`.

    Args:
        cluster: Its nodes compute.
        foretell: The words that start the command line as a process; the interpreter is the one of each node.
    """

    def __init__(self, cluster: RayCluster, foretell: Sequence[str]) -> None:
        self._cluster, self._ray = cluster, cluster.api
        self._words = tuple(foretell[1:])
        self._task = self._ray.remote(num_cpus=1, max_retries=_RETRIES, scheduling_strategy="SPREAD")(play_cell)
        self._under_way: dict[Any, tuple[Cell, Homecoming]] = {}

    def start(self, cell: Cell, given: Path, run: RunFolder, log: Path, *, goes_on: bool) -> None:
        """Begin the run of a cell; one begun here does not go on there, but stays until the other one has come home."""
        log.open("ab").close()
        with self._cluster.asked():
            told = self._task.remote(self._words, (FORETELL, ARITHMETIC), parcel(given))
        self._under_way[told] = (cell, Homecoming(run, given, log, goes_on=goes_on))

    def reap(self) -> dict[Cell, int]:
        """The exit codes of those that have ended, whose runs are here."""
        if not self._under_way:
            return {}
        with self._cluster.asked():
            ended, _ = self._ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=0)
        return {self._under_way[told][0]: self._take(told) for told in ended}

    def end(self) -> None:
        """Cancel what is under way: its runs will be made anew."""
        left = list(self._under_way)
        self._under_way.clear()
        with suppress(UserError), self._cluster.asked():  # a cluster that is lost ends them itself
            for told in left:
                self._ray.cancel(told)
            if left:
                self._ray.wait(left, num_returns=len(left), timeout=_ENDS_WITHIN_S, fetch_local=False)

    def _take(self, told: Any) -> int:
        _, homecoming = self._under_way.pop(told)
        try:
            code, said, files = self._ray.get(told)
        except self._ray.exceptions.RayError as error:
            code, said, files = LOST, f"{sentence(error)}\n".encode(), {}
        homecoming.take(int(code), said, files)
        return int(code)


@dataclass(frozen=True)
class Homecoming:
    """Where a run goes that comes home.

    Attributes:
        run: Its folder.
        given: The document that names the user's code by its place here.
        log: Takes what its process said.
        goes_on: Whether the folder holds one that goes on here.
    """

    run: RunFolder
    given: Path
    log: Path
    _: KW_ONLY
    goes_on: bool

    def take(self, code: int, said: bytes, files: Files) -> None:
        """Put it there; where one goes on, only one that came to its end takes its place.

        Args:
            code: The exit code of its process.
            said: By that process.
            files: Of its folder; none where it was lost.

        Raises:
            OSError: It cannot be written.
        """
        with self.log.open("ab") as log:
            log.write(said)
        if files and (code == 0 or not self.goes_on):
            unpack(files, self.run, self.given)


def parcel(given: Path) -> Files:
    """A document, and what it names by its place on this host, to be found beside it on another."""
    scenario = parse_scenario(read_text(given, MOST_BYTES), {})
    begun = scenario.initial_policy
    policy = Path() if begun is None else place_of_policy(begun.path)
    files = belongings(scenario, (ENVIRONMENT,), policy=policy, keys=None)
    told = Scenario.model_validate_json(told_there(scenario.model_dump_json()))
    return {"scenario.toml": told.to_toml().encode()} | files


def unpack(files: Files, run: RunFolder, given: Path) -> None:
    """Put a run's folder where it would be had it been run here, in the place of what is there; whole or not at all.

    Args:
        files: What came home.
        run: Its folder.
        given: The document that names the user's code by its place here.
    """
    arriving = RunFolder(run.root.with_name(f".{run.root.name}.arriving"))
    shutil.rmtree(arriving.root, ignore_errors=True)
    arriving.root.mkdir()
    write_files(arriving.root, files)
    wanted = parse_scenario(read_text(given, MOST_BYTES), {})
    if getattr(wanted.environment, "file", None) is not None and arriving.scenario.exists():
        found = parse_scenario(read_text(arriving.scenario, MOST_BYTES), {})
        write_whole(arriving.scenario, found.model_copy(update={"environment": wanted.environment}).to_toml().encode())
    if run.root.exists():
        shutil.rmtree(run.root)
    arriving.root.rename(run.root)
