"""Runs to learn what faults do, and to assert on it."""
