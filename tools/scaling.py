"""Measures what the processes of small runs compute, and reckons what large ones take; prints docs/scaling.md's tables.

    python tools/scaling.py [--agents N ...]

Each run is of `foretell bench growth`'s agents, as processes of this host, over each transport. What each kind of
process computes is divided by what it has to do with: an agent's by episodes, the environment's by steps of agents,
the launcher's by records, a broker's by messages. scenarios/running/scale.py says how many of these a run has.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenarios")]

from running.transports import OVER, plan_over  # noqa: E402
from running.watched_run import watched_run  # noqa: E402

from broker.counting import shown_bytes  # noqa: E402
from broker.wire.messages import ENVIRONMENT  # noqa: E402
from scenarios.bench.growth import grown  # noqa: E402
from scenarios.document.planning import make_plan  # noqa: E402
from scenarios.running.scale import Role, Scale, scale_of  # noqa: E402

_MEASURED, _RECKONED = (20, 60), (100, 1000, 10_000)
_FIRST, _LAST = 2, 12
_DEGREE = 4


@dataclass(frozen=True)
class Costs:
    """Processor time.

    Attributes:
        agent_ms: Of an agent for an episode.
        step_us: Of the environment for a step of one agent: it takes an action and sends a timestep.
        record_us: Of the launcher for a record.
        message_us: Of a broker for a message; None where there is none.
    """

    agent_ms: float
    step_us: float
    record_us: float
    message_us: float | None

    def seconds(self, scale: Scale) -> Mapping[Role, float]:
        """What each kind of process computes in an episode of a run."""
        found = {
            Role.AGENT: self.agent_ms / 1e3,
            Role.ENVIRONMENT: self.step_us * scale.steps_sent / 2 / 1e6,
            Role.LAUNCHER: self.record_us * scale.records / 1e6,
        }
        return found if self.message_us is None else found | {Role.BROKER: self.message_us * scale.messages / 1e6}


def main() -> None:
    """Measure, reckon, and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--agents", type=int, action="append", help="To measure; repeatable. Default: 20 and 60.")
    sizes = options.parse_args().agents or _MEASURED
    costs: dict[str, Costs] = {}
    _say(
        "| transport | agents | an agent, ms | environment, us | launcher, us | broker, us |\n|---|---|---|---|---|---|"
    )
    for transport in OVER:
        for agents in sizes:
            costs[transport] = found = measured(transport, agents)
            broker = "" if found.message_us is None else f"{found.message_us:.0f}"
            each = f"{found.agent_ms:.0f} | {found.step_us:.0f} | {found.record_us:.0f} | {broker}"
            _say(f"| {transport} | {agents} | {each} |")
    _say("\n".join(["", *counted(_RECKONED), "", *reckoned(costs, _RECKONED)]))


def measured(transport: str, agents: int) -> Costs:
    """Run so many agents, and look what their processes compute."""
    plan = plan_over(transport, agents, _DEGREE, episodes=1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        before, after = watched_run(plan, Path(folder) / "run", _FIRST, _LAST).looks
    spent = {name: (look.processor_s - before[name].processor_s) / (_LAST - _FIRST) for name, look in after.items()}
    scale = scale_of(plan)
    broker = 1e6 * spent[Role.BROKER] / scale.messages if Role.BROKER in spent else None
    return Costs(
        agent_ms=1e3 * statistics.median(spent[agent] for agent in plan.agents),
        step_us=1e6 * spent[ENVIRONMENT] / (scale.steps_sent / 2),
        record_us=1e6 * spent[Role.LAUNCHER] / scale.records,
        message_us=broker,
    )


def counted(sizes: Sequence[int]) -> Iterator[str]:
    """Rows of what is counted in a plan."""
    yield "| agents | transport | connections | most in one process | most open files in one | ports | messages |"
    yield "|---|---|---|---|---|---|---|"
    for agents in sizes:
        for transport in OVER:
            scale = _scale(transport, agents)
            ends = _most(scale.connections_of, scale.roles)
            files = f"{scale.connections:,} | {ends} | {_most(scale.files_of, scale.roles)} | {scale.ports:,}"
            yield f"| {agents:,} | {transport} | {files} | {scale.messages:,} |"
    yield ""
    yield "| agents | records | bytes a round | bytes an episode | the same with degree 8 |"
    yield "|---|---|---|---|---|"
    for agents in sizes:
        scale, more = _scale("zeromq", agents), _scale("zeromq", agents, 8)
        told = " | ".join(shown_bytes(each) for each in (scale.round_bytes, scale.episode_bytes, more.episode_bytes))
        yield f"| {agents:,} | {scale.records:,} | {told} |"


def reckoned(costs: Mapping[str, Costs], sizes: Sequence[int]) -> Iterator[str]:
    """Rows of what processes that there are once would compute, and from how many agents on these wait for them."""
    columns = " | ".join(f"{agents:,} agents" for agents in sizes)
    yield f"| transport | process | s an episode with {columns} | as long as an agent from |"
    yield f"|---|---|{'---|' * len(sizes)}---|"
    for transport, cost in costs.items():
        for role in (role for role in _scale(transport, sizes[0]).roles if role is not Role.AGENT):
            seconds = [cost.seconds(_scale(transport, agents))[role] for agents in sizes]
            from_agents = sizes[-1] * cost.agent_ms / 1e3 / seconds[-1]
            row = " | ".join(f"{each:.2f}" for each in seconds)
            yield f"| {transport} | {role} | {row} | {from_agents:,.0f} agents |"


def _most(count: Callable[[Role], int], roles: Sequence[Role]) -> str:
    """The largest of some counts, and whose it is."""
    most = max(roles, key=count)
    return f"{count(most):,} ({most})"


def _scale(transport: str, agents: int, neighbors: int = _DEGREE) -> Scale:
    whole = grown(agents, 1)
    topology = whole.topology.model_copy(update={"neighbors": neighbors})
    plan = make_plan(whole.model_copy(update={"topology": topology, "transport": OVER[transport](whole.transport)}))
    return scale_of(plan)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
