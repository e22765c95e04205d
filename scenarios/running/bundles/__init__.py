"""Makes the folders that hosts are given before a run."""
