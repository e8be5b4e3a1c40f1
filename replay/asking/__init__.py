"""Asking: answers for auditors, from the history alone: as of a moment, one order's life, causes, differences, files."""
