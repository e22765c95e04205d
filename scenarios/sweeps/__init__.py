"""Sweeps of one's own: scenarios, lists of settings, algorithms and seeds from one document, run and compared."""
