"""Whether the hosts of a run are well: what each says of itself, how fast it is, and what to do about a failure."""
