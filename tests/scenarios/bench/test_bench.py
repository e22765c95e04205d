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

from agent_node.learning.learner import Learner
from agent_node.learning.networks import Evaluation
from agent_node.registry import load_algorithm
from env_service.environments import make_task
from scenarios.bench.bare import BareTrial, Episode, Perceptrons
from scenarios.bench.messages import measure_barriers
from scenarios.bench.overhead import measure_pace, measure_profile
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring

TINY = {
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
    return [
        Learner(config, load_algorithm(config.algorithm.name)(config.learning, config.algorithm)) for config in configs
    ]


def played(learners: list[Learner], scenario) -> Episode:
    """All agents live through one episode; returns the same as the bare script would have noted it."""
    copies, steps = scenario.parallel_episodes, scenario.environment.steps
    task = make_task(scenario.environment, copies)
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
    for index, learner in enumerate(learners):
        learner.begin_episode(0)
        for step in range(steps + 1):
            reward = rewards[step - 1, :, index] if step else np.zeros(copies, np.float32)
            _, data = seen_of(observations[step], reward, ended[step])
            if step < steps:
                actions[step, :, index] = learner.act(step, data)
        learner.see(steps, data)
        learner.end_episode()
    return Episode(torch.from_numpy(observations[:-1][valid]), torch.from_numpy(actions[valid].T), rewards, valid)


def give(networks: Perceptrons, rows: torch.Tensor, layout) -> None:
    """Put the parameters `rows` (R, P) into the bare script's networks."""
    pieces = torch.split(rows, layout.pieces, dim=1)
    with torch.no_grad():
        for number, layer in enumerate(networks.layers):
            for tensor, piece in zip(layer, pieces[2 * number : 2 * number + 2], strict=True):
                tensor.copy_(piece.reshape(tensor.shape))


def gradient(networks: Perceptrons) -> torch.Tensor:
    """Gradient (R, P) in the order of the agents' parameters."""
    return torch.cat([tensor.grad.flatten(1) for layer in networks.layers for tensor in layer], dim=1)


def in_order_of_agents(learners: list[Learner], rows: list[torch.Tensor]) -> torch.Tensor:
    """Each agent's rows (own first, then its neighbors) as row i * N + j for agent i and agent j."""
    count = len(learners)
    return torch.cat([rows[i][[learners[i]._rows[f"agent-{j}"] for j in range(count)]] for i in range(count)])


def test_the_bare_script_and_the_agents_have_the_same_advantages_and_gradients(agents):
    scenario = load_scenario("exchange-quick", TINY)
    bare = BareTrial(scenario)
    episode = played(agents, scenario)
    assert 0 < episode.actions.shape[1] < episode.valid.size
    give(
        bare.actors, in_order_of_agents(agents, [a._actor.parameters.clone() for a in agents]), agents[0]._actor.layout
    )
    values = torch.stack(
        [Evaluation(a._critic.layout, a._critic.parameters, episode.observations).outputs[0, :, 0] for a in agents]
    )
    advantages = bare.advantages(episode, values.numpy())
    names = [a._name for a in agents]
    shares = {a._name: a.open_round(tuple(n for n in names if n != a._name)) for a in agents}
    rounds = []
    for agent in agents:
        heard = {name: shares[name][agent._name] for name in names if name != agent._name}
        now, aligned, _ = agent._take_in(heard, {})
        rounds.append(now)
        agent._algorithm.loss(now, aligned).total.backward()
    bare.policy_losses(episode, advantages).sum().backward()
    ours = in_order_of_agents(agents, [agent._evaluation.gradient(agent._logits.grad) for agent in agents])
    assert torch.allclose(advantages, torch.stack([now.advantages for now in rounds]), atol=1e-5)
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
    }
    assert named["environment"].ms > 0
    assert named["mathematics: learning"].calls == 3 * (1 + 2 * 2) + 1  # each agent's digest, once in three episodes
    assert 0 < profile.overhead < 1


def test_after_a_profile_nothing_is_timed_any_more():
    before = Learner.act
    measure_profile(load_scenario("exchange-quick", TINY), lambda _: None)
    assert Learner.act is before


def test_ours_and_the_bare_script_take_turns():
    pace = measure_pace(load_scenario("exchange-quick", TINY), 2, 1)
    assert pace.copies == 4
    assert min(pace.ours_ms, pace.bare_ms, pace.ratio) > 0


# Messages and start-up


def test_barriers_are_counted_for_both_loops():
    barrier = measure_barriers(2, 1, 0.05)
    assert min(barrier.bare, barrier.ours, barrier.ratio) > 0
    assert min(barrier.timestep_bytes, barrier.action_bytes) > 0


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "scenarios.commands.main", "bench", *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


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


def test_help_lists_the_benchmarks():
    told = bench("--help").stdout
    assert all(name in told for name in ("messages", "overhead", "startup"))
