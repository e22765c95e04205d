"""Documents as chance makes them: text that is nearly TOML, and scenarios of which something was changed."""

from __future__ import annotations

import copy
import datetime as dt
from random import Random
from typing import Any

import tomli_w

from scenarios.document.loading import CATALOGUE, catalogue_names

_WORDS = (
    *("name", "seed", "episodes", "environment", "kind", "topology", "faults", "learning", "hidden", "exchange"),
    *('"complete"', '"ring"', "'exchange'", '"""', "'''", "=", ".", ",", "[", "]", "{", "}", "[[", "]]", "#", "\n"),
    *(
        "1",
        "-1",
        "0x",
        "1e9",
        "nan",
        "inf",
        "true",
        "2020-01-01",
        "07:30:00",
        "\\u0000",
        "\\",
        "\t",
        "\r",
        "ä",
        "\u202e",
    ),
)
_ENVIRONMENTS: tuple[dict[str, Any], ...] = (
    {"kind": "exchange", "steps": 4, "agents": 4},
    {"kind": "navigation", "steps": 4, "agents": 4},
    {"kind": "predation", "steps": 4, "agents": 4},
    {"kind": "predation", "steps": 4, "agents": 4, "engagement": "capture"},
    {"kind": "simple-spread", "steps": 4, "agents": 4},
)
_TOPOLOGIES: tuple[dict[str, Any], ...] = (
    *({"kind": kind} for kind in ("complete", "ring", "star", "line")),
    *({"kind": "grid", "rows": 2, "columns": 2}, {"kind": "k-regular", "degree": 2}),
    *(
        {"kind": "small-world", "neighbors": 2, "rewire_probability": 0.5},
        {"kind": "erdos-renyi", "edge_probability": 0.6},
    ),
    *(
        {"kind": "edges", "edges": [["agent-0", "agent-1"], ["agent-2", "agent-3"]]},
        {"kind": "proximity", "distance": 2.0},
    ),
)
_DELAYS: tuple[dict[str, Any], ...] = (
    {"distribution": "constant", "value_s": 0.5},
    {"distribution": "uniform", "low_s": 0.1, "high_s": 3.0},
    {"distribution": "normal", "mean_s": 1.0, "deviation_s": 0.5},
    {"distribution": "lognormal", "median_s": 0.5, "sigma": 2.0},
    {"distribution": "pareto", "shortest_s": 0.1, "shape": 0.6},
    {"distribution": "correlated", "correlation": 0.9, "marginal": {"distribution": "exponential", "mean_s": 1.0}},
    {"distribution": "trace", "values_s": [0.1, 2.5, 0.0], "order": "walk"},
)
_CHANCE = {"probability": 0.5}
_FAULTS: tuple[dict[str, Any], ...] = (
    *({"kind": kind} | _CHANCE for kind in ("drop", "duplicate", "bit-flip", "nan", "wrong-shape", "stale")),
    {"kind": "gilbert-elliott", "to_bad": 0.3, "to_good": 0.5},
    {"kind": "rate-limit", "bytes_per_s": 100.0, "queue_bytes": 500},
    {"kind": "duty-cycle", "period_s": 3.0, "on_s": 0.5},
    {"kind": "partition", "groups": [["agent-0"]]},
    {"kind": "isolate", "agents": ["agent-1"]},
    {"kind": "hold", "seconds": [0.0, 5.0]},
    {"kind": "clock-offset", "agents": ["agent-0"], "offset_s": -3.0},
    {"kind": "byzantine", "lie": "inverted"} | _CHANCE,
    {"kind": "scaled", "factor": -1.0} | _CHANCE,
    {"kind": "crash", "participants": ["agent-0"], "at_episodes": [0]},
    {"kind": "stop", "participants": ["*"], "at_s": [0.0], "for_s": 3.0},
    {"kind": "checkpoint-loss", "participants": ["*"], "at_episodes": [0]},
    {"kind": "late-join", "participants": ["environment"], "by_s": 2.0},
)
_ALGORITHMS = (
    *("anticipation-sharing", "value-sharing", "reward-sharing"),
    *("value-parameter-sharing", "networked-actor-critic", "dna-marl", "policy-sharing", "independent"),
)
_BEYOND: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 63, 1 << 31, (1 << 63) - 1, 1 << 63, -(1 << 70), 10**400, True, False),
    *(0.0, -0.0, 0.5, 1.0, 1e-300, 5e-324, 1e300, 1e-9, -1.5, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        "x",
        "agent-0",
        "*",
        "complete",
        "tcp://127.0.0.1:1",
        "[/a]",
        "%s{0}",
        "a\0b",
        "\u202e",
        "\ud800",
        "y" * 2000,
        "/dev/zero",
    ),
    *(
        [],
        [[]],
        [1],
        [0.5, 1e300],
        ["agent-0", "agent-0"],
        {},
        {"a": 1},
        {"kind": "exchange"},
        {"distribution": "constant"},
    ),
    *(dt.date(2020, 1, 1), dt.time(7, 30), dt.datetime(2020, 1, 1, 7, tzinfo=dt.UTC)),
)


