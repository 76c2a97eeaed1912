"""What the gateway keeps: SQLite in ``data_dir``, or PostgreSQL. It is no cache.

opening               which database the settings name
database              transactions, and the layout of the tables
sqlite                SQLite, for one machine
postgresql            PostgreSQL, for many replicas
tables                the tables
layout                which migrations a database has had
migrations            the migrations, run by Alembic
listening             PostgreSQL announces changes
polling               changes are followed, for all who read
api_keys              API keys, as requests are checked by them
key_register          API keys are created, listed and revoked
stored_environment    environments, as they are stored
environment_register  environments are created, changed and removed
idempotency_register  mutations run once under a key of their client
encryption            their secrets are encrypted
secret_key            the key from which others are derived
"""
