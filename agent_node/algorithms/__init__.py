"""One page per algorithm; they differ in what crosses an edge and in the loss."""
