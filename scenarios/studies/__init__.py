"""Experiments as one command each: what runs, what the paper claims, what came out and how sure that is."""
