"""Runs in a terminal, over SSH too."""
