"""Role views for tests: what callers with some roles see of the zoo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.identity.caller import Caller
from gateway.odata.dialect import Dialect
from gateway.planning.row_bounds import ViewRules
from gateway.planning.row_rules import RowRules
from gateway.storage.sealing import Sealer
from schema.policy import Policy, Role, RoleView, SetGrant
from schema.policy.records import Names
from schema.types.build import ODataSchema
from tests.support.zoo_model import DIALECTS, SETS, Zoo, schema_of

SEALER = Sealer(b"a secret of the tests")
EVERYTHING = SetGrant()


def grant(
    where: Mapping[str, Any] | None = None,
    *,
    deny: tuple[str, ...] = (),
    **rest: Any,
) -> SetGrant:
    return SetGrant(where=where, columns=Names(("*",), deny), **rest)


def role(name: str, sets: Mapping[str, SetGrant], **rest: Any) -> Role:
    """Return a role that gives these sets, and all of every other set."""
    others = {n: EVERYTHING for n in SETS if n not in sets}
    return Role(name=name, sets=tuple({**sets, **others}.items()), **rest)


def policy_of(*roles: Role) -> Policy:
    return Policy({r.name: r for r in roles})


def rules_of(schema: ODataSchema, dialect: Dialect, *roles: Role) -> ViewRules:
    policy = policy_of(*roles)
    rules = RowRules(policy, schema.catalog, schema.core, dialect)
    rules.check()
    return ViewRules(RoleView(policy, [r.name for r in roles]), rules, SEALER)


def ruled_zoo(
    dialect: str | Dialect, *roles: Role, schema: ODataSchema | None = None, **rest: Any
) -> Zoo:
    """Return the zoo for callers with these roles."""
    product = DIALECTS[dialect] if isinstance(dialect, str) else dialect
    schema = schema or schema_of(product)
    return Zoo(product, schema=schema, rules=rules_of(schema, product, *roles), **rest)


def caller(**claims: Any) -> Caller:
    return Caller(kind="token", subject="somebody", claims=claims)