def nearly_toml(random: Random) -> bytes:
    """Text of the words of documents, in any order; now and then no text at all."""
    if random.random() < 0.1:
        return random.randbytes(random.randrange(200))
    words = (random.choice(_WORDS) for _ in range(random.randrange(60)))
    text = "".join(word + random.choice(("", " ")) for word in words)
    if random.random() < 0.4:
        begin, more = random.choice(
            (("x = ", "["), ("x = ", "{a="), ("a", ".a"), ("x = ", "9"), ("x = 0x", "f"), ("'", '"'))
        )
        text = random.choice(("", text)) + begin + more * random.choice((33, 5000, 5000)) + random.choice(("", " = 1"))
    return text.encode()


def broken_text(random: Random) -> bytes:
    """A document of the catalogue of which pieces were cut, doubled, or replaced by other bytes."""
    text = bytearray((CATALOGUE / f"{random.choice(catalogue_names())}.toml").read_bytes())
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.randrange(20))
        piece = random.choice((b"", bytes(text[start:end]) * 2, random.randbytes(2), random.choice(_WORDS).encode()))
        text[start:end] = piece
    return bytes(text)


def small_scenario(random: Random) -> dict[str, Any]:
    """A scenario that is played within a moment, with some of everything."""
    document: dict[str, Any] = {
        "name": "odd",
        "seed": random.randrange(1000),
        "episodes": 1,
        "parallel_episodes": random.choice((1, 2)),
        "environment": copy.deepcopy(random.choice(_ENVIRONMENTS)),
        "topology": copy.deepcopy(random.choice(_TOPOLOGIES)),
        "learning": {"hidden": [4], "rounds": random.choice((1, 2))},
        "algorithm": {"name": random.choice(_ALGORITHMS)},
        "exchange": {"mode": random.choice(("all", "random-partner")), "patience_s": 0.5},
        "service": {"missing_action": random.choice(("wait", "repeat"))},
        "recovery": {"on_crash": random.choice(("restart", "fail"))},
    }
    if document["service"]["missing_action"] == "repeat" and random.random() < 0.5:
        document["recovery"]["on_crash"] = "degrade"
    faults = random.sample(_FAULTS, random.randrange(4))
    document["faults"] = copy.deepcopy(faults)
    for name, part in (("delay", "delay_s"), ("reorder", "by_s"), ("slow-node", "compute_s")):
        if random.random() < 0.2:
            more = {"agents": ["agent-0"]} if name == "slow-node" else _CHANCE if name == "reorder" else {}
            document["faults"].append({"kind": name, part: copy.deepcopy(random.choice(_DELAYS))} | more)
    for fault in document["faults"]:
        if fault["kind"] in ("drop", "delay", "duplicate", "reorder") and random.random() < 0.5:
            fault["messages"] = random.sample(("timestep", "action", "share"), random.randint(1, 3))
    return document


def mutated(random: Random) -> dict[str, Any]:
    """A small scenario of which a few values, at any depth, were replaced, moved, added or left out."""
    document = small_scenario(random)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        holder, key = random.choice(_places(document))
        kind = random.random()
        if kind < 0.15:
            del holder[key]
        elif kind < 0.3 and isinstance(holder, dict):
            holder[random.choice(("x", "name", "kind", "agents", "seconds", "episodes", "a.b", ""))] = _value(random)
        elif kind < 0.45:
            other, elsewhere = random.choice(_places(document))
            holder[key] = copy.deepcopy(other[elsewhere])
        elif kind < 0.75:
            holder[key] = _nearby(random, holder[key])
        else:
            holder[key] = _value(random)
        if not document:
            break
    return document


def written(document: dict[str, Any]) -> bytes:
    """A document as TOML; what TOML cannot hold is left as its sign."""
    try:
        return tomli_w.dumps(document).encode(errors="surrogatepass")
    except (ValueError, TypeError):
        return repr(document).encode(errors="surrogatepass")


def _nearby(random: Random, value: Any) -> Any:
    """A value of the same type, which a document may well hold."""
    match value:
        case bool():
            return not value
        case int():
            return value + random.choice((-1, 1, 2, 5, -value))
        case float():
            return value * random.choice((0.0, 1e-3, 0.1, 0.5, 2.0, 10.0, 1e6, -1.0))
        case list():
            return random.choice((value[::-1], value * 2, value[:1]))
        case _:
            return value


def _value(random: Random) -> Any:
    return copy.deepcopy(random.choice(_BEYOND))


def _places(part: Any) -> list[tuple[Any, Any]]:
    keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    return [place for key in keys for place in ((part, key), *_places(part[key]))]
