"""What travels: messages, the arrays in them, their bytes, and the records for an observer."""
