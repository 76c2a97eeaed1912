"""Which user of the environment a caller is: its id, default company, language and security roles.

Looked up by the sign-in name of the caller, or by the client id of an application, with the account of the gateway, and
cached for minutes. Only tokens of issuers that know these users are looked up: any other issuer could name them, too. A
caller who is no user, or a disabled one, has no facts: row rules that need them give no rows.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs

from gateway.errors import UpstreamForbidden, UpstreamNotFound
from gateway.identity.caller import Caller

from .account import AccountSets
from .dialect import Dialect
from .rows_of import equals, rows_of
from .upstream import ReadUpstream

MAX_AGE = 300.0
"""Seconds for which a user is cached."""
ABSENT = 60.0
"""Seconds for which it is cached that a caller is no user."""
MAX_USERS = 10_000
USER, APPLICATION = "user", "application"
UPSTREAM_REFUSALS = (UpstreamForbidden, UpstreamNotFound)
"""The gateway's account may not read a set, or there is no such set: ``d365-graphql check`` tells."""
NOBODY: Mapping[str, Any] = MappingProxyType({})


class _Entry(Struct, frozen=True):
    user: Mapping[str, Any]
    until: float


class EnvironmentUsers:
    """The users of one environment."""

    def __init__(
        self,
        client: ReadUpstream,
        dialect: Dialect,
        sets: AccountSets,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``client`` has the identity of the gateway."""
        self._client = client
        self._dialect = dialect
        self._sets = sets
        self._now = now
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._lookups: dict[tuple[str, ...], asyncio.Task[Mapping[str, Any]]] = {}

    async def with_user(self, caller: Caller) -> Caller:
        """Return a caller with its user; as it is if it is none. Raises GatewayError if that cannot be found out."""
        names = _names_of(caller)
        if names is None:
            return caller
        entry = self._entries.get(names)
        if entry is None or self._now() >= entry.until:
            user = await self._looked_up(names)
        else:
            self._entries.move_to_end(names)
            user = entry.user
        return structs.replace(caller, user=user) if user else caller

    async def _looked_up(self, names: tuple[str, ...]) -> Mapping[str, Any]:
        """Return the user of the lookup under way, or of a new one."""
        lookup = self._lookups.get(names)
        if lookup is None:
            lookup = self._lookups[names] = asyncio.ensure_future(self._look_up(names))
            lookup.add_done_callback(lambda ended: self._end(names, ended))
        return await asyncio.shield(lookup)

    def _end(self, names: tuple[str, ...], ended: asyncio.Task[Mapping[str, Any]]) -> None:
        del self._lookups[names]
        if not ended.cancelled():
            ended.exception()  # retrieved: everybody who waited may have left

    async def _look_up(self, names: tuple[str, ...]) -> Mapping[str, Any]:
        user = NOBODY
        kind, *rest = names
        try:
            for name in rest:
                if kind == APPLICATION:
                    user = await self._user_of_application(name)
                else:
                    user = user or await self._user(self._sets.users.sign_in, name)
        except UPSTREAM_REFUSALS:
            user = NOBODY
        age = MAX_AGE if user else ABSENT
        self._entries[names] = _Entry(user, self._now() + age)
        while len(self._entries) > MAX_USERS:
            self._entries.popitem(last=False)
        return user

    async def _user_of_application(self, client_id: str) -> Mapping[str, Any]:
        sets = self._sets.clients
        rows = await self._rows(sets.entity_set, sets.key, client_id, (sets.key, sets.value))
        return await self._user(self._sets.users.id, str(rows[0][sets.value])) if rows else NOBODY

    async def _user(self, column: str, name: str) -> Mapping[str, Any]:
        """Return the facts of the user with a value in a column."""
        users = self._sets.users
        columns = (users.id, users.sign_in, users.enabled, users.company, users.language)
        rows = await self._rows(users.entity_set, column, name, columns)
        if len(rows) != 1 or not rows[0].get(users.enabled):
            return NOBODY
        row = rows[0]
        user_id = str(row[users.id])
        user: dict[str, Any] = {
            "id": user_id,
            "company": str(row.get(users.company, "")).lower(),
            "language": row.get(users.language),
        }
        with suppress(*UPSTREAM_REFUSALS):  # a rule that needs them then gives no rows
            user["roles"] = await self._roles(user_id)
        return user

    async def _roles(self, user_id: str) -> list[str]:
        sets = self._sets.roles
        rows = await self._rows(sets.entity_set, sets.key, user_id, (sets.key, sets.value))
        return sorted({str(row[sets.value]) for row in rows})

    async def _rows(
        self, entity_set: str, column: str, text: str, columns: tuple[str, ...]
    ) -> list[Mapping[str, Any]]:
        """Return the rows whose column is a text."""
        # A star would be a wildcard in this product, and nobody's name has one.
        if "*" in text:
            return []
        select = tuple(dict.fromkeys(columns))
        rows = await rows_of(self._client, self._dialect, entity_set, select, equals(column, text))
        return [row for row in rows if str(row.get(column, "")).casefold() == text.casefold()]


def _names_of(caller: Caller) -> tuple[str, ...] | None:
    """Return how a caller may be known: as user by sign-in names, as application by its client id; None: as neither."""
    if caller.kind != "token" or not caller.user_claims:
        return None
    texts = (caller.claims.get(name) for name in caller.user_claims)
    names = dict.fromkeys(text for text in texts if isinstance(text, str) and text)
    if names:
        return USER, *names
    # A token with scopes is that of somebody who calls by the application, and has the rights of neither.
    if caller.scopes:
        return None
    application = caller.application or caller.claims.get("appid")
    return (APPLICATION, application) if isinstance(application, str) else None
