"""The learning core: stacked networks, rounds, losses and their gradients. Numpy over the kernels; no clock, no I/O."""
