"""All messages, on one page.

| message  | from -> to                  | when                                                                |
|----------|-----------------------------|---------------------------------------------------------------------|
| Hello    | any -> any peer             | JOINING: "I am here"; answered, repeated until the peer answered    |
| Timestep | environment -> agent        | what the agent sees, its last reward, which copies have ended       |
| Action   | agent -> environment        | the answer to a timestep; to the last one of an episode: "ready"    |
| Share    | agent -> neighbor           | one communication round, addressed to that neighbor alone           |
| Stop     | environment -> agent        | the run is over (or the sender gives up, and says why)              |
|          | observer -> any             | all records of all participants have come: you may close            |
| Gone     | observer -> any             | a participant is dead and will not come back: go on without it      |
| GoOn     | observer -> environment     | what was to happen before an episode has happened: begin it         |
| Faults   | observer -> any             | the faults of messages that are in force from now on                |
| Metrics  | any -> observer             | records for the run's store; never read by an agent                 |

A message travels in an `Envelope`; its topic `foretell/<run>/<source>/<destination>` is the directed edge. Where it
carries arrays, `layout` and `data` hold them as `broker.wire.arrays` describes: they are cut only where somebody asks.
Shapes: E parallel copies, S observation size, A actions, B samples of an episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np

from broker.wire import arrays
from broker.wire.identity import Identity

ENVIRONMENT = "environment"
OBSERVER = "observer"
FORWARDER = "forwarder"

MessageKind = Literal["timestep", "action", "share"]
"""What faults and the ledger call messages; they know no others."""
Array = np.ndarray
SEQUENCE_LIMIT = 1 << 48
"""Far beyond any run; what is counted from a forged number still fits into the store."""
Number = Annotated[int, msgspec.Meta(gt=-SEQUENCE_LIMIT, lt=SEQUENCE_LIMIT)]
"""An episode, step, round or attempt: whether it makes sense is for the receiver to say, but the store can hold it."""


def agent_name(index: int) -> str:
    """The id of agent number `index`, such as `agent-0`."""
    return f"agent-{index}"


class MessageName(NamedTuple):
    """What a message is called on its edge, whenever and however often it is sent.

    Faults are drawn by this name, so a message has the same fate on every substrate and no other message's
    retransmission can shift it.

    Attributes:
        kind: The message's.
        episode: Training episode, from 0.
        number: Step of the episode, or communication round.
        attempt: 0, and one more for every time it is asked for again.
    """

    kind: MessageKind
    episode: int
    number: int
    attempt: int


class Ended(IntEnum):
    """How a copy stands after a step, per agent."""

    RUNNING = 0
    TERMINATED = 1  # the task itself is over: nothing comes after
    TRUNCATED = 2  # the time limit cut it


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What all messages have in common.

    Attributes:
        kind: What faults and the ledger call it; None: they never touch it.
        numbered: Whether it takes a number of its edge and is counted as sent.
    """

    kind: ClassVar[MessageKind | None] = None
    numbered: ClassVar[bool] = True


_NOBODY = Identity()


class Hello(_Body, frozen=True, tag=1):
    """I am here; nothing of the work, so it is not numbered: who does not answer hears it again.

    Attributes:
        incarnation: Which life of this participant speaks; grows with every restart.
        wants_reply: The receiver has not answered yet; otherwise this is the answer.
        identity: To which run it belongs, in which document, with which Foretell and which arithmetic.
    """

    numbered: ClassVar[bool] = False

    incarnation: int
    wants_reply: bool
    identity: Identity = _NOBODY


class Timestep(_Body, frozen=True, tag=2):
    """What an agent sees at one step of all parallel copies; its arrays are those of `timestep_layout`.

    Attributes:
        episode: Training episode, from 0.
        step: 0 to T; at T (or when every copy has ended) `last` is set.
        attempt: How often this timestep has been sent before.
        last: The episode ends with this timestep; the answer is an empty action.
        layout: Of the arrays.
        data: Their bytes.
    """

    kind: ClassVar[MessageKind] = "timestep"

    episode: Number
    step: Number
    attempt: Number
    last: bool
    layout: str
    data: memoryview

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays, read-only."""
        return arrays.cut(self.layout, self.data)


class Action(_Body, frozen=True, tag=3):
    """The answer to a timestep; its array is that of `action_layout`.

    Attributes:
        episode: Of the timestep.
        step: Of the timestep.
        attempt: Of the timestep.
        layout: Of (E,) actions; of (0,) in answer to the last timestep: the agent is ready for the next episode.
        data: Their bytes.
    """

    kind: ClassVar[MessageKind] = "action"

    episode: Number
    step: Number
    attempt: Number
    layout: str
    data: memoryview

    @property
    def arrays(self) -> dict[str, Array]:
        """The array, read-only."""
        return arrays.cut(self.layout, self.data)


class Share(_Body, frozen=True, tag=4):
    """What an algorithm tells one neighbor in one round.

    Attributes:
        episode: Training episode, from 0.
        round: Communication round, from 0 to K - 1.
        layout: Of the arrays; names, shapes and kinds are the algorithm's.
        data: Their bytes.
    """

    kind: ClassVar[MessageKind] = "share"

    episode: Number
    round: Number
    layout: str
    data: memoryview

    @classmethod
    def of(cls, episode: int, round_: int, shared: Mapping[str, Array]) -> Share:
        """The share that carries the arrays `shared`."""
        return cls(episode, round_, *arrays.pack(shared))

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name, read-only; cut anew each time, so ask once."""
        return arrays.cut(self.layout, self.data)


