"""Tampering by kind, for :mod:`tests.replay.test_tamper`."""
