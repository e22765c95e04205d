"""Scenarios of VMAS, all parallel copies in one game: opened by `opening`, played by `task`.

VMAS and torch, which it computes with, are imported only for a document that names one of its scenarios.
"""
