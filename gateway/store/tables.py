"""The tables of the store. Portable SQL: the same statements run on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("roles", sa.Text, nullable=False),
    # seconds since the epoch
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("last_used", sa.Float),
    sa.Column("revoked", sa.Float),
    sa.Column("environments", sa.Text, nullable=False, server_default="[]"),
)
REVISIONS = sa.Table(
    "revisions",
    METADATA,
    sa.Column("subject", sa.String(32), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
"""Subject (``api_keys``, ``environments``) → a number that grows with each change, as other processes see."""
ENVIRONMENTS = sa.Table(
    "environments",
    METADATA,
    # not of the name, which may be used again
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(40), nullable=False, unique=True),
    # JSON, without secrets
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("reloads", sa.Integer, nullable=False),
    # of the subject, at the last change of anything that belongs to it
    sa.Column("revision", sa.Integer, nullable=False, index=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("linked", sa.Text),
)
DATA_KEYS = sa.Table(
    "data_keys",
    METADATA,
    sa.Column("environment", sa.String(32), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    # which key-encryption key has wrapped it
    sa.Column("wrapped_by", sa.String(400), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)
"""The key of each environment that has secrets; without it they cannot be read by anybody."""
ENVIRONMENT_SECRETS = sa.Table(
    "environment_secrets",
    METADATA,
    sa.Column("environment", sa.String(32), primary_key=True),
    sa.Column("option", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
LINK_SESSIONS = sa.Table(
    "link_sessions",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    # of the token in the address
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False, index=True),
    sa.Column("content", sa.Text, nullable=False),
)
ENVIRONMENT_STATUS = sa.Table(
    "environment_status",
    METADATA,
    sa.Column("environment", sa.String(40), primary_key=True),
    sa.Column("process", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    # seconds since the epoch
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
)
ENVIRONMENT_CALLS = sa.Table(
    "environment_calls",
    METADATA,
    sa.Column("environment", sa.String(40), primary_key=True),
    # quarters of an hour since the epoch
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("process", sa.String(32), primary_key=True),
    sa.Column("counts", sa.Text, nullable=False),
)
ENVIRONMENT_DRIFT = sa.Table(
    "environment_drift",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("environment", sa.String(40), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("before", sa.String(64)),
    sa.Column("after", sa.String(64), nullable=False),
    sa.Column("changes", sa.Text),
    sa.Index("environment_drift_at", "environment", "at"),
)
WEBHOOKS = sa.Table(
    "webhooks",
    METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    # seconds since the epoch
    sa.Column("created", sa.Float, nullable=False),
    # null: nothing is left to send
    sa.Column("due", sa.Float, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    # another process may send it afterwards
    sa.Column("claimed_until", sa.Float),
    # what is sent once a day
    sa.Column("topic", sa.String(120), unique=True),
)
"""What is to be sent to the integrator, until it is delivered or a day old."""
IDEMPOTENCY_KEYS = sa.Table(
    "idempotency_keys",
    METADATA,
    # digest of environment, caller and key
    sa.Column("id", sa.String(64), primary_key=True),
    # of the input
    sa.Column("digest", sa.String(64), nullable=False),
    # of the run that writes, which renews its lease
    sa.Column("run", sa.String(32), nullable=False),
    # seconds since the epoch
    sa.Column("leased_until", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False, index=True),
    # null: the run has not ended
    sa.Column("sealed", sa.LargeBinary),
)
"""Which mutations have run under a key of their client, with the encrypted answers."""
JOBS = sa.Table(
    "jobs",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    # empty: that of the settings
    sa.Column("environment", sa.String(40), nullable=False),
    sa.Column("profile", sa.String(64)),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    # digest of the caller
    sa.Column("creator", sa.String(64), nullable=False, index=True),
    # encrypted: filters, and what is known of the caller
    sa.Column("request", sa.LargeBinary, nullable=False),
    # encrypted: keys of rows
    sa.Column("checkpoint", sa.LargeBinary),
    # JSON
    sa.Column("progress", sa.Text, nullable=False),
    # bytes of its parts
    sa.Column("size", sa.BigInteger, nullable=False),
    # JSON, as clients see it
    sa.Column("error", sa.Text),
    # the process that has it, which renews its lease
    sa.Column("owner", sa.String(32)),
    # seconds since the epoch
    sa.Column("leased_until", sa.Float, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    # null: it has not ended
    sa.Column("expires_at", sa.Float, index=True),
)
"""What runs in the background for callers, with what is needed to go on after the end of a process."""
SWEEPS = sa.Table(
    "sweeps",
    METADATA,
    # digest of environment, list, filter, companies and what the caller sees
    sa.Column("feed", sa.String(64), primary_key=True),
    sa.Column("environment", sa.String(40), nullable=False, index=True),
    # of the last sweep, which grows with time; 0: none has ended
    sa.Column("number", sa.BigInteger, nullable=False),
    # seconds since the epoch
    sa.Column("swept_at", sa.Float, nullable=False),
    sa.Column("leased_until", sa.Float, nullable=False),
    sa.Column("used_at", sa.Float, nullable=False, index=True),
    # whether values are compared, and not etags
    sa.Column("by_values", sa.Boolean, nullable=False),
    # compressed and encrypted
    sa.Column("state", sa.LargeBinary),
)
"""The keys of lists whose changes are followed, with digests of their etags or values, as of the last sweep."""
SWEEP_CHANGES = sa.Table(
    "sweep_changes",
    METADATA,
    sa.Column("feed", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    # seconds since the epoch
    sa.Column("at", sa.Float, nullable=False),
    # compressed and encrypted
    sa.Column("changes", sa.LargeBinary, nullable=False),
)
"""What each sweep has found."""
HOOKS = sa.Table(
    "hooks",
    METADATA,
    # SHA-256 of the secret
    sa.Column("digest", sa.String(64), primary_key=True),
    # "default": that of the settings
    sa.Column("environment", sa.String(40), nullable=False, index=True),
    # seconds since the epoch
    sa.Column("created", sa.Float, nullable=False),
    # null: it is the current one
    sa.Column("expires_at", sa.Float),
)
"""The secrets in the addresses at which environments report events."""
SUBSCRIPTIONS = sa.Table(
    "webhook_subscriptions",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    # empty: that of the settings
    sa.Column("environment", sa.String(40), nullable=False, index=True),
    # digest of the caller
    sa.Column("creator", sa.String(64), nullable=False, index=True),
    sa.Column("entity_set", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    # encrypted: the list, the address, the key of signatures, what is known of the caller
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    # encrypted: the cursor behind what was delivered
    sa.Column("place", sa.LargeBinary),
    # encrypted: the delivery that is being attempted
    sa.Column("pending", sa.LargeBinary),
    # JSON, as clients see it
    sa.Column("error", sa.Text),
    # of the delivery that is being attempted, or of the read
    sa.Column("attempts", sa.Integer, nullable=False),
    # seconds since the epoch
    sa.Column("failing_since", sa.Float),
    # how many
    sa.Column("delivered", sa.BigInteger, nullable=False),
    sa.Column("delivered_at", sa.Float),
    # when a hook has reported a change
    sa.Column("woken_at", sa.Float, nullable=False),
    sa.Column("due", sa.Float, nullable=False, index=True),
    # the process that has it, which renews its lease
    sa.Column("owner", sa.String(32)),
    sa.Column("leased_until", sa.Float, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
)
"""Who is told of the changes of a list, where, and how far that has come."""
DEAD_LETTERS = sa.Table(
    "dead_letters",
    METADATA,
    # of the webhook, which it keeps when it is sent again
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("subscription", sa.String(32), nullable=False, index=True),
    # encrypted: the body
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # seconds since the epoch
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("died", sa.Float, nullable=False, index=True),
)
"""Deliveries that were not taken after many attempts."""
