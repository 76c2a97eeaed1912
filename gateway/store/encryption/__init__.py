"""Secrets at rest: a data key for each environment, wrapped by a key that is not in the store.

encryption_key ──wraps──▶ data key of acme ──AES-256-GCM──▶ client_secret of acme
"""
