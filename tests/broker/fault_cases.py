"""Every kind of fault, as the tests of faults use them."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from broker import faults
from broker.faults.config import FaultConfig
from broker.wire.messages import MessageName

SHORT = {"distribution": "uniform", "low_s": 0.1, "high_s": 0.2}
DELAYS = {
    "constant": {"distribution": "constant", "value_s": 0.3},
    "uniform": {"distribution": "uniform", "low_s": 0.1, "high_s": 0.5},
    "normal": {"distribution": "normal", "mean_s": 0.1, "deviation_s": 0.1},
    "lognormal": {"distribution": "lognormal", "median_s": 0.2, "sigma": 0.7},
    "exponential": {"distribution": "exponential", "mean_s": 0.05},
    "pareto": {"distribution": "pareto", "shortest_s": 0.1, "shape": 3.0},
}
CORRELATED = {"distribution": "correlated", "correlation": 0.8, "marginal": DELAYS["exponential"]}
VERDICTS = {
    "drop": {"probability": 0.3},
    "gilbert-elliott": {"to_bad": 0.1, "to_good": 0.4},
    "delay": {"delay_s": SHORT},
    "duplicate": {"probability": 0.3, "extra_s": SHORT},
    "reorder": {"probability": 0.3, "by_s": SHORT},
    "rate-limit": {"bytes_per_s": 100.0, "queue_bytes": 1000},
    "duty-cycle": {"period_s": 10.0, "on_s": 1.0, "offset_s": 5.0},
    "partition": {"groups": [["agent-0"], ["agent-*"]]},
    "isolate": {"agents": ["agent-*"]},
    "hold": {"seconds": [0.0, 100.0]},
    "clock-offset": {"agents": ["agent-*"], "offset_s": 2.0},
    "slow-node": {"agents": ["agent-*"], "compute_s": SHORT},
}
CONTENT = {
    "bit-flip": {"probability": 0.3},
    "nan": {"probability": 0.3},
    "wrong-shape": {"probability": 0.3},
    "stale": {"probability": 0.3},
    "byzantine": {"probability": 0.3, "lie": "inverted", "arrays": ["*"]},
    "scaled": {"probability": 0.3, "factor": -1.0, "arrays": ["*"]},
}
KINDS = VERDICTS | CONTENT


def fault(kind, **settings):
    """A fault of this kind, with the settings above unless others are given."""
    return TypeAdapter(FaultConfig).validate_python({"kind": kind} | KINDS[kind] | settings)


def shares(count, per_episode=50):
    return [MessageName("share", number // per_episode, number % per_episode, 0) for number in range(count)]


@dataclass(frozen=True)
class Applied:
    """A fault that turned a message's verdict into `verdict`."""

    fault: str
    verdict: tuple


class Judge(faults.Judge):
    """Gives each message its verdict in one word."""

    def judge(self, source, destination, message, at_s=0.0, size_bytes=0):
        """The verdict on a message, and the faults that made it what it is; see `looks`."""
        looks = self.looks(source, destination, message, at_s, size_bytes)
        applied = [Applied(look.fault, look.after) for look in looks if look.after != look.before]
        return looks[-1].after if looks else faults.UNTOUCHED, applied
