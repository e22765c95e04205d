"""Who has no business with keys that are in order."""

from __future__ import annotations

from dataclasses import replace

from broker_toys import envelope

from broker.wire.messages import Hello


def stranger(kind, mine, other):
    """The keys of one who is not to be let in, or who is not to trust whom it calls."""
    return {
        "another key": replace(other, peers=mine.peers),
        "no key": None,
        "another key of whom it calls": replace(mine, peers=other.peers),
    }[kind]


def greeting(source, destination, ear):
    """Says Hello each time that it is asked whether that was enough, which it never is."""

    def greet():
        ear.transport.send(envelope(source, destination, Hello(0, wants_reply=True)))
        return False

    return greet
