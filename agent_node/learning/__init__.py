"""The learning core: rollouts, stacked networks, advantages, losses. Torch and numpy only, no clock, no I/O."""
