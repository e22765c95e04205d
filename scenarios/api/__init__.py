"""Foretell from Python: play scenarios, read what runs left, use what was learned.

::

    from scenarios.api import simulate

    run = simulate("exchange-quick", {"learning.rounds": 2}, episodes=100)
    run.episodes.to_pandas()
    run.plot()
    probabilities = run.policy("agent-0")(observations)

What stands in `__all__` here, its arguments and its results are stable: what is to change is deprecated first.
"""

from broker.errors import ForetellError, LedgerMismatch, ScenarioError, UserError
from scenarios.api.columns import Columns
from scenarios.api.opened_run import OpenedRun
from scenarios.api.playing import evaluate, load, resume, run, simulate
from scenarios.results.evaluation import Evaluation

__all__ = [
    "Columns",
    "Evaluation",
    "ForetellError",
    "LedgerMismatch",
    "OpenedRun",
    "ScenarioError",
    "UserError",
    "evaluate",
    "load",
    "resume",
    "run",
    "simulate",
]
