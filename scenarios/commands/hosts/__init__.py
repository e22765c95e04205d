"""Commands about the hosts of a run."""
