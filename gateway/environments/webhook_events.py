"""What the integrator is told of changes of environments, as webhooks: `environment.linked` and so on.

A change and its webhook are stored in one transaction, whoever makes the change: the REST API, a command, a link page.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.config.settings import Settings
from gateway.store.opening import open_database

from .environment_json import environment_json, time_text

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gateway.store.stored_environment import StoredEnvironment
    from gateway.store.webhook_queue import WebhookQueue

EVENTS = ("linked", "updated", "disabled", "enabled", "removed", "needs_reauth")
NEEDS_REAUTH = "needs_reauth"


def event_type(event: str) -> str:
    """Return the type of a webhook."""
    return f"environment.{event}"


def webhook_body(event: str, environment: StoredEnvironment, **more: Any) -> str:
    """Return the body of a webhook, without secrets.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
    """
    content = {
        "type": event_type(event),
        "timestamp": time_text(time.time()),
        "data": {**environment_json(environment), **more},
    }
    return msgspec.json.encode(content).decode()


def record_event(connection: sa.Connection, event: str, environment: StoredEnvironment) -> None:
    """Store the webhook of a change in the transaction of the change."""
    from gateway.store.webhook_queue import enqueue  # noqa: PLC0415 - it imports SQLAlchemy

    enqueue(connection, event_type(event), webhook_body(event, environment))


def open_webhook_queue(settings: Settings) -> WebhookQueue:
    """Return the queue of the configured store. Raises SettingsError if there is none."""
    database = open_database(settings)
    from gateway.store.webhook_queue import WebhookQueue  # noqa: PLC0415 - it imports SQLAlchemy

    return WebhookQueue(database)


def has_webhooks(settings: Settings) -> bool:
    """Return whether the integrator is told of changes."""
    return settings.linking.webhook_url is not None and settings.stored_environments
