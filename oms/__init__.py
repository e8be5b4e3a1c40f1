"""mExOms: an event-sourced order management system with NATS JetStream as its only store."""

__version__ = "0.1.0"
