"""Ways for an envelope to get from one participant to another, and wrappers around them."""
