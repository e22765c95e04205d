"""One typed document describes a run; here it is checked, simulated, launched as processes and reported."""
