"""A process that plays `Pong` as its slice says; run by test_real_time_process.py."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from broker.config import Model
from broker.driving.process import main, serve
from broker.driving.slices import reader_of
from broker.participants.link import LinkConfig

# What all tests share; behind the packages, whose names its folders bear.
sys.path.append(str(Path(__file__).parents[1]))

from broker_toys import Pong


class PongConfig(Model):
    """What one player is told."""

    link: LinkConfig
    rounds: int


def play(config):
    (peer,) = config.link.peers
    return serve(lambda _: Pong(config.link.name, peer, config.rounds, config.link.joining), config.link)


if __name__ == "__main__":
    # A shell lets its background jobs ignore SIGINT, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main("pong", reader_of(PongConfig), play))
