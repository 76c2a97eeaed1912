"""Checks whether callers can sign in, and that nobody else can if other machines reach the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from gateway.config.environments import real_address
from gateway.config.settings import Settings
from gateway.errors import SettingsError, StoreUnavailable
from gateway.events import Event, KeysLoaded, KeysUnavailable
from gateway.http.hosts import is_loopback
from gateway.identity.authenticator import authenticator_of, sandbox_issuer_of
from gateway.runtime.role_views import ANONYMOUS_ROLE
from gateway.store.api_keys import open_api_keys, open_register


def require_callers(settings: Settings) -> None:
    """Raise SettingsError if a real environment would be open to other machines, or callers cannot be verified."""
    inbound = settings.inbound
    real = real_address(settings)
    if (
        real is not None
        and not is_loopback(settings.host)
        and not (inbound.knows_callers or inbound.anonymous)
    ):
        raise SettingsError(
            f"{settings.host} is reachable from other machines, and no callers are configured: anybody could use "
            f"{real} with the gateway's account.",
            hint="Set inbound.issuers (D365_INBOUND__ISSUERS), inbound.api_keys or inbound.client_certificates. "
            "If a proxy in front authenticates callers, set inbound.anonymous = true "
            "(D365_INBOUND__ANONYMOUS=true).",
        )
    # Before what its roles would lead to.
    sandbox_issuer_of(settings)
    # The sandbox has callers of its own.
    roles = settings.roles if real is not None and not inbound.knows_callers else {}
    if roles and ANONYMOUS_ROLE not in roles:
        raise SettingsError(
            "There are roles, but nobody can have one: no callers are configured.",
            hint="Set inbound.issuers, inbound.api_keys or inbound.client_certificates, or declare the role "
            f"{ANONYMOUS_ROLE} for callers without credentials.",
        )
    # In this process, too, so that an error is one of the start and not of each worker.
    authenticator_of(settings, api_keys=open_api_keys(settings, _ignore), observe=_ignore)


def _ignore(_event: Event) -> None:
    """Observe nothing."""


class CallerCheck(NamedTuple):
    """The result for one way to sign in; ``hint`` is None if it works."""

    text: str
    hint: str | None = None


async def check_callers(settings: Settings) -> AsyncIterator[CallerCheck]:
    """Yield a result for each way to sign in; one if callers need not."""
    try:
        require_callers(settings)
    except SettingsError as error:
        yield CallerCheck(error.message, error.hint or "")
        return
    inbound = settings.inbound
    if not inbound.knows_callers:
        yield CallerCheck(f"anybody who reaches {settings.host}, with the gateway's account")
        return
    async for result in _issuers(settings):
        yield result
    for issuer in inbound.issuers:
        if issuer.secret is not None:
            yield CallerCheck(f"tokens of {issuer.issuer}, by a shared secret")
    if inbound.api_keys:
        yield await asyncio.to_thread(_keys, settings)
    if inbound.client_certificates:
        yield CallerCheck(f"client certificates, from {', '.join(settings.trusted_proxies)}")
    if inbound.anonymous:
        yield CallerCheck("anonymous callers, with the role anonymous if there is one")


def _keys(settings: Settings) -> CallerCheck:
    register = open_register(settings)
    try:
        valid = sum(key.is_valid() for key in register.list())
    except StoreUnavailable as error:
        return CallerCheck(error.message, error.hint or "")
    finally:
        register.close()
    return CallerCheck(f"API keys, valid: {valid}")


async def _issuers(settings: Settings) -> AsyncIterator[CallerCheck]:
    events: list[Event] = []
    keys = open_api_keys(settings, _ignore)
    authenticator = authenticator_of(settings, api_keys=keys, observe=events.append)
    assert authenticator is not None
    await authenticator.load_keys()
    for event in events:
        if isinstance(event, KeysLoaded):
            yield CallerCheck(f"tokens of {event.issuer}, keys: {len(event.kids)}")
        elif isinstance(event, KeysUnavailable):
            hint = "Can this machine reach the issuer, and are issuer, entra and discovery right?"
            yield CallerCheck(f"no keys of {event.issuer}: {event.reason}", hint)
