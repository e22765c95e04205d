"""Where the records of a run go besides its store."""
