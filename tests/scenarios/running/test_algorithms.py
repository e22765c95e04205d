"""What is true of whole runs of every algorithm."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journal_frames import frames_in
from runs import TINY, run_name, simulate_here
from scipy.stats import binomtest

from agent_node.experience.episode import Episode
from agent_node.learning.learner import Learner
from agent_node.learning.open_round import OpenRound
from agent_node.registry import BUILT_IN
from broker.arithmetic.chosen import kernels
from broker.arithmetic.sizes import Sizes
from broker.wire.codec import Codec
from broker.wire.messages import Hello, Share
from scenarios.document.loading import load_scenario
from scenarios.trials.quiet_run import try_out

ALGORITHMS = sorted(BUILT_IN)
PARAMETER_SHARING = ["dna-marl", "networked-actor-critic", "policy-sharing", "value-parameter-sharing"]
AGENTS = ("agent-0", "agent-1", "agent-2")
LOST = 'faults=[{kind="drop",probability=0.4}]'


def settings(*assignments: str) -> tuple[str, ...]:
    return tuple(part for assignment in assignments for part in ("--set", assignment))


@contextmanager
def patched(cls: type, name: str, replacement: Any) -> Iterator[None]:
    before = getattr(cls, name)
    setattr(cls, name, replacement)
    try:
        yield
    finally:
        setattr(cls, name, before)


# Every algorithm without an exchange


@pytest.mark.long
def test_with_every_round_skipped_all_algorithms_but_one_are_independent_learning(tmp_path: Path) -> None:
    """Those that share parameters start from common ones, and so are compared with independent agents that do.

    DNA-MARL has a target critic of its own, whoever is heard: skipped or lost is the same to it.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    rates = ("learning.actor_learning_rate=0.1", "learning.critic_learning_rate=0.1")
    skipped = ("exchange.skip_probability=1.0", *rates)
    for name in ALGORITHMS:
        for start in ("auto", "common"):
            found[name, start] = simulate_here(
                tmp_path / f"{name}-{start}",
                *("exchange-quick", "--episodes", "4", *TINY),
                *settings(f"algorithm.name={name}", f"learning.initial_parameters={start}", *skipped),
            )
    assert {summary["shares_sent"] for summary in found.values()} == {0}
    own, common = (found["independent", start]["curve_digest"] for start in ("auto", "common"))
    assert own != common
    for name in sorted({*ALGORITHMS} - {"dna-marl"}):
        assert found[name, "auto"]["curve_digest"] == (common if name in PARAMETER_SHARING else own)
        assert found[name, "common"]["curve_digest"] == common
    for name in ("value-sharing", "reward-sharing", "value-parameter-sharing"):  # who hold no networks but their own
        assert found[name, "common"]["weights_digest"] == found["independent", "common"]["weights_digest"]
    lost = ('faults=[{kind="drop",probability=1.0}]', "exchange.patience_s=0.5", *rates)
    alone = simulate_here(
        tmp_path / "lost", "exchange-quick", "--episodes", "4", *TINY, *settings("algorithm.name=dna-marl", *lost)
    )
    assert alone["weights_digest"] == found["dna-marl", "auto"]["weights_digest"]
    assert alone["weights_digest"] != found["independent", "common"]["weights_digest"]


# Random partners and skipped rounds


