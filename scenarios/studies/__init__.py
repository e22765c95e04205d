"""Studies: many runs or many instances behind one figure, each with its page, its picture and its numbers."""
