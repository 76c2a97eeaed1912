"""Webhooks: what is sent to others, signed and again until it is taken: changes of lists, and of environments."""
