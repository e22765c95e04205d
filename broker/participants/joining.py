"""How participants find each other: HELLO to every peer, repeated until each has answered.

Nobody sleeps and hopes. A HELLO says whether it wants an answer; whoever hears one that does answers it, in any
phase, so a participant that comes late or comes back is heard by all. Only an answer counts: it proves both directions
of an edge, where a mere HELLO leaves open whether one's own are lost, refused or forbidden on the way.

A HELLO also says to which run its sender belongs. One of another run counts as no sign of the peer in whose place it
is said, but is answered all the same: so the sender learns of it too. Where nobody is missing but peers in whose place
others are heard, joining has come to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.errors import PeerLost, WrongRun
from broker.participants.participant import Command, Send
from broker.participants.strangers import Strangers
from broker.wire.identity import Identity
from broker.wire.messages import Hello
from broker.wire.records import Record

if TYPE_CHECKING:
    from broker.config import JoiningConfig


class Joining:
    """Which peers have answered.

    Args:
        name: Who joins.
        peers: Who has to answer.
        config: How often it asks and when it gives up.
        incarnation: Which life of `name` this is.
        identity: To which run it belongs.
    """

    def __init__(
        self,
        name: str,
        peers: tuple[str, ...],
        config: JoiningConfig,
        incarnation: int,
        identity: Identity,
    ) -> None:
        self._identity = identity
        self._strangers = Strangers(name, identity)
        self._name = name
        self._silent = dict.fromkeys(peers)
        self._deaf: set[str] = set()
        self._config = config
        self._incarnation = incarnation
        self._ask_at: float | None = None
        self._give_up_at = 0.0

    @property
    def complete(self) -> bool:
        """Whether every peer has answered."""
        return not self._silent

    def start(self, now: float) -> list[Command]:
        """Ask all peers."""
        self._give_up_at = now + self._config.give_up_s
        return self._ask(now)

    def hear(self, source: str, hello: Hello) -> list[Command]:
        """Note that `source` is there, and answer if it wants an answer."""
        answer: list[Command] = [Send(source, self._hello(wants_reply=False))] if hello.wants_reply else []
        if hello.identity != self._identity:
            return answer + self._strangers.hear(source, hello)
        if source in self._silent:
            self._hear_peer(source, hello)
        return answer

    def leave_out(self, peer: str) -> None:
        """Wait no more for a peer that is dead."""
        self._silent.pop(peer, None)
        if self.complete:
            self._ask_at = None

    @property
    def deadline(self) -> float | None:
        """When to ask again or to give up."""
        return None if self._ask_at is None else min(self._ask_at, self._give_up_at)

    def expire(self, now: float) -> list[Command]:
        """Ask those that have not answered.

        Raises:
            PeerLost: It has asked for longer than the scenario allows.
            WrongRun: In the place of those, others of another run are there.
        """
        self._strangers.turn()
        over, refusal = now >= self._give_up_at, self._strangers.refusal(self._silent)
        if refusal and (over or self._strangers.certain(self._silent)):
            raise WrongRun(refusal)
        if over:
            raise PeerLost(
                f"{self.waits_for()} and gave up after joining.give_up_s = {self._config.give_up_s} s. "
                f"Is it running, do the addresses agree, and is its slice of the same run{self._run()}?"
            )
        return self._ask(now)

    def waits_for(self) -> str:
        """Whose HELLO is missing, and who says HELLO but does not hear it."""
        deaf = [peer for peer in self._silent if peer in self._deaf]
        silent = [peer for peer in self._silent if peer not in self._deaf]
        wanted = [f"HELLO from {', '.join(silent)}"] if silent else []
        if deaf:
            wanted.append(f"an answer from {', '.join(deaf)}, heard but not hearing it")
        strange = self._strangers.refusal(self._silent)
        return f"{self._name} in JOINING waits for {' and for '.join(wanted)}{f'; {strange}' if strange else ''}"

    def totals(self) -> list[Record]:
        """What was refused of others than peers of this run."""
        return self._strangers.totals()

    def _hear_peer(self, source: str, hello: Hello) -> None:
        if hello.wants_reply:
            self._deaf.add(source)
            return
        del self._silent[source]
        if self.complete:
            self._ask_at = None

    def _ask(self, now: float) -> list[Command]:
        self._ask_at = now + self._config.hello_interval_s if self._silent else None
        return [Send(peer, self._hello(wants_reply=True)) for peer in self._silent]

    def _hello(self, *, wants_reply: bool) -> Hello:
        return Hello(self._incarnation, wants_reply, self._identity)

    def _run(self) -> str:
        return f", {self._identity.run}" if self._identity.run else ""
