"""Measures how many environment steps a second of one processor trains: our tasks, MPE2 through the adapter, BenchMARL.

    python tools/rates.py [--rounds 3] [--only own,mpe2] [--benchmarl PYTHON]

All train three agents of simple spread, 40 copies of 25 steps a batch, with networks of their own of 128 and 64 units
and three passes over each whole batch. The sides run in turn, each in a process of its own with one compute thread, so
that what else the machine does meets all of them; a figure is the processor time of a long training less that of a
short one, over the steps between. PYTHON is one that has BenchMARL and VMAS; without it that side is left out. VMAS's
simple spread pays and shows other things than MPE's, so it is compared with itself alone.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPIES, STEPS, AGENTS, PASSES, HIDDEN = 40, 25, 3, 3, (128, 64)
LIMIT_S = 900.0
TASKS = {
    "own": f'kind = "simple-spread", agents = {AGENTS}, steps = {STEPS}, observation = "own"',
    "mpe2": f'kind = "pettingzoo", env = "mpe2.simple_spread_v3", steps = {STEPS}, observation = "own"',
    "vmas": f'kind = "vmas", env = "simple_spread", steps = {STEPS}, observation = "own", options.n_agents = {AGENTS}',
}
BATCHES = {"own": (10, 90), "mpe2": (3, 15), "vmas": (5, 45), "benchmarl": (5, 45)}
"""Of the short and the long training."""
AGAINST = {"own": "mpe2", "vmas": "benchmarl"}
ALGORITHMS = ("independent", "anticipation-sharing")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3, help="Measurements of each side.")
    options.add_argument("--only", default="own,mpe2,vmas", help="Some of: %(default)s.")
    options.add_argument("--benchmarl", metavar="PYTHON", help="The Python that has BenchMARL.")
    options.add_argument("--as-benchmarl", type=int, metavar="BATCHES", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.as_benchmarl:
        train_with_benchmarl(chosen.as_benchmarl)
        return
    sides = [(task, algorithm) for task in chosen.only.split(",") for algorithm in ALGORITHMS]
    sides += [("benchmarl", "independent")] if chosen.benchmarl else []
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(chosen.rounds):
        for side in sides:
            rates[side].append(rate_of(*side, chosen.benchmarl))
            print(f"{', '.join(side)}: {rates[side][-1]:.0f}", file=sys.stderr, flush=True)  # noqa: T201
    print(table(rates), versions(chosen.benchmarl), sep="\n")  # noqa: T201


def table(rates: dict[tuple[str, str], list[float]]) -> str:
    """The medians, and the median of each round's ratio to what a side is compared with."""
    lines = ["| environment | algorithm | env-steps per CPU second | times | of |", "|---|---|---|---|---|"]
    for (task, algorithm), found in rates.items():
        against = AGAINST.get(task)
        other = rates.get((against or "", algorithm))
        ratios = [mine / theirs for mine, theirs in zip(found, other or (), strict=False)]
        times = f"{statistics.median(ratios):.2f} | {against}" if ratios else " | "
        lines.append(f"| {task} | {algorithm} | {statistics.median(found):.0f} | {times} |")
    return "\n".join(lines)


def rate_of(task: str, algorithm: str, benchmarl: str | None) -> float:
    """Steps of environment copies that one processor second trains."""
    short, long = BATCHES[task]
    spent = [processor_s(task, algorithm, batches, benchmarl) for batches in (short, long)]
    return (long - short) * COPIES * STEPS / (spent[1] - spent[0])


def processor_s(task: str, algorithm: str, batches: int, benchmarl: str | None) -> float:
    """Processor seconds of a whole training, in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(prefix="rates-") as folder:
        if task == "benchmarl":
            command = [str(benchmarl), "-W", "ignore", __file__, "--as-benchmarl", str(batches)]
        else:
            document = Path(folder) / "rates.toml"
            document.write_text(scenario(task, algorithm, batches), encoding="utf-8")
            command = [sys.executable, "-m", "scenarios.commands.main", "simulate", str(document)]
        one_thread = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        done = subprocess.run(
            command, cwd=folder, env=one_thread, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def scenario(task: str, algorithm: str, batches: int) -> str:
    """A document in which agents learn from `batches` batches."""
    return (
        f'name = "rates"\nseed = 1\nepisodes = {batches}\nparallel_episodes = {COPIES}\n'
        f"environment = {{ {TASKS[task]} }}\n"
        f'topology = {{ kind = "complete" }}\nalgorithm = {{ name = "{algorithm}" }}\n'
        f"[learning]\nrounds = {PASSES}\nhidden = {json.dumps(HIDDEN)}\n"
        "actor_learning_rate = 5e-4\ncritic_learning_rate = 1e-3\n"
    )


def train_with_benchmarl(batches: int) -> None:
    """The same with BenchMARL's IPPO, in a Python that has it; what it writes goes to the working directory."""
    import torch  # noqa: PLC0415
    from benchmarl.algorithms import IppoConfig  # noqa: PLC0415
    from benchmarl.environments import VmasTask  # noqa: PLC0415
    from benchmarl.experiment import Experiment, ExperimentConfig  # noqa: PLC0415
    from benchmarl.models.mlp import MlpConfig  # noqa: PLC0415

    torch.set_num_threads(1)
    settings = ExperimentConfig.get_from_yaml()
    settings.share_policy_params = settings.prefer_continuous_actions = False
    settings.evaluation = settings.render = settings.create_json = False
    settings.loggers, settings.save_folder = [], str(Path.cwd())
    settings.on_policy_collected_frames_per_batch = settings.on_policy_minibatch_size = COPIES * STEPS
    settings.on_policy_n_envs_per_worker, settings.on_policy_n_minibatch_iters = COPIES, PASSES
    settings.max_n_iters, settings.max_n_frames = batches, None
    algorithm = IppoConfig.get_from_yaml()
    algorithm.share_param_critic = False
    task = VmasTask.SIMPLE_SPREAD.get_from_yaml()
    task.config |= {"max_steps": STEPS, "n_agents": AGENTS}
    networks = MlpConfig(num_cells=list(HIDDEN), layer_class=torch.nn.Linear, activation_class=torch.nn.ReLU)
    Experiment(
        task=task,
        algorithm_config=algorithm,
        model_config=networks,
        critic_model_config=networks,
        seed=1,
        config=settings,
    ).run()


def versions(benchmarl: str | None) -> str:
    """What was measured, in one line."""
    names = ("numpy", "mpe2", "pettingzoo", "vmas", "torch")
    said = [f"{name} {importlib.metadata.version(name)}" for name in names]
    if benchmarl:
        code = "from importlib.metadata import version as v; print(*[f'{n} {v(n)}' for n in %r], sep=', ')"
        asked = [benchmarl, "-c", code % (("benchmarl", "torchrl", "tensordict"),)]
        said.append(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    return f"\nPython {platform.python_version()}, {', '.join(said)}"


if __name__ == "__main__":
    main()
