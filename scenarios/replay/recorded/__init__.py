"""Episodes of a run as they were played, from the journal of its environment."""
