"""SCIM 2.0: the unified directory in the words of RFC 7643 and 7644. An extra, `scim` (scim2-models, scim2-server)."""
