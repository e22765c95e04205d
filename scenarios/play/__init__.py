"""What trained agents do: they act, and nobody learns."""
