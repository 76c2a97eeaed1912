"""From what a visitor has typed to the options of the environment: checked as those of the administration are."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.administration.option_checks import checked_options
from gateway.config.environment_addresses import environment_address
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.environments import overlaid
from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings
from gateway.errors import InvalidOption

from .names import names_for
from .problems import bad_input
from .session import LinkSession, Target
from .tenants import tenant_text

_MAX_SECRET = 500
_PLACEHOLDER = "00000000-0000-0000-0000-000000000000"
"""Stands for a tenant that is not known yet."""


class LinkInput(Struct, frozen=True, kw_only=True):
    """What a visitor has typed."""

    url: str = ""
    tenant: str = ""
    """Empty: the environment names it."""
    client_id: str = ""
    client_secret: str = ""

    def __repr__(self) -> str:
        return "LinkInput(********)"


class CheckedInput(Struct, frozen=True, kw_only=True):
    """The same, as far as it can be checked without a request."""

    url: str
    tenant: str | None
    own: tuple[str, str] | None
    """Id and secret of the customer's own application."""

    def __repr__(self) -> str:
        return "CheckedInput(********)"


def link_input(settings: Settings, session: LinkSession, entered: LinkInput) -> CheckedInput:
    """Return what was typed, in its exact form. Raises LinkError, with the input that is wrong."""
    try:
        url = environment_address(entered.url, settings.linking.allowed_hosts)
    except ValueError as error:
        text = f"{str(error)[:1].upper()}{str(error)[1:]}."
        raise bad_input("url", text) from None
    tenant = tenant_text(entered.tenant) if entered.tenant.strip() else None
    own = _own(entered) if session.application == "own" else None
    environment_options(settings, session, Target(url, tenant or _PLACEHOLDER), own)
    return CheckedInput(url=url, tenant=tenant, own=own)


def _own(entered: LinkInput) -> tuple[str, str]:
    client_id, secret = entered.client_id.strip(), entered.client_secret.strip()
    if not client_id:
        raise bad_input("client_id", "Enter the application (client) id.")
    if not secret or len(secret) > _MAX_SECRET:
        raise bad_input("client_secret", "Enter the value of the client secret.")
    return client_id, secret


def own_application(session: LinkSession, secret: str | None) -> tuple[str, str] | None:
    """Return id and secret of the customer's own application; None: it is that of the deployment."""
    return None if session.client_id is None or secret is None else (session.client_id, secret)


def environment_options(
    settings: Settings, session: LinkSession, target: Target, own: tuple[str, str] | None
) -> EnvironmentOptions:
    """Return the options of an environment. Raises LinkError."""
    values: dict[str, Any] = {"url": target.url, "tenant_id": target.tenant}
    if session.title is not None:
        values["title"] = session.title
    if own is not None:
        values |= {"client_id": own[0], "client_secret": own[1]}
    try:
        return checked_options(settings, name_of(session, target), values, by_customer=True)
    except InvalidOption as error:
        raise bad_input(error.field or "url", error.message, error.hint) from error


def environment_settings(
    settings: Settings, session: LinkSession, target: Target, own: tuple[str, str] | None
) -> EnvironmentSettings:
    """Return the settings with which an environment would be served. Raises LinkError."""
    options = environment_options(settings, session, target, own)
    return overlaid(settings, name_of(session, target), options, stored=True)


def name_of(session: LinkSession, target: Target) -> str:
    """Return the name that an environment will probably have."""
    return session.name or next(names_for(target.url))
