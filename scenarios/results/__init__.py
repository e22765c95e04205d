"""One run on disk: its folder, its store, and what they say."""
