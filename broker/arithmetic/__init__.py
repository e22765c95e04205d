"""Arithmetic that gives the same bits on every processor: exact operations of IEEE 754 in a fixed order, no libm."""
