"""What shall run: the document, checked and planned. Pure but for reading files."""
