"""Where the participants of a run meet: addresses, keys, and what stands between them."""
