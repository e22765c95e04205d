"""What `foretell bench` measures: nothing here asserts how fast anything is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from limits import LIMIT_S
from message_cases import seen_of

from agent_node.experience.advantage import normalized
from agent_node.experience.episode import Episode
from agent_node.learning.learner import Learner
from agent_node.registry import load_algorithm
from broker.arithmetic.adam import Adam
from broker.arithmetic.chosen import kernels, possible
from broker.arithmetic.sizes import Sizes
from env_service.environments import make_task
from scenarios.bench.arithmetic import measure_kernels
from scenarios.bench.bare import BareEpisode, BareTrial, Perceptrons
from scenarios.bench.messages import measure_barriers
from scenarios.bench.overhead import Meter, measure_pace, measure_profile
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring

TINY = {
    "algorithm.anticipation_sharing.weights": "fixed",
    "parallel_episodes": 4,
    "episodes": 3,
    "environment.steps": 6,
    "learning.hidden": [8, 6],
    "learning.rounds": 2,
}


# The bare script computes what the agents compute


@pytest.fixture
def agents():
    plan = make_plan(load_scenario("exchange-quick", TINY))
    configs = [plan.agent(name, Wiring("test", {})) for name in plan.agents]
    return {
        config.link.name: Learner(config, load_algorithm(config.algorithm.name)(config.learning, config.algorithm))
        for config in configs
    }


def played(learners: list[Learner], scenario) -> tuple[BareEpisode, list[Episode]]:
    """All agents live through one episode; returns what the bare script would have noted of it, and what each did."""
    copies, steps = scenario.parallel_episodes, scenario.environment.steps
    task = make_task(scenario.environment, copies, 0)
    # Openings are rare in so few steps: rewards of any kind will do, and a copy that ends early tests the mask.
    generator = np.random.default_rng(5)
    task.reset(generator)
    observations = generator.normal(size=(steps + 1, copies, task.observation_size)).astype(np.float32)
    rewards = generator.normal(size=(steps, copies, len(learners))).astype(np.float32)
    ended = np.zeros((steps + 1, copies), np.uint8)
    ended[3:, 0], ended[steps, 1:] = 1, 2
    valid = ended[:-1] == 0
    rewards[~valid] = 0
    actions = np.zeros((steps, copies, len(learners)), np.int64)
    lived = []
    for index, learner in enumerate(learners):
        learner.begin_episode(0)
        for step in range(steps + 1):
            reward = rewards[step - 1, :, index] if step else np.zeros(copies, np.float32)
            _, data = seen_of(observations[step], reward, ended[step])
            if step < steps:
                actions[step, :, index] = learner.act(step, data)
        learner.see(steps, data)
        lived.append(learner.end_episode())
    seen, taken = torch.from_numpy(observations[:-1][valid]), torch.from_numpy(actions[valid].T)
    return BareEpisode(seen, taken, rewards, valid), lived


def give(networks: Perceptrons, rows: torch.Tensor, sizes: Sizes) -> None:
    """Put the parameters `rows` (R, P) into the bare script's networks."""
    with torch.no_grad():
        for number, row in enumerate(rows.numpy()):
            for layer, parts in zip(networks.layers, sizes.layers_of(row), strict=True):
                for tensor, part in zip(layer, parts, strict=True):
                    tensor[number] = torch.from_numpy(part).reshape(tensor[number].shape)


def gradient(networks: Perceptrons) -> torch.Tensor:
    """Gradient (R, P) in the order of the agents' parameters."""
    return torch.cat([tensor.grad.flatten(1) for layer in networks.layers for tensor in layer], dim=1)


def in_order_of_agents(rows: list[np.ndarray]) -> torch.Tensor:
    """Each agent's rows (own first, then its neighbors in order) as row i * N + j for agent i and agent j."""
    agents = range(len(rows))
    orders = [[i, *(j for j in agents if j != i)] for i in agents]
    return torch.cat([torch.from_numpy(rows[i])[[orders[i].index(j) for j in agents]] for i in agents])


@pytest.mark.long
def test_the_bare_script_and_the_agents_have_the_same_advantages_and_gradients(agents):
    """An agent's gradient is seen in Adam's first moment, which after the first step is a tenth of it."""
    scenario = load_scenario("exchange-quick", TINY)
    bare, learners = BareTrial(scenario), list(agents.values())
    episode, lived = played(learners, scenario)
    assert 0 < episode.actions.shape[1] < episode.valid.size
    actor, critic = (Sizes(episode.observations.shape[1], tuple(TINY["learning.hidden"]), width) for width in (6, 1))
    before = [{name: array.copy() for name, array in learner.state().items()} for learner in learners]
    give(bare.actors, in_order_of_agents([state["actor/parameters"] for state in before]), actor)
    seen, critics = episode.observations.numpy(), [state["critic/parameters"] for state in before]
    values = np.stack([kernels.evaluate(critic, own, [0], seen).outputs[0, :, 0] for own in critics])
    advantages = bare.advantages(episode, values)
    opened = {
        name: learner.open_round(own, 0, tuple(other for other in agents if other != name))
        for (name, learner), own in zip(agents.items(), lived, strict=True)
    }
    for name, learner in agents.items():
        heard = {other: one.outgoing[name] for other, one in opened.items() if other != name}
        learner.close_round(opened[name], heard, {})
    bare.policy_losses(episode, advantages).sum().backward()
    moments = [learner.state()["actor/first"] for learner in learners]
    ours = in_order_of_agents(moments) / (1 - Adam.BETA1)
    own = [torch.from_numpy(normalized(one.round.advantages)) for one in opened.values()]
    assert torch.allclose(advantages, torch.stack(own), atol=1e-5)
    assert ours.abs().max() > 1e-3
    assert torch.allclose(gradient(bare.actors), ours, rtol=1e-4, atol=1e-6)


