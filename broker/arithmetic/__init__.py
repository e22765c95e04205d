"""The arithmetic that decides, with the same bits on every machine."""
