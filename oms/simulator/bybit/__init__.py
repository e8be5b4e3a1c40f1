"""Bybit v5 as its clients see it: a unified account, spot and linear perpetuals."""
