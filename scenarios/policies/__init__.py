"""Trained policies as other programs read them."""