def test_a_copy_that_has_ended_gives_the_bare_script_no_samples():
    bare = BareTrial(load_scenario("exchange-quick", TINY))
    episode = bare.play()
    assert episode.actions.shape == (3, episode.valid.sum())
    assert len(episode.observations) == episode.valid.sum()
    bare.learn(episode)
    assert all(tensor.isfinite().all() for layer in bare.actors.layers for tensor in layer)


# Overhead


def test_the_parts_of_the_profile_add_up_to_the_loop():
    profile = measure_profile(load_scenario("exchange-quick", TINY), lambda _: None)
    named = {part.name: part for part in profile.parts}
    assert sum(part.ms for part in profile.parts) == pytest.approx(profile.total_ms)
    assert all(part.ms >= 0 for part in profile.parts)
    assert {name for name, part in named.items() if not part.overhead} == {
        "environment",
        "mathematics: acting",
        "mathematics: learning",
        "mathematics: making shares",
    }
    assert named["environment"].ms > 0
    assert named["mathematics: learning"].calls == 3 * (1 + 2 * 2)  # no digest of weights: how a run ends is left out
    assert named["mathematics: making shares"].calls == 2 * 3 * 2 * 2  # made and completed, 2 partners in 2 rounds
    assert 0 < profile.overhead < 1


class Ticking:
    """A clock that goes on by a second with every look at it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


def test_what_a_timed_function_spends_in_another_counts_once():
    clock = Ticking()
    meter = Meter(clock)
    inner = meter.timed("inner", clock)
    outer = meter.timed("outer", lambda: (inner(), clock(), inner()))
    outer()
    assert meter.spent_s == {"inner": 4, "outer": 4}  # seven looks between the outer two, two seconds in each inner
    assert meter.calls == {"inner": 2, "outer": 1}
    assert meter.inner_calls == {"outer": 2}


def test_after_a_profile_nothing_is_timed_any_more():
    before = Learner.act
    measure_profile(load_scenario("exchange-quick", TINY), lambda _: None)
    assert Learner.act is before


def test_ours_and_the_bare_script_take_turns():
    pace = measure_pace(load_scenario("exchange-quick", TINY), 2, 1)
    assert pace.copies == 4
    assert min(pace.ours_ms, pace.bare_ms, pace.ratio) > 0


# Messages and start-up


@pytest.mark.long
def test_barriers_are_counted_for_both_loops():
    barrier = measure_barriers(2, 1, 0.05)
    assert min(barrier.bare, barrier.ours, barrier.ratio) > 0
    assert min(barrier.timestep_bytes, barrier.action_bytes) > 0


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "scenarios.commands.main", "bench", *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_startup_finds_everybodys_memory_and_leaves_no_process(tmp_path):
    document = tmp_path / "three.toml"
    document.write_text(load_scenario("exchange-quick", TINY).to_toml())
    mark = uuid.uuid4().hex
    ended = bench("startup", "--scenario", str(document), FORETELL_TEST=mark)
    assert ended.returncode == 0, ended.stderr
    for name in ("3 agents", "environment", "fork server", "resource tracker", "launcher", "total"):
        row = next(line for line in ended.stdout.splitlines() if name in line)
        assert all(float(figure) > 0 for figure in re.findall(r"\d+\.\d", row)), row
    assert re.search(r"startup: [1-9]\d* MB of PSS in all", ended.stdout)
    assert not [process for process in Path("/proc").glob("[0-9]*") if mark in environment_of(process)]


def environment_of(process: Path) -> str:
    try:
        return (process / "environ").read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.processes
def test_help_lists_the_benchmarks():
    told = bench("--help").stdout
    assert all(name in told for name in ("arithmetic", "messages", "overhead", "startup"))
    assert "kernels" in bench("arithmetic", "--help").stdout


@pytest.mark.long
def test_kernels_are_measured_beside_torch_in_every_call():
    costs = measure_kernels({"fast": next(iter(possible().values()))}, 1)
    kinds = [cost.call.split(":")[0] for cost in costs]
    assert kinds == ["evaluate, descend", "log_softmax"] * 4 + ["act"] * 2
    assert all(set(cost.least_us) == {"torch", "fast"} and 0 < cost.ratio("fast") < float("inf") for cost in costs)


def test_what_journals_cost_is_measured_at_both_ends_of_messages_of_two_sizes():
    from scenarios.bench.journal import SIZES_BYTES, measure_journals

    costs = measure_journals(1)
    assert [cost.array_bytes for cost in costs] == list(SIZES_BYTES)
    assert all(cost.bare_us > 0 for cost in costs)
