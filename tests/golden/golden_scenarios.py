"""The golden scenarios: what they are, what came of each here, and where that parts from what digests.toml holds.

Used by the tests and by tools/golden.py; needs no pytest and no torch.
"""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import tomli_w

from broker.arithmetic.version import ARITHMETIC
from scenarios.document.environment_file import with_environment_file
from scenarios.document.loading import parse_scenario
from scenarios.document.scenario import Scenario
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.running.ways import WayName
from scenarios.trials.quiet_run import try_out

HERE = Path(__file__).parent
DOCUMENTS = HERE / "documents.toml"
DIGESTS = HERE / "digests.toml"
_HEAD = """\
# What the golden scenarios of documents.toml gave, on every machine. Written by tools/golden.py, never by hand:
#     python tools/golden.py --renew "why the bits differ now"
# document, curve, weights, ledger: SHA-256. returns: a line an episode, a hex float an agent. learned: a line an
# episode, for each agent 8 digits of SHA-256 over the figures of its rounds.

"""
_SHORT = 8
_SHOWN = 16
_KEPT = ("curve", "weights", "ledger")


@dataclass(frozen=True)
class Outcome:
    """What came of a golden scenario.

    Attributes:
        document: SHA-256 of how documents.toml describes it.
        curve: SHA-256 of its returns, as in `summary.json`.
        weights: SHA-256 of all final parameters.
        ledger: SHA-256 of what its faults did.
        returns: A line an episode: each agent's return as a hex float.
        learned: A line an episode: for each agent the beginning of a SHA-256 over the figures of its rounds.
    """

    document: str
    curve: str
    weights: str
    ledger: str
    returns: tuple[str, ...]
    learned: tuple[str, ...]


@dataclass(frozen=True)
class Renewal:
    """One change of the digests on purpose.

    Attributes:
        arithmetic: The arithmetic's version then.
        reason: Why the bits differ from those before.
    """

    arithmetic: int
    reason: str


@dataclass(frozen=True)
class Digests:
    """digests.toml.

    Attributes:
        arithmetic: Of what version of the arithmetic these are.
        renewals: Every change, the newest last.
        outcomes: By name of the golden scenario.
    """

    arithmetic: int
    renewals: tuple[Renewal, ...]
    outcomes: Mapping[str, Outcome]

    def write(self) -> None:
        """Write digests.toml."""
        document = {
            "arithmetic": self.arithmetic,
            "renewals": [asdict(renewal) for renewal in self.renewals],
            "outcomes": {name: asdict(outcome) for name, outcome in self.outcomes.items()},
        }
        DIGESTS.write_text(_HEAD + tomli_w.dumps(document), encoding="utf-8")


@cache
def _documents() -> dict[str, Any]:
    return tomllib.loads(DOCUMENTS.read_text(encoding="utf-8"))


def names() -> list[str]:
    """The golden scenarios, in the order of documents.toml."""
    return list(_documents()["cases"])


