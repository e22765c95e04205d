"""`foretell study search`: settings for every contender by successive halving, each with the same budget.

Every contender gets on every task as many candidates, the same rungs, and as many episodes played; candidates that try
other numbers of parallel copies have fewer or more training episodes instead. The seeds are others than those that
studies are evaluated with. The cells of a rung are cells like any other: done ones are not run again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import UserError
from broker.text_files import read_text
from scenarios.document.loading import MOST_BYTES, load_scenario, parse_settings
from scenarios.document.text.toml_text import parse_toml
from scenarios.reports.made import Made
from scenarios.reports.markdown import markdown_table
from scenarios.running.batch.cell import Cell, Group, Settings
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import given_document
from scenarios.running.batch.outcomes import Outcomes
from scenarios.running.batch.provenance import PROVENANCE, provenance, versions
from scenarios.studies.candidates import Candidate, draw_candidates, episodes_of, survivors
from scenarios.studies.cells import contender_settings, refuse_overrides
from scenarios.studies.names import check_algorithms, check_tasks
from scenarios.studies.sizes import SEARCH_RUNGS, quick_episodes
from scenarios.studies.study import CONTENDERS, SEARCHED, Choice, StudyTask
from scenarios.studies.tasks import EXCHANGE, EXCHANGE_NEAR, NAVIGATION, PREDATION, PREDATION_6

TASKS = (EXCHANGE, EXCHANGE_NEAR, NAVIGATION, *PREDATION)
FIRST_SEED = 101
"""Studies are evaluated on seeds from 1 on."""
_FIRST_OF_KIND = (EXCHANGE, NAVIGATION, PREDATION_6)
TUNED = "tuned.toml"
"""The best settings of a search, in its folder."""
_SERVES = "# A table named after a kind of environment serves each of its tasks that has none of its own."
RunCells = Callable[[Sequence[Cell]], None]


@dataclass(frozen=True)
class Contest:
    """One contender on one task.

    Attributes:
        task: The task.
        kind: Of its environment.
        scenario: Catalogue name of what is searched around.
        contender: Key of the contender.
        candidates: All that are tried, by number.
        games: Episodes that a candidate of the last rung plays, copies counted.
    """

    task: StudyTask
    kind: str
    scenario: str
    contender: str
    candidates: tuple[Candidate, ...]
    games: int

    @property
    def table(self) -> str:
        """Names its tables in `tuned.toml`: the first task of a kind of environment serves all of that kind."""
        return self.kind if self.task in _FIRST_OF_KIND else self.task.key


@dataclass(frozen=True)
class Tried:
    """One candidate in one rung.

    Attributes:
        contest: Of which contender and task.
        rung: From 0.
        candidate: Which.
        returns: Final team return of each run.
        games: Episodes played in all runs, copies counted.
        env_steps: Environment steps of all runs, all copies.
    """

    contest: Contest
    rung: int
    candidate: Candidate
    returns: tuple[float, ...]
    games: int
    env_steps: int

    @property
    def score(self) -> float:
        """Mean final team return."""
        return sum(self.returns) / len(self.returns)


def contests(choice: Choice) -> tuple[Contest, ...]:
    """Every contender on every task, as far as the user chose them.

    Raises:
        UserError: The user chose what the search has not, or sets what it varies.
    """
    tasks = TASKS if choice.quick else tuple(task for task in TASKS if task != EXCHANGE_NEAR)
    check_tasks("search", choice.tasks, tasks)
    check_algorithms("search", choice.algorithms, SEARCHED)
    found = tuple(
        _contest(task, contender, quick=choice.quick)
        for task in tasks
        if not choice.tasks or task.key in choice.tasks
        for contender in SEARCHED
        if not choice.algorithms or contender in choice.algorithms
    )
    tried = {path for contest in found for candidate in contest.candidates for path, _ in candidate.settings}
    refuse_overrides(choice, ("episodes", *sorted(tried)))
    return found


def count_cells(choice: Choice) -> int:
    """How many runs the whole search has."""
    return len(contests(choice)) * len(_seeds(choice)) * sum(count for count, _ in SEARCH_RUNGS)


def count_games(choice: Choice) -> int:
    """About how many episodes the whole search plays, copies counted: each run rounds its own."""
    games = sum(contest.games for contest in contests(choice))
    return round(games * len(_seeds(choice)) * sum(count * part for count, part in SEARCH_RUNGS))


def search(folder: Folder, choice: Choice, run: RunCells) -> tuple[list[Tried], list[Cell]]:
    """Run rung after rung.

    Args:
        folder: Of the search.
        choice: What the user asked for.
        run: Runs cells, or what is left of them.

    Returns:
        All that was tried, and all cells.
    """
    goes_on = {contest: tuple(range(SEARCH_RUNGS[0][0])) for contest in contests(choice)}
    tried: list[Tried] = []
    every: list[Cell] = []
    for rung, (_, part) in enumerate(SEARCH_RUNGS):
        cells = {
            (contest, number): _cells(contest, rung, contest.candidates[number], part, choice)
            for contest, numbers in goes_on.items()
            for number in numbers
        }
        flat = [cell for some in cells.values() for cell in some]
        run(flat)
        every += flat
        now = [
            _tried(folder, contest, rung, contest.candidates[number], some) for (contest, number), some in cells.items()
        ]
        tried += now
        if rung + 1 < len(SEARCH_RUNGS):
            count = SEARCH_RUNGS[rung + 1][0]
            scores = {
                contest: {t.candidate.number: t.score for t in now if t.contest is contest} for contest in goes_on
            }
            goes_on = {contest: survivors(scores[contest], count) for contest in goes_on}
    return tried, every


def write_search(folder: Folder, tried: Sequence[Tried], cells: Sequence[Cell], jobs: int, command: str) -> list[Path]:
    """Write what was found; returns the files.

    Raises:
        UserError: One cannot be written.
    """
    return folder.write(
        {
            "search.md": _page(tried, Made(command, versions())).encode(),
            TUNED: _tuned(tried).encode(),
            "search.json": f"{json.dumps([_numbers(each) for each in tried], indent=1)}\n".encode(),
            PROVENANCE: provenance(folder, cells, jobs).encode(),
        }
    )


def read_tuned(path: Path) -> Mapping[tuple[str, str], Settings]:
    """Settings by task or kind of environment, and contender, as a search left them.

    Raises:
        UserError: The file cannot be read or is no such file.
    """
    try:
        document = parse_toml(read_text(path, MOST_BYTES))
        return {
            (task, contender): tuple((name, json.dumps(value)) for name, value in settings.items())
            for task, contenders in document.items()
            for contender, settings in contenders.items()
        }
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise UserError(msg) from None
    except (tomllib.TOMLDecodeError, AttributeError, TypeError):
        msg = f"{path} is not what `foretell study search` writes: expected tables [task.algorithm] of settings"
        raise UserError(msg) from None


def _contest(task: StudyTask, contender: str, *, quick: bool) -> Contest:
    scenario = task.quick if quick else task.scenario
    own = contender_settings(CONTENDERS[contender], scenario)
    chosen = {"algorithm.name": CONTENDERS[contender].algorithm}
    plain = load_scenario(scenario, chosen | parse_settings(map("=".join, own)))
    episodes = quick_episodes("search", scenario) if quick else plain.episodes
    candidates = draw_candidates(plain, contender, SEARCH_RUNGS[0][0])
    return Contest(task, plain.environment.kind, scenario, contender, candidates, episodes * plain.parallel_episodes)


def _cells(contest: Contest, rung: int, candidate: Candidate, part: float, choice: Choice) -> list[Cell]:
    group = Group(contest.task.key, f"rung{rung}-candidate{candidate.number}", contest.contender)
    episodes = episodes_of(round(contest.games * part), candidate.copies)
    settings = (
        ("algorithm.name", CONTENDERS[contest.contender].algorithm),
        *CONTENDERS[contest.contender].settings,
        *candidate.settings,
        ("episodes", str(episodes)),
        *choice.settings,
    )
    return [Cell(group, seed, contest.scenario, settings) for seed in _seeds(choice)]


def _seeds(choice: Choice) -> range:
    count = choice.seeds if choice.seeds is not None else 1 if choice.quick else 2
    return range(FIRST_SEED, FIRST_SEED + count)


def _tried(folder: Folder, contest: Contest, rung: int, candidate: Candidate, cells: Sequence[Cell]) -> Tried:
    outcomes, given = Outcomes(folder), [given_document(folder, cell) for cell in cells]
    kept = [outcomes.of(cell) for cell in cells]
    games = sum(each.episodes * each.parallel_episodes for each in given)
    returns = tuple(each.last for each in kept)
    return Tried(contest, rung, candidate, returns, games, sum(each.env_steps for each in kept))


def _by_contest(tried: Sequence[Tried]) -> Iterator[tuple[Contest, list[Tried], Tried]]:
    """Each contest, all its tries, and the best of its last rung."""
    for contest in dict.fromkeys(each.contest for each in tried):
        own = [each for each in tried if each.contest == contest]
        last = [each for each in own if each.rung == len(SEARCH_RUNGS) - 1]
        yield contest, own, max(last, key=lambda each: (each.score, -each.candidate.number))


def _tuned(tried: Sequence[Tried]) -> str:
    lines = ["# Settings found by `foretell study search`, by task and algorithm.", _SERVES]
    for contest, _, best in _by_contest(tried):
        lines += ["", f"[{contest.table}.{contest.contender}]"]
        lines += [f'"{path}" = {value}' for path, value in best.candidate.settings]
    return "\n".join(lines) + "\n"


_ABOUT = """\
Every algorithm got on every task the same number of candidates, the same rungs and the same number of episodes played
(parallel copies counted); candidates were drawn by name, candidate 0 is the scenario as it is. Varied are for all both
learning rates, rounds, parallel copies and what ratios refer to; for anticipation sharing also rho (with two weights:
the same rho, and rho' / rho from 1/4 to 4), for value sharing what a neighbor's advantage counts (1/4 to 4), and
for those that mix parameters more choice of rounds, since every round is one step of consensus (1, 2, 3, 5 or 8
instead of 2, 3 or 5). Anticipation sharing thus competes twice, each time with the whole budget; calibrated weights
have one setting for all tasks and are not searched.

Candidates of a rung start anew; those with the highest final team return (sum over agents, last tenth of training, mean
over the search's seeds) go on, and candidate 0 in any case, since short runs favor fast starters. Environment steps
differ where episodes end early. The search's seeds begin at 101; studies are evaluated on others. A best of nine by one
seed is partly luck: what counts is the evaluation."""


_NEXT = """\
`tuned.toml` holds the best settings: `foretell study fig1 --quick --tuned tuned.toml`. All numbers: `search.json`."""


def _page(tried: Sequence[Tried], made: Made) -> str:
    paths = list(dict.fromkeys(path for each in tried for path, _ in each.candidate.settings))
    best_rows, budget_rows = [], []
    for contest, own, best in _by_contest(tried):
        rungs = range(len(SEARCH_RUNGS))
        scores = [next(e.score for e in own if e.rung == rung and e.candidate == best.candidate) for rung in rungs]
        settings = dict(best.candidate.settings)
        best_rows.append(
            (
                contest.task.label,
                contest.contender,
                str(best.candidate.number),
                *(f"{score:.2f}" for score in scores),
                *(settings.get(path, "").strip('"') for path in paths),
            )
        )
        tries = [str(len([e for e in own if e.rung == rung])) for rung in rungs]
        games, steps = sum(e.games for e in own), sum(e.env_steps for e in own)
        budget_rows.append((contest.task.label, contest.contender, ", ".join(tries), str(games), str(steps)))
    rung_heads = [f"return, rung {rung}" for rung in range(len(SEARCH_RUNGS))]
    parts = [
        "# Search: settings of every algorithm at equal budget",
        _ABOUT,
        "## Best settings",
        markdown_table(
            ("task", "algorithm", "candidate", *rung_heads, *(path.split(".")[-1] for path in paths)), best_rows
        ),
        "## Budget",
        markdown_table(
            ("task", "algorithm", "candidates per rung", "episodes played", "environment steps"), budget_rows
        ),
        "## How it was made",
        made.command_told,
        f"{_NEXT} {made.versions_told}",
    ]
    return "\n\n".join(parts) + "\n"


def _numbers(each: Tried) -> dict[str, Any]:
    return {
        "task": each.contest.task.key,
        "contender": each.contest.contender,
        "rung": each.rung,
        "candidate": each.candidate.number,
        "settings": dict(each.candidate.settings),
        "returns": list(each.returns),
        "games": each.games,
        "env_steps": each.env_steps,
    }
