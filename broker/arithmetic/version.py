"""Which arithmetic this is."""

from __future__ import annotations

ARITHMETIC = 1
"""Version of what the kernels and all else that decides compute.

It is raised whenever a definition changes (the order of a sum, a polynomial, a draw), so that bits differ on purpose.
Participants say it in their HELLO: who computes otherwise is refused by name, where the two would else learn apart and
nobody would know. Which kernels compute is no part of it: all give the same bits.
"""
