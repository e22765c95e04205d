"""Two runs compared: where they part."""
