"""The nodes of a run on other hosts: what a host does, and how the launcher drives it."""
