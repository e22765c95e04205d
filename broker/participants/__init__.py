"""What a participant is, how it finds the others, and what it keeps for a later life."""
