"""Commands that check documents and start runs."""
