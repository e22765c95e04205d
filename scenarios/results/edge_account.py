"""The one account of what crossed the edges of a run, with the deaths in it: summary, report, bill, ledger, page.

Both ends of an edge tell what they have counted. Who died, so that the others went on without it, has told only what
came before its death. What else is known of it:

| of its                  | is known                                                                                |
|-------------------------|-----------------------------------------------------------------------------------------|
| messages                | what it told, or what became of them at their receivers, where that is more             |
| their bytes             | what it told, unless more messages are known than it told of: then nobody knows         |
| shares heard or missing | on all its edges together by its rounds; on each what it told, if that is all of it     |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import astuple

from broker.wire.records import EdgeRecord, Fate
from scenarios.results.reader import RunReader


class EdgeAccount(NamedTuple):
    """What is known of one directed edge; fields as in `EdgeRecord`, None where nobody who lives knows."""

    source: str
    destination: str
    sent: int
    sent_bytes: int | None
    dropped: int
    heard: int | None
    late: int
    missing: int | None
    rejected: int
    lost: int
    skipped: int


class SharesAccount(NamedTuple):
    """What is known of all shares between agents.

    Attributes:
        edges: Directed edges over which any was sent, or missing.
        sent: Handed to the transport; of one that died what it told, or what became of them where that is more.
        sent_bytes: Their frames' bytes; None where an agent died before it had told those of all its shares.
        heard: Heard in their round.
        missing: Not there when their round closed.
        late: Of these, those that came afterwards.
        dropped: Given up by their senders, because the peer did not read.
        rejected: Frames and messages on these edges that failed validation.
    """

    edges: int
    sent: int
    sent_bytes: int | None
    heard: int
    missing: int
    late: int
    dropped: int
    rejected: int


NO_SHARES = SharesAccount(0, 0, 0, 0, 0, 0, 0, 0)


class RunAccount(NamedTuple):
    """What is known of all edges of a run.

    Attributes:
        edges: By name, those of environment, observer and strangers, too.
        shares: Of those between agents.
    """

    edges: tuple[EdgeAccount, ...]
    shares: SharesAccount

    @property
    def rejected(self) -> int:
        """Frames and messages that failed validation, on all edges."""
        return _sum(self.edges, "rejected")

    @property
    def lost(self) -> int:
        """Messages left out when a later one came, on all edges."""
        return _sum(self.edges, "lost")


def account_edges(store: RunReader) -> RunAccount:
    """The account of a run so far, or of one that is over."""
    agents, told = store.agent_names().by_id, store.edges_so_far()
    dead = dead_now(store)
    rounds = {agent: counts for agent, counts in store.rounds_by_agent().items() if agent in dead} if dead else {}
    at_a_loss = _at_a_loss(told, rounds)
    ended, late = (_ended_unused(store), _ended(store, Fate.LATE)) if dead else (Counter(), Counter())
    edges = [EdgeAccount(*astuple(edge)) for edge in told]
    edges = [edge._replace(late=max(edge.late, late[edge[:2]])) if edge.destination in dead else edge for edge in edges]
    edges = [_with_what_came_of_it(edge, ended) if edge.source in dead else edge for edge in edges]
    among = [edge for edge in edges if edge.source in agents and edge.destination in agents]
    shares = _shares(among, rounds)
    lost = {(edge.source, edge.destination) for edge in among if edge.destination in at_a_loss}
    return RunAccount(
        tuple(edge._replace(heard=None, missing=None) if edge[:2] in lost else edge for edge in edges), shares
    )


def dead_now(store: RunReader) -> frozenset[str]:
    """Agents that are dead: a run that went back behind a death has it before it again."""
    newest = store.newest_episode()
    following = 0 if newest is None else newest + 1
    return frozenset(agent for agent, before in store.deaths().items() if before <= following)


def _at_a_loss(told: Iterable[EdgeRecord], rounds: Mapping[str, tuple[int, int]]) -> set[str]:
    """The dead that have not told, of all shares of the rounds that they closed, on which edge these were."""
    heard, missing = Counter[str](), Counter[str]()
    for edge in told:
        heard[edge.destination] += edge.heard
        missing[edge.destination] += edge.missing
    return {
        agent
        for agent, (partners, in_time) in rounds.items()
        if (heard[agent], missing[agent]) != (in_time, partners - in_time)
    }


def _ended_unused(store: RunReader) -> Counter[tuple[str, str]]:
    """By edge, messages that came and ended otherwise than heard or late."""
    ended = _ended(store, Fate.REJECTED, Fate.EXPIRED)
    for met in store.deeds():
        ended[met.source, met.destination] += met.dropped
    return ended


def _ended(store: RunReader, *fates: Fate) -> Counter[tuple[str, str]]:
    """By edge, messages that ended so by what their receiver told of each: it may have died before it told how many."""
    ended = Counter[tuple[str, str]]()
    for found in store.endings():
        if found.fate in fates:
            ended[found.source, found.destination] += found.messages
    return ended


def _with_what_came_of_it(edge: EdgeAccount, ended: Mapping[tuple[str, str], int]) -> EdgeAccount:
    """The edge of a sender that died."""
    came = (edge.heard or 0) + edge.late + edge.lost + ended[edge.source, edge.destination]
    return edge if came <= edge.sent else edge._replace(sent=came, sent_bytes=None)


def _shares(edges: Sequence[EdgeAccount], rounds: Mapping[str, tuple[int, int]]) -> SharesAccount:
    """The sums of the edges between agents, where the dead have closed these rounds."""
    of_living = [edge for edge in edges if edge.destination not in rounds]
    sent, heard, missing = _sum(edges, "sent"), _sum(of_living, "heard"), _sum(of_living, "missing")
    for partners, in_time in rounds.values():
        heard += in_time
        missing += partners - in_time
    # The dead may have heard each other, and told nobody of it.
    all_told = sent >= heard and all(edge.sent_bytes is not None for edge in edges)
    return SharesAccount(
        edges=len([edge for edge in edges if edge.sent or edge.missing]),
        sent=max(sent, heard) if rounds else sent,
        sent_bytes=_sum(edges, "sent_bytes") if all_told or not rounds else None,
        heard=heard,
        missing=missing,
        late=_sum(edges, "late"),
        dropped=_sum(edges, "dropped"),
        rejected=_sum(edges, "rejected"),
    )


def _sum(edges: Iterable[EdgeAccount], count: str) -> int:
    """Of what is known."""
    return sum(getattr(edge, count) or 0 for edge in edges)
