"""By its place: all tests below find the helpers beside it."""
