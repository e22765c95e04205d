"""How a scenario runs: the loop of a run, and the ways to carry it out."""
