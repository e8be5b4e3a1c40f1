"""Measurements of the trading core. ``python -m benchmarks`` runs them all; machines are noisy, so read the ratios."""
