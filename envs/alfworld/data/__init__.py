"""The real games: folders and packs of them, what is in a split, and one game as data."""
