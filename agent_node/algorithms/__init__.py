"""One page per algorithm; they differ in what they share, how they mix, and the loss."""
