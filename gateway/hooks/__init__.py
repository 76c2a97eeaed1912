"""Hooks: addresses at which environments report that something has happened, so that nobody waits for the next poll."""
