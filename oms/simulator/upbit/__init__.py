"""Upbit as its clients see it: api.upbit.com, REST and WebSocket."""
