"""What an agent saw, did and got in an episode, and the samples that it learns from."""
