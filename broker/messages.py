"""All messages, on one page.

| message  | from -> to                  | when                                                                |
|----------|-----------------------------|---------------------------------------------------------------------|
| Hello    | any -> any peer             | JOINING: "I am here"; answered, repeated until the peer was heard   |
| Timestep | environment -> agent        | what the agent sees, its last reward, which copies have ended       |
| Action   | agent -> environment        | the answer to a timestep; to the last one of an episode: "ready"    |
| Share    | agent -> neighbor           | one communication round, addressed to that neighbor alone           |
| Stop     | environment -> agent        | the run is over (or the sender gives up, and says why)              |
|          | observer -> any             | all records of all participants have come: you may close            |
| Metrics  | any -> observer             | records for the run's store; never read by an agent                 |

A message travels in an `Envelope`; its topic `foretell/<run>/<source>/<destination>` is the directed edge.
Shapes: E parallel copies, S observation size, B samples of an episode.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

ENVIRONMENT = "environment"
OBSERVER = "observer"

Array = np.ndarray


def agent_name(index: int) -> str:
    """The id of agent number `index`, such as `agent-0`."""
    return f"agent-{index}"


class MessageName(NamedTuple):
    """What a message is called on its edge, whenever and however often it is sent.

    Faults are drawn by this name, so a message has the same fate on every substrate and no other message's
    retransmission can shift it.

    Attributes:
        kind: `timestep`, `action` or `share`.
        episode: Training episode, from 0.
        number: Step of the episode, or communication round.
        attempt: 0, and one more for every time it is asked for again.
    """

    kind: str
    episode: int
    number: int
    attempt: int


class Hello(msgspec.Struct, frozen=True, gc=False):
    """I am here.

    Attributes:
        incarnation: Which life of this participant speaks; grows with every restart.
        wants_reply: The sender has not heard the receiver yet.
    """

    incarnation: int
    wants_reply: bool


class Timestep(msgspec.Struct, frozen=True, gc=False):
    """What an agent sees at one step of all parallel copies.

    Attributes:
        episode: Training episode, from 0.
        step: 0 to T; at T (or when every copy has ended) `last` is set.
        attempt: How often this timestep has been sent before.
        last: The episode ends with this timestep; the answer is an empty action.
        observation: (E, S) float32.
        reward: (E,) float32, for the action of step - 1; zeros at step 0.
        ended: (E,) uint8 of `Ended`, after that action.
        neighbors: (E, n) uint8, 1 where the n-th potential neighbor is in range; None where the graph is fixed.
    """

    episode: int
    step: int
    attempt: int
    last: bool
    observation: Array
    reward: Array
    ended: Array
    neighbors: Array | None = None


class Action(msgspec.Struct, frozen=True, gc=False):
    """The answer to a timestep.

    Attributes:
        episode: Of the timestep.
        step: Of the timestep.
        attempt: Of the timestep.
        actions: (E,) int32; (0,) in answer to the last timestep: the agent is ready for the next episode.
    """

    episode: int
    step: int
    attempt: int
    actions: Array


class Share(msgspec.Struct, frozen=True, gc=False):
    """What an algorithm tells one neighbor in one round.

    Attributes:
        episode: Training episode, from 0.
        round: Communication round, from 0 to K - 1.
        arrays: By name; names, shapes and kinds are the algorithm's.
    """

    episode: int
    round: int
    arrays: dict[str, Array]


class Stop(msgspec.Struct, frozen=True, gc=False):
    """The sender is finished with this run.

    Attributes:
        reason: Empty when the work is done, else why the sender gives up.
    """

    reason: str


class Metrics(msgspec.Struct, frozen=True, gc=False):
    """Records for the observer.

    Attributes:
        records: msgpack of a list of `broker.records.Record`.
    """

    records: bytes


Message = Hello | Timestep | Action | Share | Stop | Metrics

MESSAGES: dict[int, type[Message]] = {1: Hello, 2: Timestep, 3: Action, 4: Share, 5: Stop, 6: Metrics}
"""The number of each kind on the wire."""

ARRAYS: dict[type[Message], tuple[str, ...]] = {
    Hello: (),
    Timestep: ("observation", "reward", "ended", "neighbors"),
    Action: ("actions",),
    Share: ("arrays",),
    Stop: (),
    Metrics: (),
}
"""The fields that are arrays, the last ones of each kind; those of a share have names of their own."""


def name_of(message: Message) -> MessageName | None:
    """The name under which faults are drawn, or None for messages that faults never touch."""
    match message:
        case Timestep():
            return MessageName("timestep", message.episode, message.step, message.attempt)
        case Action():
            return MessageName("action", message.episode, message.step, message.attempt)
        case Share():
            return MessageName("share", message.episode, message.round, 0)
        case _:
            return None


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message on its way.

    Attributes:
        run: Name of the run.
        source: Who sends.
        destination: Who shall receive.
        sequence: Number of this message on its edge, from 0, in order of sending; Hello takes no number.
        message: The message.
    """

    run: str
    source: str
    destination: str
    sequence: int
    message: Message


def topic(run: str, source: str, destination: str) -> str:
    """The name of a directed edge, the same for every transport."""
    return f"foretell/{run}/{source}/{destination}"
