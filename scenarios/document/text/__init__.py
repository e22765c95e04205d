"""The text of a document: what of it is refused before it is read, and what is said of what does not fit."""
