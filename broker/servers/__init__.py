"""Processes that stand between participants, and how they end with whom they serve."""
