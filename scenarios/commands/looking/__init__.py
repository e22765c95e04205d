"""Commands that look closer at runs that have been."""
