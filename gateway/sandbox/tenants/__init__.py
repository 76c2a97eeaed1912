"""Tenants of the sandbox: a login host as Microsoft Entra's, and environments that accept its tokens."""
