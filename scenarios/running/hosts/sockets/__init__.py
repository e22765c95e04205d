"""Hosts that wait for their launcher at a socket, and how it dials them."""
