"""Connectors: the processes that speak to exchanges. An exchange is one adapter file; everything else is shared."""
