"""Frames that nobody should send: random bytes, and frames of the protocol with something wrong in them."""

from __future__ import annotations

import numpy as np
from broker_toys import make_codec, share

from broker.wire.messages import Envelope, Hello, Stop


def frames(source, destination, count, seed):
    """`count` frames, all of them on the edge from `source` or on none, random or mutated; a generator."""
    draw = np.random.default_rng(seed)
    codec = make_codec(destination, [source])
    messages = [share(values=np.arange(30.0)), share(3, values=(np.nan,)), Stop("stop"), Hello(7, wants_reply=True)]
    numbers = (0, 1, 5, 2**31, 2**62)
    models = [codec.encode(Envelope("test", source, destination, n, m)) for n in numbers for m in messages]
    prefix = len(codec.prefix(source, destination))
    for _ in range(count):
        kind = draw.integers(6)
        model = bytearray(models[draw.integers(len(models))])
        if kind == 0:
            yield draw.bytes(draw.integers(0, 200))
        elif kind == 1:
            yield bytes(model[: draw.integers(len(model))])
        elif kind == 2:  # the edge, and then anything
            yield bytes(model[:prefix]) + draw.bytes(draw.integers(0, 200))
        elif kind == 3:
            for at in draw.integers(prefix, len(model), draw.integers(1, 5)):
                model[at] = draw.integers(256)
            yield bytes(model)
        elif kind == 4:
            at = draw.integers(prefix, len(model))
            yield bytes(model[:at]) + draw.bytes(draw.integers(1, 9)) + bytes(model[at:])
        else:
            model[1] ^= 1 << draw.integers(7)  # the version
            yield bytes(model)
