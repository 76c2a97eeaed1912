"""Subscribers share polls and reads only if they see the same."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest

from gateway.identity.caller import Caller
from gateway.odata.dialect import ODATA
from gateway.planning.change_queries import find_change_query
from gateway.subscriptions.operation import SubscriptionRequest
from gateway.subscriptions.polling import Poll
from gateway.subscriptions.sharing import Reader
from gateway.subscriptions.start import ActiveSubscription
from tests.support.memory_odata import Tables
from tests.support.roles import caller, grant, role, ruled_zoo
from tests.support.zoo_model import DECLARED, KEYS, NAVS, Zoo, schema_of

pytestmark = pytest.mark.anyio
SCHEMA = schema_of(ODATA)
CLERK = role("clerk", {"Orders": grant({"text": {"in": "$claims.texts"}})})
ORDERS = find_change_query(SCHEMA.catalog, "orders")


def zoo() -> Zoo:
    made = ruled_zoo("odata", CLERK, schema=SCHEMA)
    orders = [
        {"Area": "A1", "OrderId": n, "Text": text, "@odata.etag": f"e{n}"}
        for n, text in enumerate("ab")
    ]
    rows = {"Orders": orders, "Lines": [], "Parties": [], "Items": []}
    made.tables = Tables(rows, KEYS, NAVS, DECLARED)
    return made


def subscription(asking: Caller, scope: Hashable) -> ActiveSubscription:
    request = SubscriptionRequest(
        key="entityChanged",
        arguments={},
        fields=(("node", "node"),),
        query="query($ids: [ID!]!) { node: nodes(ids: $ids) { ... on Order { text } } }",
        variables={},
        ids="ids",
    )
    return ActiveSubscription(request, ORDERS, {}, None, 1_000, asking, scope)


def test_callers_with_equal_claims_share_and_others_do_not() -> None:
    engine = zoo().engine
    first, same, other = (
        subscription(asking, engine.scope_of(asking))
        for asking in (
            caller(texts=["a"], name="Ann"),
            caller(texts=["a"], name="Bob"),
            caller(texts=["b"], name="Ann"),
        )
    )

    assert first.key == same.key != other.key
    assert Reader(first, None).key == Reader(same, None).key != Reader(other, None).key
    assert Reader(first, None).scope == Reader(same, None).scope != Reader(other, None).scope
    assert hash(first.key)


def test_without_roles_callers_of_one_company_share() -> None:
    engine = Zoo(ODATA, schema=SCHEMA).engine
    users = [Caller(user={"company": name}) for name in ("usmf", "usmf", "demf")]

    assert engine.scope_of(caller(texts=["a"])) is None
    first, same, other = map(engine.scope_of, users)
    assert first == same != other


def test_callers_of_different_default_companies_share_nothing() -> None:
    engine = zoo().engine
    scopes = {
        engine.scope_of(Caller(claims={"texts": ["a"]}, user={"company": name}))
        for name in ("usmf", "usmf", "demf")
    }

    assert len(scopes) == 2


async def test_the_rows_of_changes_are_read_as_the_caller() -> None:
    asking, made = caller(texts=["a"]), zoo()
    ids = ["lAGlT3JkZXKiQTEA", "lAGlT3JkZXKiQTEB"]

    answer = await made.engine.execute(subscription(asking, None).rows(ids))

    assert answer.to_builtins()["data"] == {"node": [{"text": "a"}, None]}


async def changes(poll: Poll) -> list[tuple[str, Any]]:
    return [(change.kind.name, change.etag) for change in await poll.changes()]


async def test_a_row_that_leaves_a_rule_appears_as_deleted() -> None:
    made = zoo()
    poll = Poll(
        query=ORDERS,
        where={},
        companies=None,
        caller=caller(texts=["a"]),
        ask=made.engine.execute_unlogged,
        page=10,
        most=100,
        late=0.0,
        now=lambda: 0.0,
        observe=made.events.append,
    )
    first, second = made.tables.rows["Orders"]

    assert await changes(poll) == []
    second |= {"@odata.etag": "e1b"}
    assert await changes(poll) == []
    second |= {"Text": "a", "@odata.etag": "e1c"}
    assert await changes(poll) == [("CREATED", "e1c")]
    first |= {"Text": "z", "@odata.etag": "e0b"}
    assert [kind for kind, _ in await changes(poll)] == ["DELETED"]
