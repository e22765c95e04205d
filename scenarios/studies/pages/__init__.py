"""A page per study: what runs, and what is claimed about it."""
