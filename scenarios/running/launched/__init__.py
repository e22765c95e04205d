"""A run as processes, watched from one place."""
