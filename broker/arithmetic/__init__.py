"""The arithmetic that decides: the same bits on every processor, compiler and version of a library."""
