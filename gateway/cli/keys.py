"""`keys …`: creates, lists and revokes API keys, and records that in the audit log."""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase

from gateway.administration.opening import RegisterHolder
from gateway.audit.entries import Entry, Who
from gateway.audit.opening import open_audit_log
from gateway.config.audit_models import ADMIN_ROLE
from gateway.config.environment_models import OWN
from gateway.config.settings import Settings
from gateway.errors import BadArgument, GatewayError, SettingsError
from gateway.events import log_event
from gateway.store.api_keys import ApiKey, open_register
from gateway.store.key_register import KeyRegister
from schema.errors import did_you_mean

from .tables import iso_time, print_table

_LIFE = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}
_MAX_NAME = 200
_MAX_NAMES = 20
"""Names in a hint."""


def create(
    settings: Settings,
    name: str,
    roles: Sequence[str],
    expires: str,
    environments: Sequence[str] = (),
    *,
    as_json: bool,
) -> None:
    """Create a key and print it. Raises GatewayError; a key that cannot be recorded is revoked."""
    if not 0 < len(name) <= _MAX_NAME:
        raise BadArgument(f"A name has 1 to {_MAX_NAME} characters.")
    _check_roles(settings, roles)
    _check_environments(settings, environments)
    expires_at = _expiry(expires)
    with _register(settings) as register:
        key, text = register.create(name, roles, expires_at, environments)
        try:
            _record(settings, "created", key)
        except GatewayError:
            register.revoke(key.id)
            raise
    if as_json:
        print(json.dumps({"key": text, **_facts(key)}))
        return
    print(text)
    print("The key is shown this once. Send it as Authorization: Bearer …", file=sys.stderr)


def print_list(settings: Settings, *, as_json: bool) -> None:
    """Print all keys. Raises SettingsError, StoreUnavailable."""
    with _register(settings) as register:
        keys = register.list()
    if as_json:
        print(json.dumps({"keys": [_facts(key) for key in keys]}))
        return
    header = ("ID", "NAME", "ROLES", "ENVIRONMENTS", "CREATED", "EXPIRES", "LAST USED", "STATE")
    print_table([header, *map(_row, keys)])


def revoke(settings: Settings, key_id: str, *, as_json: bool) -> None:
    """Revoke a key. Raises SettingsError, BadArgument if there is none, StoreUnavailable."""
    with _register(settings) as register:
        key = register.revoke(key_id)
        if key is None:
            known = [key.id for key in register.list()]
            raise BadArgument(
                f"There is no key {key_id}.{did_you_mean(key_id, known)}",
                hint="`d365-graphql keys list` prints the ids.",
            )
    # After the fact: a key that leaked is revoked, whether or not that can be recorded.
    _record(settings, "revoked", key)
    if as_json:
        print(json.dumps(_facts(key)))
    else:
        print(f"{key.id} ({key.name}) is revoked.")


@contextmanager
def _register(settings: Settings) -> Iterator[KeyRegister]:
    register = open_register(settings)
    try:
        yield register
    finally:
        register.close()


def _check_roles(settings: Settings, roles: Sequence[str]) -> None:
    # A key for the second listener needs no role of the API.
    known = (*settings.roles, ADMIN_ROLE)
    unknown = [role for role in roles if settings.roles and role not in known]
    if unknown:
        raise SettingsError(
            f"There is no role {unknown[0]}.{did_you_mean(unknown[0], known)}",
            hint=f"Roles of the settings: {', '.join(settings.roles)}.",
        )


def _check_environments(settings: Settings, patterns: Sequence[str]) -> None:
    """Raise SettingsError for a pattern that matches no environment: a slip would make a key of no use."""
    if not patterns:
        return
    names = (OWN, *settings.environments, *_stored_names(settings))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SettingsError(
                f"There is no environment {pattern}.{did_you_mean(pattern, names)}",
                hint=f"Environments: {', '.join(names[:_MAX_NAMES])}.",
            )


def _stored_names(settings: Settings) -> list[str]:
    """Return the names of the environments in the store."""
    if not settings.stored_environments:
        return []
    holder = RegisterHolder(settings)
    try:
        return [environment.name for environment in holder.get().list()]
    finally:
        holder.close()


def _expiry(expires: str) -> float | None:
    """``90d`` → the time in 90 days; None for ``never``. Raises BadArgument."""
    if expires == "never":
        return None
    life = _LIFE.fullmatch(expires)
    if life is None:
        raise BadArgument(f"--expires {expires}: accepted: 12h, 90d, 52w, never.")
    return time.time() + int(life[1]) * _SECONDS[life[2]]


def _record(settings: Settings, act: str, key: ApiKey) -> None:
    """Record what a user of this machine did with a key. Raises AuditUnavailable if it must be recorded."""
    # Standard output has the key.
    log = open_audit_log(settings, log_event, stdout=sys.stderr)
    if log is None:
        return
    entry = Entry(
        kind="key",
        act=act,
        who=Who(kind="os", subject=_user()),
        key={"id": key.id, "name": key.name},
        values={
            "roles": key.roles,
            "expires": _iso(key.expires_at),
            **({"environments": key.environments} if key.environments else {}),
        },
    )
    try:
        if log.required:
            log.recorded_now(entry)
        else:
            log.record(entry)
    finally:
        log.close_now()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # in a container, a user may have no name
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def _state(key: ApiKey) -> str:
    if key.revoked is not None:
        return "revoked"
    return "valid" if key.is_valid() else "expired"


def _facts(key: ApiKey) -> Mapping[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "roles": key.roles,
        "environments": key.environments,
        "created": _iso(key.created),
        "expires": _iso(key.expires_at),
        "lastUsed": _iso(key.last_used),
        "revoked": _iso(key.revoked),
        "state": _state(key),
    }


def _row(key: ApiKey) -> tuple[str, ...]:
    times = (key.created, key.expires_at, key.last_used)
    days = ((_iso(at) or "never")[:10] for at in times)
    roles, environments = ", ".join(key.roles) or "none", ", ".join(key.environments) or "all"
    return (key.id, key.name, roles, environments, *days, _state(key))


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso_time(seconds)
