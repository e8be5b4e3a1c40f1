"""Programs that are handed to others: each one file, of the standard library alone, that imports nothing of this project."""
