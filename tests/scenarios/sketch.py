"""A picture of one dot in the place of a learning curve, for runs that nobody looks at.

To draw a curve takes as long as a tiny run. Curves are claimed where they are drawn: in reports/test_learning_curve.py,
and by commands in an interpreter of their own (`foretell_afresh`).
"""

from __future__ import annotations

import base64
from pathlib import Path

from scenarios.reports import learning_curve

_DOT = base64.b64decode(b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def sketch(path: Path, *_: object) -> None:
    """Write the dot."""
    path.write_bytes(_DOT)


def sketch_the_curve() -> None:
    """Let this process, and those forked from it, draw no curve from now on."""
    learning_curve.draw_learning_curve = sketch
