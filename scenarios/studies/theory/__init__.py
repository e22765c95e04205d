"""`foretell study theory`: both sides of the bounds of Theorems 1 to 3, exactly, on small tabular MMDPs."""
