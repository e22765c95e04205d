"""A run in one process, in virtual time."""