def exchanges(name: str, rounds: int, **exchange: Any) -> np.ndarray:
    """(rounds, agents, agents) bool: with whom each agent's learner was told to exchange, in a whole run."""
    said = np.zeros((rounds, 3, 3), bool)
    seen: dict[str, int] = dict.fromkeys(AGENTS, 0)
    opened = Learner.open_round

    def noted(self: Learner, episode: Episode, number: int, partners: tuple[str, ...]) -> OpenRound:
        round_ = opened(self, episode, number, partners)
        agent = round_.round.draws.agent
        for partner in partners:
            said[seen[agent], AGENTS.index(agent), AGENTS.index(partner)] = True
        seen[agent] += 1
        assert set(round_.outgoing) == (set() if name == "independent" else set(partners))
        return round_

    per_episode = 50
    small = {"parallel_episodes": 1, "environment.steps": 2, "learning.hidden": [3], "learning.rounds": per_episode}
    document = small | {"episodes": rounds // per_episode, "algorithm.name": name}
    scenario = load_scenario("exchange-quick", document | {f"exchange.{k}": v for k, v in exchange.items()})
    with patched(Learner, "open_round", noted), tempfile.TemporaryDirectory() as folder:
        try_out(scenario, Path(folder) / "run")
    assert set(seen.values()) == {rounds}
    return said


def assert_rate(hits: np.ndarray, expected: float) -> None:
    """Independent draws: their observed rate is inside the exact interval around the expected one."""
    interval = binomtest(int(hits.sum()), hits.size, expected).proportion_ci(0.999, "exact")
    assert interval.low <= expected <= interval.high, (int(hits.sum()), hits.size)


PAIRS = list(combinations(range(3), 2))


@pytest.mark.long
@pytest.mark.parametrize("name", ALGORITHMS)
def test_rounds_are_skipped_as_often_as_asked_by_system_agent_and_edge(name: str) -> None:
    system, agent, edge = (
        exchanges(name, 200, skip_probability=0.3, skip_scope=scope) for scope in ("system", "agent", "edge")
    )
    for said in (system, agent, edge):
        np.testing.assert_array_equal(said, said.transpose(0, 2, 1))
    everybody = ~np.eye(3, dtype=bool)
    assert all((round_ == everybody).all() or not round_.any() for round_ in system)
    assert_rate(system[:, 0, 1], 0.7)
    for one, other in PAIRS:
        assert_rate(agent[:, one, other], 0.7**2)
    assert_rate(np.stack([edge[:, one, other] for one, other in PAIRS]), 0.7)


@pytest.mark.long
@pytest.mark.parametrize("name", ALGORITHMS)
def test_random_partners_are_pairs_that_know_of_each_other_and_each_is_picked_as_often(name: str) -> None:
    """One of three picks one of two others: a pair is left out if neither picks the other, once in four."""
    said = exchanges(name, 200, mode="random-partner")
    np.testing.assert_array_equal(said, said.transpose(0, 2, 1))
    assert said.any(axis=2).all()
    for one, other in PAIRS:
        assert_rate(said[:, one, other], 0.75)


# Missing shares


def stale_counts(out: Path) -> list[float]:
    with sqlite3.connect(out / "run.sqlite") as database:
        (columns,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'rounds'").fetchone()
        assert "losses" in columns
        rows = database.execute("SELECT json_extract(losses, '$.stale') FROM rounds").fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("name", PARAMETER_SHARING)
def test_lost_parameters_are_made_up_for_by_older_ones_only_if_asked(tmp_path: Path, name: str) -> None:
    found = {}
    for late in ("drop", "reuse"):
        arguments = settings(f"algorithm.name={name}", LOST, f"exchange.late_shares={late}", "exchange.patience_s=0.5")
        found[late] = simulate_here(tmp_path / late, "exchange-quick", "--episodes", "5", *TINY, *arguments)
    assert found["drop"]["shares_missing"] == found["reuse"]["shares_missing"] > 0
    assert found["drop"]["weights_digest"] != found["reuse"]["weights_digest"]
    assert set(stale_counts(tmp_path / "drop")) == {None}
    reused = stale_counts(tmp_path / "reuse")
    assert 0 < sum(reused) <= found["reuse"]["shares_missing"]


@pytest.mark.parametrize("name", [*PARAMETER_SHARING, "reward-sharing", "value-sharing"])
def test_one_neighbor_whose_numbers_are_beyond_all_measure_is_rejected_and_the_others_learn_on(
    tmp_path: Path, name: str
) -> None:
    """A bit flipped in an exponent does as much; here all that agent-1 shares is so."""
    arguments = settings(
        f"algorithm.name={name}",
        'faults=[{kind="scaled",factor=1e20,probability=1.0,agents=["agent-1"],direction="out"}]',
    )
    found = simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "3", *TINY, *arguments)
    to_each_other = found["shares_sent"] // 3
    assert found["rejected"] == to_each_other
    assert found["shares_missing"] == to_each_other


def test_parameters_that_come_late_are_reused_in_the_round_they_came_in(tmp_path: Path) -> None:
    """Every share takes a round and a half; without reuse nobody ever hears anything."""
    late = 'faults=[{kind="delay",delay_s={distribution="constant",value_s=0.75}}]'
    found = {}
    for reuse in ("drop", "reuse"):
        arguments = settings(
            "algorithm.name=value-parameter-sharing", late, f"exchange.late_shares={reuse}", "exchange.patience_s=0.5"
        )
        found[reuse] = simulate_here(tmp_path / reuse, "exchange-quick", "--episodes", "3", *TINY, *arguments)
    assert {summary["shares_heard"] for summary in found.values()} == {0}
    assert found["drop"]["weights_digest"] != found["reuse"]["weights_digest"]
    reused = stale_counts(tmp_path / "reuse")
    assert 0 < sum(reused) < found["reuse"]["shares_missing"]


# Privacy: what a journal of a whole run shows


class Secrets:
    """What every learner knew in every round, and what it held for whom."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, int], dict[str, np.ndarray]] = {}
        self.own: dict[tuple[str, int], np.ndarray] = {}
        self.actions: dict[tuple[str, int], np.ndarray] = {}
        self.held: dict[tuple[str, str, int], np.ndarray] = {}
        self._rounds: dict[str, int] = dict.fromkeys(AGENTS, 0)
        self._begun: dict[str, dict[str, np.ndarray]] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """While a run goes on, note what stands behind each share."""
        opened = Learner.open_round

        def note(learner: Learner, episode: Episode, number: int, partners: tuple[str, ...]) -> OpenRound:
            valuing = learner.state()["critic/parameters"].copy()
            round_ = opened(learner, episode, number, partners)
            now, batch, state = round_.round, episode.batch, learner.state()
            name = now.draws.agent
            key = (name, self._rounds[name])
            self._rounds[name] += 1
            raw, values = now.advantages.copy(), values_of(valuing, batch.observations)
            if "target_critic" not in now.kept:  # values are what they are called
                np.testing.assert_array_equal(batch.advantages(values, 0.99, 0.98), raw)
            self.values[key] = {
                "rewards": batch.rewards.copy(),
                "returns": batch.returns.copy(),
                "advantages": raw,
                "normalized advantages": ((raw - raw.mean()) / raw.std()).astype(np.float32),
                "values": values,
                "critic": state["critic/parameters"].copy(),
                "policies": state["actor/parameters"].copy(),
                **{name: estimated.parameters for name, estimated in now.estimators.items()},
                **self._kept_since_the_start(name, now.kept),
            }
            self.own[key] = now.probabilities().copy()
            self.actions[key] = now.actions.copy()
            for partner in partners if len(now.log_probabilities) > 1 else ():
                self.held[name, partner, key[1]] = now.probabilities(partner).copy()
            return round_

        with patched(Learner, "open_round", note):
            yield

    def _kept_since_the_start(self, agent: str, kept: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What an algorithm keeps, but for numbers that have stayed as they began: these may be common to all."""
        begun = self._begun.setdefault(agent, {name: array.copy() for name, array in kept.items()})
        changed = {name: array[array != begun[name]] for name, array in kept.items()}
        return {name: array for name, array in changed.items() if array.size}


def values_of(parameters: np.ndarray, observations: np.ndarray) -> np.ndarray:
    """What a critic with TINY's hidden layer says."""
    sizes = Sizes(observations.shape[1], (8,), 1)
    return kernels.evaluate(sizes, parameters, [0], observations).outputs[0, :, 0]


def journaled(out: Path, name: str, *more: str, rounds: int = 2) -> tuple[dict[tuple[str, str, int], Share], Secrets]:
    """All shares on the edges between agents by (source, destination, number of the round), and all secrets."""
    secrets = Secrets()
    arguments = settings(f"algorithm.name={name}", "transport.journal=true", f"learning.rounds={rounds}", *more)
    with secrets.noted():
        simulate_here(out, "exchange-quick", "--episodes", "3", *TINY, *arguments)
    shares = {}
    for agent in AGENTS:
        codec = Codec(run_name(out), 1 << 24)
        for other in ("environment", *AGENTS):
            codec.allow(other, agent)
            codec.allow(agent, other)
        for direction, frame in frames_in(out / "journal" / f"{agent}.journal"):
            envelope = codec.decode(frame)
            if direction == "sent" and envelope.destination in AGENTS:
                assert isinstance(envelope.message, Share | Hello)
                if isinstance(envelope.message, Share):
                    number = envelope.message.episode * rounds + envelope.message.round
                    shares[agent, envelope.destination, number] = envelope.message
    assert len(shares) == 6 * 3 * rounds
    return shares, secrets


def leaks(shares: dict[tuple[str, str, int], Share], secrets: Secrets) -> set[str]:
    """The secrets of senders of which numbers are in their shares; two equal float32 in thousands may be chance."""
    found = set()
    for (source, _, number), share in shares.items():
        said = np.concatenate([array.ravel() for array in share.arrays.values() if array.dtype == np.float32])
        for name, secret in secrets.values[source, number].items():
            known = np.unique(secret[secret != 0])
            if np.isin(known, said).sum() > min(2, len(known) - 1):
                found.add(name)
    return found


def test_under_anticipation_sharing_nothing_crosses_an_edge_but_policies_actions_and_addressed_anticipations(
    tmp_path: Path,
) -> None:
    shares, secrets = journaled(
        tmp_path / "run", "anticipation-sharing", "algorithm.anticipation_sharing.weights=fixed"
    )
    for (source, destination, number), share in shares.items():
        assert share.arrays.keys() == {"policy", "actions", "anticipation", "samples"}
        np.testing.assert_array_equal(share.arrays["policy"], secrets.own[source, number])
        np.testing.assert_array_equal(share.arrays["actions"], secrets.actions[source, number])
        np.testing.assert_array_equal(share.arrays["anticipation"], secrets.held[source, destination, number])
        (third,) = set(AGENTS) - {source, destination}
        assert not np.allclose(share.arrays["anticipation"], secrets.held[source, third, number], atol=1e-3)
        assert share.arrays["samples"].dtype == np.uint8
    assert leaks(shares, secrets) == set()


def test_under_calibrated_weights_one_number_more_crosses_an_edge_and_it_is_none_of_the_secrets(tmp_path: Path) -> None:
    table = "algorithm.anticipation_sharing"
    more = (
        f"{table}.weights=calibrated",
        f"{table}.calibration.standard_errors=0",
        "learning.ratio_reference=behaviour",
    )
    shares, secrets = journaled(tmp_path / "run", "anticipation-sharing", *more)
    slopes = [share.arrays["slope"] for share in shares.values()]
    for (source, _, number), share in shares.items():
        assert share.arrays.keys() == {"policy", "actions", "anticipation", "samples", "acted", "slope"}
        first = secrets.own[source, number - number % 2]  # the policy that acted is that of the episode's round 0
        acted = np.take_along_axis(first, share.arrays["actions"][:, None].astype(np.int64), axis=1)[:, 0]
        np.testing.assert_array_equal(share.arrays["acted"], acted)
    assert {slope.shape for slope in slopes} == {(1,)}
    assert sum(slope.item() > 0 for slope in slopes) > len(slopes) // 2
    assert leaks(shares, secrets) == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("value-sharing", {"advantages"}),
        ("value-parameter-sharing", {"critic"}),
        ("networked-actor-critic", {"critic", "team_reward"}),
        ("dna-marl", {"critic"}),
        ("reward-sharing", {"rewards"}),
        ("policy-sharing", {"policies"}),
    ],
)
def test_the_same_look_finds_what_the_others_share_and_nothing_more(
    tmp_path: Path, name: str, expected: set[str]
) -> None:
    assert leaks(*journaled(tmp_path / "run", name)) == expected
