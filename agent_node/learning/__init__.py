"""The learning core: stacked networks, rounds, losses with their gradients. Numpy over kernels, no clock, no I/O."""
