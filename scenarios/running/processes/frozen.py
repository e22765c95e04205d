"""Imported last by the fork server: what it holds by then is never looked at by a collection in a child.

A full collection writes to every object it looks at, and each agent would get a copy of its own of all imports.
"""

from __future__ import annotations

import gc

gc.collect()
gc.freeze()
