"""What one share holds: looked up in a simulated run of the scenario, which ends with the first share of all.

Neither the run's store nor the document says which arrays an algorithm sends; a share itself does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.driving.connect import connect
from broker.driving.driver import Driver
from broker.driving.virtual_time import VirtualTime
from broker.participants.link import LinkConfig
from broker.participants.participant import Participant
from broker.transports.memory import MemoryNetwork
from broker.transports.transport import Transport
from broker.transports.wrapped import WrappedTransport
from broker.wire.messages import Envelope, Share
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring

_EPISODES = 20
"""Agents that are nobody's neighbors in the first episode may meet in one of these."""


@dataclass(frozen=True)
class SharedArray:
    """One array of a share.

    Attributes:
        name: Its name on the wire.
        dtype: Of its numbers.
        shape: Of the share that was looked at; rows vary where neighborhoods or episodes do.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}{list(self.shape)}"


def share_layout(scenario: Scenario) -> tuple[SharedArray, ...]:
    """The arrays of the first share of a run without faults and skipped rounds; none where nothing is shared."""
    from agent_node.build import make_agent  # noqa: PLC0415 - what other commands need not import
    from env_service.build import make_environment  # noqa: PLC0415

    plan = make_plan(undisturbed(scenario))
    network, seen = MemoryNetwork(), _Seen()
    wiring = Wiring(plan.scenario.name)
    environment = plan.environment(wiring)
    configs = [plan.agent(agent, wiring) for agent in plan.agents]
    participants: list[tuple[Participant, LinkConfig]] = [(make_environment(environment), environment.link)]
    participants += [(make_agent(config), config.link) for config in configs]
    drivers = [
        Driver(link.run, participant, _Watched(connect(link, network), seen), lambda _: None)
        for participant, link in participants
    ]
    VirtualTime(drivers, network).run(lambda: seen.share is not None)
    arrays = {} if seen.share is None else seen.share.arrays
    return tuple(SharedArray(name, str(array.dtype), array.shape) for name, array in arrays.items())


def undisturbed(scenario: Scenario) -> Scenario:
    """The same scenario, short and with nothing in the way of its shares."""
    exchange = scenario.exchange.model_copy(update={"skip_probability": 0.0})
    learning = scenario.learning.model_copy(update={"rounds": 1})
    changes = {"exchange": exchange, "learning": learning, "faults": (), "episodes": _EPISODES}
    return scenario.model_copy(update=changes)


class _Seen:
    share: Share | None = None


class _Watched(WrappedTransport):
    """A transport that keeps the first share."""

    def __init__(self, inner: Transport, seen: _Seen) -> None:
        super().__init__(inner)
        self._seen = seen

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        shares = [envelope.message for envelope in envelopes if isinstance(envelope.message, Share)]
        if self._seen.share is None and shares:
            self._seen.share = shares[0]
        super().send_all(envelopes)
