"""The one limit of time in the tests."""

from __future__ import annotations

LIMIT_S = 600.0
"""Seconds after which a test gives up waiting: a guard against what hangs, which no slow machine reaches."""
