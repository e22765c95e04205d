"""The pytest plugin: simulate or run a scenario with faults, and assert on learning and on delivery.

    def test_learning_survives_losses(foretell):
        run = foretell.simulate("exchange-quick", episodes=50, faults=[{"kind": "drop", "probability": 0.1}])
        run.no_share_used_after_its_round()
        run.returns_at_least(0.5)        # of the twin without faults

A failing assertion says the seed, and the command that plays the run again.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from scenarios.results.folder import RunFolder

if TYPE_CHECKING:  # every test session of this environment imports the plugin
    from scenarios.document.scenario import Scenario
    from scenarios.results.summary import Summary

Fault = Mapping[str, Any]


class FaultRun:
    """A finished run, and what can be asserted of it. Each assertion raises AssertionError with how to replay the run.

    Attributes:
        scenario: The document that ran.
        summary: Its figures.
        folder: Its files.
    """

    def __init__(
        self, scenario: Scenario, summary: Summary, folder: RunFolder, substrate: str, twin: Callable[[], Summary]
    ) -> None:
        self.scenario = scenario
        self.summary = summary
        self.folder = folder
        self._substrate = substrate
        self._twin = twin

    def returns_at_least(self, part: float, *, of: float | None = None) -> None:
        """The final team return is at least `part` of that of the twin without faults, or of the number `of`."""
        found = self.summary.team_return_last
        reference = self._twin().team_return_last if of is None else of
        assert found is not None  # noqa: S101 - a finished run has episodes
        assert reference is not None  # noqa: S101
        wanted = reference - abs(reference) * (1 - part)
        self._claim(
            found >= wanted,
            f"a final team return of at least {wanted:.3f} ({part:g} of {reference:.3f}), found {found:.3f}",
        )

    def recovers_within(self, rounds: int, *, after_episode: int) -> None:
        """From so many rounds after the beginning of an episode on, every share is heard."""
        a_round = self.scenario.learning.rounds
        bad = self._ask(
            "SELECT episode, round FROM rounds WHERE heard < partners AND (episode - ?) * ? + round >= ? "
            "ORDER BY episode, round LIMIT 1",
            (after_episode, a_round, rounds),
        )
        where = f", found missing ones in round {bad[0][1]} of episode {bad[0][0]}" if bad else ""
        self._claim(
            not bad, f"every share heard from {rounds} rounds after the beginning of episode {after_episode}{where}"
        )

    def no_share_used_after_its_round(self) -> None:
        """No update used more shares than were heard in its round, late ones counted as missing."""
        wrong = self._ask("SELECT count(*) FROM rounds WHERE heard > partners", ())[0][0]
        stale = sum(
            "stale" in json.loads(row[0]) and json.loads(row[0])["stale"] > 0
            for row in self._ask("SELECT losses FROM rounds", ())
        )
        late = self.summary.shares_late <= self.summary.shares_missing
        self._claim(
            not wrong and not stale and late, f"no share used after its round, found {wrong + stale} rounds that did"
        )

    def no_agent_starved(self, *, at_least: float = 0.1) -> None:
        """Every agent heard at least this part of the shares it was to hear."""
        starved = [
            f"{agent} ({heard} of {partners})"
            for agent, partners, heard in self._ask(
                "SELECT agent, sum(partners), sum(heard) FROM rounds GROUP BY agent", ()
            )
            if heard < at_least * partners
        ]
        self._claim(not starved, f"every agent to hear {at_least:.0%} of its shares; starved: {', '.join(starved)}")

    def fault_hit(self, fault: str, *, at_least: int = 1) -> None:
        """A fault struck so many messages or processes."""
        struck = self._ask("SELECT coalesce(sum(hits), 0) FROM fault_counts WHERE fault = ?", (fault,))[0][0]
        struck += self._ask("SELECT count(*) FROM process_faults WHERE fault = ?", (fault,))[0][0]
        self._claim(struck >= at_least, f"fault {fault} to strike at least {at_least} times, found {struck}")

    def ledger_fits(self) -> None:
        """What the faults did is what the scenario asks for."""
        from scenarios.document.planning import make_plan  # noqa: PLC0415
        from scenarios.results.proof import verify_ledger, verify_strikes  # noqa: PLC0415

        sentences = [
            *verify_ledger(self.scenario, self.folder.store),
            *verify_strikes(make_plan(self.scenario), self.folder.store),
        ]
        self._claim(not sentences, f"a ledger that fits; {'; '.join(sentences)}")

    def replay(self) -> str:
        """The command that plays this run again."""
        return f"foretell {self._substrate} {shlex.quote(str(self.folder.scenario))} --seed {self.scenario.seed}"

    def _claim(self, holds: bool, expectation: str) -> None:
        if not holds:
            msg = f"expected {expectation}\nseed {self.scenario.seed}; again with: {self.replay()}"
            raise AssertionError(msg)

    def _ask(self, question: str, values: Sequence[Any]) -> list[Any]:
        with closing(sqlite3.connect(self.folder.store)) as store:
            return store.execute(question, values).fetchall()


class Foretell:
    """Plays scenarios for tests; see the fixture `foretell`.

    Args:
        root: Where the runs go.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._runs = 0
        self._twins: dict[str, Summary] = {}

    def simulate(self, scenario: str, faults: Sequence[Fault] | None = None, **settings: Any) -> FaultRun:
        """Simulate a scenario in this process, in virtual time.

        Args:
            scenario: Catalogue name or path.
            faults: Instead of the scenario's.
            settings: Any other setting; `__` stands for the dot (`learning__rounds=2`).
        """
        return self._play("simulate", self._document(scenario, faults, settings))

    def run(self, scenario: str, faults: Sequence[Fault] | None = None, **settings: Any) -> FaultRun:
        """Run a scenario as processes, in real time; arguments as for `simulate`."""
        return self._play("run", self._document(scenario, faults, settings))

    def _play(self, substrate: Literal["simulate", "run"], document: Scenario) -> FaultRun:
        from scenarios.trials.quiet_run import try_out  # noqa: PLC0415

        folder = self._next()
        summary = try_out(document, folder.root, substrate)
        return FaultRun(document, summary, folder, substrate, lambda: self._twin(document))

    def _document(self, scenario: str, faults: Sequence[Fault] | None, settings: Mapping[str, Any]) -> Scenario:
        from scenarios.document.loading import load_scenario  # noqa: PLC0415

        values = {name.replace("__", "."): value for name, value in settings.items()}
        if faults is not None:
            values["faults"] = [dict(fault) for fault in faults]
        return load_scenario(scenario, values)

    def _twin(self, scenario: Scenario) -> Summary:
        """The figures of the scenario without its faults."""
        from scenarios.trials.quiet_run import try_out  # noqa: PLC0415

        twin = scenario.model_copy(update={"faults": ()})
        key = twin.model_dump_json()
        if key not in self._twins:
            self._twins[key] = try_out(twin, self._next().root)
        return self._twins[key]

    def _next(self) -> RunFolder:
        self._runs += 1
        return RunFolder(self._root / f"run-{self._runs}")


@pytest.fixture
def foretell(tmp_path: Path) -> Foretell:
    """Simulates or runs scenarios with faults; what they leave lies in the test's own folder."""
    return Foretell(tmp_path)