class Stop(_Body, frozen=True, tag=5):
    """The sender is finished with this run.

    Attributes:
        reason: Empty when the work is done, else why the sender gives up.
        mistake: Whether that is somebody's mistake, such as the slice of another run.
    """

    reason: str
    mistake: bool = False


class Metrics(_Body, frozen=True, tag=6):
    """Records for the observer.

    Attributes:
        records: msgpack of a list of `broker.wire.records.Record`.
    """

    records: bytes


class Gone(_Body, frozen=True, tag=7):
    """A participant is dead, and the run goes on without it.

    Attributes:
        participant: Who.
    """

    participant: str


class GoOn(_Body, frozen=True, tag=8):
    """The environment has waited before an episode, as it was told to, and may begin it.

    Attributes:
        episode: Which.
    """

    episode: int


class Faults(_Body, frozen=True, tag=9):
    """The faults of messages that are in force from now on.

    Attributes:
        document: All of them, as JSON; see `broker.faults.config`.
    """

    document: str


Message = Hello | Timestep | Action | Share | Stop | Metrics | Gone | GoOn | Faults


def timestep_layout(copies: int, observation_size: int, neighbors: int | None, actions: int | None) -> str:
    """The arrays of a timestep.

    Args:
        copies: E.
        observation_size: S.
        neighbors: n, or None where the graph is fixed.
        actions: A, the most that any agent has, or None where the environment masks none.

    Returns:
        observation (E, S) float32; reward (E,) float32, for the action of step - 1, zeros at step 0; ended (E,) uint8
        of `Ended`, after that action; neighbors (E, n) uint8, 1 where the n-th potential neighbor is in range; mask
        (E, A) uint8, 1 where an action is possible now.
    """
    kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
        "observation": (np.dtype(np.float32), (copies, observation_size)),
        "reward": (np.dtype(np.float32), (copies,)),
        "ended": (np.dtype(np.uint8), (copies,)),
    }
    if neighbors is not None:
        kinds["neighbors"] = (np.dtype(np.uint8), (copies, neighbors))
    if actions is not None:
        kinds["mask"] = (np.dtype(np.uint8), (copies, actions))
    return arrays.describe(kinds)


def action_layout(copies: int) -> str:
    """The array of an action: actions (E,) int32; with no copies, that of the answer to a last timestep."""
    return arrays.describe({"actions": (np.dtype(np.int32), (copies,))})


def name_of(message: Message) -> MessageName | None:
    """The name under which faults are drawn, or None for messages that faults never touch."""
    match message:
        case Timestep() | Action():
            return MessageName(message.kind, message.episode, message.step, message.attempt)
        case Share():
            return MessageName(message.kind, message.episode, message.round, 0)
        case _:
            return None


VERSION = 2
"""Of the messages; HELLO looks the same in all from 2 on, so that who speaks another is known by name."""
_NUMBERS_OF_A_LIFE = 1 << 32
LIVES = SEQUENCE_LIMIT // _NUMBERS_OF_A_LIFE
"""As many as a run can have."""


def first_number(incarnation: int) -> int:
    """The number of the first message of an edge in a life: all earlier ones are smaller."""
    return incarnation * _NUMBERS_OF_A_LIFE


LAST_WILL = -1
"""Number of the Metrics that a broker publishes for a participant that is gone: written down before all others."""


class Envelope(msgspec.Struct, frozen=True, array_like=True, tag=VERSION, forbid_unknown_fields=True, gc=False):
    """A message on its way.

    Attributes:
        run: Name of the run.
        source: Who sends.
        destination: Who shall receive.
        sequence: Number of this message on its edge, from 0, in order of sending. Hello takes none: it bears the number
            of the message that comes next; a last will bears `LAST_WILL`.
        message: The message.
    """

    run: str
    source: str
    destination: str
    sequence: Annotated[int, msgspec.Meta(ge=LAST_WILL, lt=SEQUENCE_LIMIT)]
    message: Message


def topic(run: str, source: str, destination: str) -> str:
    """The name of a directed edge, the same for every transport."""
    return f"foretell/{run}/{source}/{destination}"
