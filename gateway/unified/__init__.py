"""Unified lists for other parts of the gateway: read as operations of the caller, like any other."""