def _described(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    settings = dict(_documents()["cases"][name])
    return _documents()["bases"][settings.pop("base")], settings


def document_digest(name: str) -> str:
    """SHA-256 of how documents.toml describes a golden scenario: the same while new settings get defaults."""
    described = json.dumps(_described(name), sort_keys=True)
    brought = (HERE / "uneven.py").read_bytes() if '"uneven"' in described else b""
    return sha256(described.encode() + brought).hexdigest()


def scenario_of(name: str) -> Scenario:
    """The document of a golden scenario, checked as every other is."""
    base, settings = _described(name)
    return with_environment_file(parse_scenario(tomli_w.dumps(base), settings), HERE)


def played(name: str, way: WayName = "simulate") -> Outcome:
    """Play a golden scenario in this process, or as processes, and see what came of it."""
    with tempfile.TemporaryDirectory(prefix="golden-") as root:
        folder = Path(root) / "run"
        summary = try_out(scenario_of(name), folder, way)
        returns, learned = _episodes(RunFolder(folder))
    return Outcome(
        document_digest(name),
        summary.curve_digest,
        summary.weights_digest,
        summary.ledger_digest,
        returns,
        learned,
    )


def _episodes(folder: RunFolder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    returns: defaultdict[int, list[str]] = defaultdict(list)
    figures: defaultdict[int, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    with read_store(folder.store) as store:
        for row in store.episodes():
            returns[row.episode].append(float(row.value).hex())
        for round_ in sorted(store.rounds(), key=lambda row: (row.episode, row.agent, row.round)):
            figures[round_.episode][round_.agent].append(f"{round_.partners} {round_.heard} {round_.losses}")
    learned = [
        " ".join(sha256("\n".join(told).encode()).hexdigest()[:_SHORT] for _, told in sorted(agents.items()))
        for _, agents in sorted(figures.items())
    ]
    return tuple(" ".join(line) for _, line in sorted(returns.items())), tuple(learned)


@cache
def kept() -> Digests:
    """What digests.toml holds."""
    found = tomllib.loads(DIGESTS.read_text(encoding="utf-8"))
    outcomes = {
        name: Outcome(**{key: tuple(value) if isinstance(value, list) else value for key, value in outcome.items()})
        for name, outcome in found["outcomes"].items()
    }
    return Digests(found["arithmetic"], tuple(Renewal(**each) for each in found["renewals"]), outcomes)


def parted(name: str, found: Outcome, kernels: str) -> str:
    """Where `found` parts from what is kept, what that means and what to do; empty where it does not.

    Args:
        name: Of the golden scenario.
        found: What came of it here.
        kernels: Which kernels computed here.
    """
    expected = kept().outcomes.get(name)
    if expected is None:
        return f"golden scenario {name!r} has no digests yet: python tools/golden.py --renew 'why it is there'"
    if expected.document != found.document:
        return f"golden scenario {name!r} is described otherwise than when its digests were made: renew them on purpose"
    if expected == found:
        return ""
    differs = [
        f"{kind} {getattr(expected, kind)[:_SHOWN]} expected, {getattr(found, kind)[:_SHOWN]} found"
        for kind in _KEPT
        if getattr(expected, kind) != getattr(found, kind)
    ]
    return (
        f"golden scenario {name!r} parted from digests.toml (arithmetic {kept().arithmetic}, kernels {kernels}):\n"
        f"  {'; '.join(differs) or 'the digests are equal, what was recorded on the way is not'}\n"
        f"  first {_first(expected, found)}\n"
        "A run of this code here cannot be repeated with the code, or on the machine, that made the digests.\n"
        "Nothing was meant to change: a sum has another order, a product is not rounded before it is added, or exp or "
        "log is a library's (docs/portability.md says how to find it).\n"
        f"A definition was changed on purpose: raise ARITHMETIC in broker/arithmetic/version.py (now {ARITHMETIC}), "
        'then python tools/golden.py --renew "why"'
    )


def _first(expected: Outcome, found: Outcome) -> str:
    """The first place in the order of the run at which they part."""
    for episode, what, agent in _partings(expected, found):
        return f"in episode {episode}: {what} of agent-{agent}"
    if expected.ledger != found.ledger:
        return "in what faults did: delays or their order, not learning"
    return "in the last parameters: all returns and figures are equal"


def _partings(expected: Outcome, found: Outcome) -> Iterator[tuple[int, str, int]]:
    lengths = len(expected.returns), len(found.returns), len(expected.learned), len(found.learned)
    for episode in range(max(lengths)):
        for what, one, two in (
            ("the return", expected.returns, found.returns),
            ("what was learned", expected.learned, found.learned),
        ):
            left, right = (each[episode].split() if episode < len(each) else [] for each in (one, two))
            for agent in range(max(len(left), len(right))):
                if left[agent : agent + 1] != right[agent : agent + 1]:
                    yield episode, what, agent
