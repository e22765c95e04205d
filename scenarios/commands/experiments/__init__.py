"""Commands that run many scenarios."""
