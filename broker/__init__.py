"""What travels between participants, how it travels, and what may go wrong on the way. Knows no learning."""
