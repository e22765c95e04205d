"""What is to be seen of a run at a moment, read from its folder while it goes on or afterwards; draws nothing."""
