"""Opens what linking needs of the store. Nothing is connected before the first request."""

from __future__ import annotations

from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.events import Observer
from gateway.store.link_register import LinkRegister
from gateway.store.opening import open_database

from .flow import LinkFlow
from .sessions import LinkSessions
from .storing import LinkStore


def open_sessions(settings: Settings) -> LinkSessions:
    """Return the sessions of the configured store. Raises SettingsError if there is none."""
    return LinkSessions(LinkRegister(open_database(settings)), settings.linking.session_minutes)


def open_flow(settings: Settings, observe: Observer) -> LinkFlow:
    """Return the steps of linking. Raises SettingsError if there is no store, or no link page."""
    public_url = settings.linking.public_url
    assert public_url is not None  # the page is served there
    register = open_environment_register(settings)
    # Of the same database, so that an environment is stored together with the end of its session.
    sessions = LinkSessions(LinkRegister(register.database), settings.linking.session_minutes)
    return LinkFlow(
        settings=settings,
        public_url=public_url,
        sessions=sessions,
        store=LinkStore(settings, register),
        observe=observe,
    )
