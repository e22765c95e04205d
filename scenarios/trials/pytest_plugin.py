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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from broker.counting import counted, listed
from scenarios.results.folder import RunFolder

if TYPE_CHECKING:  # every test session of this environment imports the plugin
    from scenarios.document.scenario import Scenario
    from scenarios.results.reader import RunReader
    from scenarios.results.summary import Summary

Fault = Mapping[str, Any]
_SHOWN = 8


class FaultRun:
    """A finished run, and what can be asserted of it. Each assertion raises AssertionError with how to replay the run.

    Attributes:
        scenario: The document that ran.
        summary: What came of it.
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

    def returns_at_least(self, part: float = 1.0, *, of: float | None = None) -> None:
        """The final team return is at least `part` of that of the twin without faults, or of the number `of`."""
        if of is None:
            has_twin = bool(self.scenario.faults) or self._substrate != "simulate"
            self._claim(has_twin, "a scenario with faults, found none, so its twin would be itself: set `of=`")
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
        """From so many rounds after the beginning of an episode on, every share is heard, and there is one to hear."""
        in_episode = self.scenario.learning.rounds
        with self._store() as store:
            behind = [
                (found.episode, found.round, found.heard < found.partners)
                for found in store.rounds()
                if found.partners and (found.episode - after_episode) * in_episode + found.round >= rounds
            ]
        bad = min(((episode, number) for episode, number, misses in behind if misses), default=None)
        where = f", found missing ones in round {bad[1]} of episode {bad[0]}" if bad else ""
        if not behind:
            played = f"{counted(self.summary.episodes, 'episode')} of {counted(in_episode, 'round')}"
            where = f", found no share to hear from there on: the run has {played}"
        self._claim(
            bool(behind) and not bad,
            f"every share heard from {counted(rounds, 'round')} after the beginning of episode {after_episode}{where}",
        )

    def no_share_used_after_its_round(self) -> None:
        """No update used more shares than were heard in its round, late ones counted as missing."""
        with self._store() as store:
            found = list(store.rounds())
        wrong = sum(each.heard > each.partners for each in found)
        stale = sum(json.loads(each.losses).get("stale", 0) > 0 for each in found)
        late = self.summary.shares_late <= self.summary.shares_missing
        exchanged = any(each.partners for each in found)
        told = f"{counted(wrong + stale, 'round')} that did" if exchanged else "no round in which one was to be heard"
        self._claim(exchanged and not wrong and not stale and late, f"no share used after its round, found {told}")

    def no_agent_starved(self, *, at_least: float = 0.1) -> None:
        """Every agent was to hear shares, and heard at least this part of them."""
        rounds: Counter[str] = Counter()
        partners: Counter[str] = Counter()
        heard: Counter[str] = Counter()
        with self._store() as store:
            names = store.agent_names()
            for found in store.rounds():
                rounds[found.agent] += 1
                partners[found.agent] += found.partners
                heard[found.agent] += found.heard
        starved = [
            f"{names.told(agent)} ({f'{heard[agent]} of {partners[agent]}' if rounds[agent] else 'no round'})"
            for agent in names.by_id
            if not partners[agent] or heard[agent] < at_least * partners[agent]
        ]
        self._claim(not starved, f"every agent to hear {at_least:.0%} of its shares; starved: {', '.join(starved)}")

    def fault_hit(self, fault: str, *, at_least: int = 1) -> None:
        """A fault of the run struck so many messages or processes; one that came to somebody gone struck nobody."""
        from scenarios.results.answers import struck  # noqa: PLC0415

        with self._store() as store:
            known = sorted(self.scenario.fault_names | {live.name for live in store.live_faults()})
            named = f"the name of a fault of the run, {listed(known, _SHOWN)}" if known else "a run with faults"
            self._claim(fault in known, f"{named}, found {fault!r}")
            hits = sum(count.hits for count in store.fault_counts() if count.fault == fault)
            hits += sum(strike.fault == fault for strike in struck(store.strikes()))
        self._claim(hits >= at_least, f"fault {fault} to strike at least {counted(at_least, 'time')}, found {hits}")

    def ledger_fits(self) -> None:
        """What the faults did is what the scenario asks for."""
        from scenarios.document.planning import make_plan  # noqa: PLC0415
        from scenarios.results.proof.mismatches import mismatches  # noqa: PLC0415

        plan = make_plan(self.scenario)
        sentences = [*map(plan.names.tell, mismatches(plan, self.folder.store))]
        self._claim(not sentences, f"a ledger that fits; {'; '.join(sentences)}")

    def replay(self) -> str:
        """The command that plays this run again."""
        return f"foretell {self._substrate} {shlex.quote(str(self.folder.scenario))} --seed {self.scenario.seed}"

    def _claim(self, holds: bool, expectation: str) -> None:
        if not holds:
            msg = f"expected {expectation}\nseed {self.scenario.seed}; again with: {self.replay()}"
            raise AssertionError(msg)

    def _store(self) -> AbstractContextManager[RunReader]:
        from scenarios.results.reader import read_store  # noqa: PLC0415

        return read_store(self.folder.store)


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
        from scenarios.api.playing import document_of  # noqa: PLC0415

        values = {name.replace("__", "."): value for name, value in settings.items()}
        return document_of(scenario, values, faults=faults)

    def _twin(self, scenario: Scenario) -> Summary:
        """The summary of the scenario without its faults."""
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
