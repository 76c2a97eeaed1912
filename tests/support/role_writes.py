"""A service that can be written, and its API for callers with roles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.identity.caller import Caller
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import Dialect
from gateway.planning.limits import PlanLimits
from gateway.planning.row_bounds import ViewRules
from gateway.planning.row_rules import RowRules
from gateway.request import GraphQLRequest
from gateway.writes.operations import WriteLimits
from schema.catalog import Catalog
from schema.catalog.role_catalog import role_catalog
from schema.policy import Right, Role, RoleView, SetGrant
from schema.policy.records import Names
from schema.types.build import build_schema
from schema.writes import Writes
from tests.support.observers import raise_bugs
from tests.support.roles import SEALER, policy_of
from tests.support.writable_odata import ETAG, WritableTables
from tests.support.zoo_model import DECLARED, FO, KEYS, NAVS, SETS, client_over, model

EVERY_RIGHT = frozenset(Right)
CATALOG = Catalog(model(), abilities_of(FO))
WHOLE = build_schema(CATALOG, LoadedResolvers(CATALOG), writes=Writes(CATALOG))


def writing(
    where: Mapping[str, Any] | None = None,
    *rights: Right,
    columns: tuple[str, ...] = ("*",),
    deny: tuple[str, ...] = (),
    **rest: Any,
) -> SetGrant:
    """Return a grant of these rights, of all without any."""
    given = frozenset({Right.READ, *rights}) if rights else EVERY_RIGHT
    return SetGrant(where=where, rights=given, columns=Names(columns, deny), **rest)


def role(name: str, sets: Mapping[str, SetGrant], **rest: Any) -> Role:
    """Return a role that gives these sets, and to read the others."""
    others = {n: SetGrant() for n in SETS if n not in sets}
    return Role(name=name, sets=tuple({**sets, **others}.items()), **rest)


class RoleWrites:
    """An API for callers with roles, over rows of the zoo."""

    def __init__(
        self,
        rows: Mapping[str, list[dict[str, Any]]],
        *roles: Role,
        dialect: Dialect = FO,
        can_expand: bool = True,
        changeset_size: int = 100,
        versions: bool = True,
        natural_keys: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.tables = WritableTables(
            {name: list(map(dict, rows.get(name, ()))) for name in SETS},
            KEYS,
            NAVS,
            DECLARED,
            insensitive=dialect.case_insensitive,
            versions=versions,
        )
        settings = ExecutionSettings(
            plans=PlanLimits(can_expand=can_expand),
            writes=WriteLimits(
                changeset_size=changeset_size, natural_keys=natural_keys or {}, settle_pause=0
            ),
        )
        self.after_reads: Callable[[], None] | None = None
        """What others do between the reads and the writes of an operation."""
        self.after_writes: Callable[[], None] | None = None
        """What the upstream does when it has written."""
        catalog, rules = CATALOG, None
        if roles:
            policy = policy_of(*roles)
            view = RoleView(policy, [r.name for r in roles])
            catalog = role_catalog(CATALOG, view)
            row_rules = RowRules(policy, CATALOG, WHOLE.core, dialect)
            row_rules.check()
            rules = ViewRules(view, row_rules, SEALER)
        self.schema = build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))
        client = client_over(self._answer, [], dialect=dialect.name)
        self.engine = Engine(self.schema, client, dialect, settings, raise_bugs, rules=rules)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = self.tables.answer(request)
        if request.method == "GET" and self.after_reads is not None:
            act, self.after_reads = self.after_reads, None
            act()
        elif request.method != "GET" and self.after_writes is not None:
            self.after_writes()
        return answer

    async def ask(
        self, query: str, variables: Mapping[str, Any] | None = None, by: Caller | None = None
    ) -> dict[str, Any]:
        self.tables.requests.clear()
        self.tables.writes.clear()
        request = GraphQLRequest(query=query, variables=variables or {}, caller=by or Caller())
        answer: dict[str, Any] = (await self.engine.execute(request)).to_builtins()
        return answer

    def rows(self, set_name: str) -> list[dict[str, Any]]:
        """The rows of a set, without their versions."""
        rows = self.tables.rows[set_name]
        return [{n: v for n, v in row.items() if n != ETAG} for row in rows]
