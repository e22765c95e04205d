"""What agents are called: their ids, and beside them their environment's names wherever people are told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from broker.wire.messages import agent_name

_ID = re.compile(r"""(?<![\w./"'-])agent-\d+(?!\w|/|-\w|\.\w)""")
"""An id that stands in a sentence as a word: not in a path, a longer name, or between quotes."""


@dataclass(frozen=True)
class AgentNames:
    """The agents of a run, and what their environment calls them.

    Ids are what travels, what the store holds and what commands take. A name may be any text of one line, and several
    agents may have the same, so people are told both: `adversary_0 (agent-0)`. Our own tasks have no other names.

    Attributes:
        by_id: The name of each agent, in agent order; its id where the environment has no names.
    """

    by_id: Mapping[str, str]

    @classmethod
    def of(cls, agents: int, names: Sequence[str]) -> AgentNames:
        """Those of agents 0 to `agents` - 1.

        Args:
            agents: How many.
            names: What their environment calls them, in agent order; empty where it has no names.
        """
        ids = [agent_name(index) for index in range(agents)]
        return cls(dict(zip(ids, names or ids, strict=True)))

    @property
    def own(self) -> bool:
        """Whether the environment has names for its agents that are not their ids."""
        return any(agent != name for agent, name in self.by_id.items())

    def told(self, participant: str) -> str:
        """What people are told of a participant: the environment's name of an agent with its id, else the id alone."""
        name = self.by_id.get(participant, participant)
        return participant if name == participant else f"{name} ({participant})"

    def tell(self, sentence: str) -> str:
        """A sentence that speaks of ids, as people are told it; for a sentence that was not told yet."""
        return _ID.sub(lambda found: self.told(found.group()), sentence)

    def listed(self, most: int) -> str:
        """The first `most` of the agents, as people are told of them."""
        return ", ".join(map(self.told, islice(self.by_id, most))) + (", ..." if len(self.by_id) > most else "")
