"""Risk: limits, running figures, latches, and the check that every order passes. Pure; changed by events alone."""
