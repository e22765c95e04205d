"""Processes on this host, forked by one server."""
