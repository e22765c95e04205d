"""Whether the faults that a run met are those that its scenario asked for."""
