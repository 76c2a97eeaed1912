"""What the gateway keeps: SQLite in ``data_dir``, which is no cache.

database      connections and transactions
tables        the tables, and the versions of their layout
api_keys      API keys, as requests are checked by them
key_register  API keys are created, listed and revoked
secret_key    the key from which others are derived
"""
