"""The learning core: stacked networks, rounds, losses with their gradients. Numpy over the kernels, no clock, no I/O."""
