"""The queries of a subscription: for polls, and for the rows of changes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate

from gateway.changes.records import Kind
from gateway.errors import BadArgument, SettingsError, UnsupportedQuery
from gateway.events import Event, RequestSent
from gateway.events.streams import SubscriptionPolled
from gateway.planning.change_queries import check_stamps, find_change_query
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.subscriptions.changes import Change
from gateway.subscriptions.operation import SubscriptionRequest, payloads, read_subscription
from gateway.subscriptions.polling import Poll
from schema.catalog import Catalog
from schema.csdl.parse import parse_csdl
from schema.types.build import build_schema
from tests.support.manual_clock import Ticking
from tests.support.metadata_documents import (
    BOOKKEEPING,
    CUSTOMERS,
    RELATIONSHIPS,
    TRADERS,
    model_of,
)
from tests.support.small_models import FINOPS, GENERIC, DictResolvers
from tests.support.stamped_service import CSDL, guides

SCHEMAS = {
    BOOKKEEPING: GENERIC,
    RELATIONSHIPS: GENERIC,
    CUSTOMERS: FINOPS,
    TRADERS: GENERIC,
}


@pytest.fixture(scope="module", params=SCHEMAS)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    return Catalog(model_of(request.param), SCHEMAS[request.param])


def test_queries_for_every_set_are_valid(catalog: Catalog) -> None:
    core = build_schema(catalog, DictResolvers()).core
    seen = 0
    for kind, _, name in list(catalog.set_roots())[:15]:
        if kind.value != "list" or not catalog.is_node(catalog.roots[name].csdl):
            continue
        change_query = find_change_query(catalog, name)
        seen += 1
        assert validate(core, parse(change_query.rows)) == []
        assert not change_query.newest or validate(core, parse(change_query.newest)) == []
    assert seen > 5 or len(catalog.roots) < 20


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "given", "stamp"),
    [
        (BOOKKEEPING, "customers", "lastModifiedDateTime"),
        (RELATIONSHIPS, "accounts", "modifiedon"),
        (CUSTOMERS, "CustomersV3", None),
        (TRADERS, "Orders", None),
    ],
)
def test_stamps_are_recognised_by_name(name: str, given: str, stamp: str | None) -> None:
    change_query = find_change_query(Catalog(model_of(name), SCHEMAS[name]), given)

    assert change_query.stamp == stamp
    assert ("orderBy" in change_query.rows, bool(change_query.newest)) == (
        stamp is not None,
        stamp is not None,
    )


def test_stamps_can_be_configured() -> None:
    northwind = Catalog(model_of(TRADERS), GENERIC)

    assert find_change_query(northwind, "orders", ["Orders.ShippedDate"]).stamp == "shippedDate"
    assert find_change_query(northwind, "orders", ["Orders.ShipName"]).stamp is None
    assert find_change_query(northwind, "orders", ["Customers.ShippedDate"]).stamp is None


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        ("Orders.ShippedDate", None),
        ("Orders.ShipName", "Orders.ShipName is not a date and time"),
        ("Orders.Gone", "Orders.Gone is not a date and time"),
        ("Gone.ShippedDate", "Gone is not a list"),
    ],
)
def test_unknown_stamp_is_a_settings_error(stamp: str, said: str | None) -> None:
    northwind = Catalog(model_of(TRADERS), GENERIC)

    if said is None:
        check_stamps(northwind, (stamp,))
    else:
        with pytest.raises(SettingsError, match=said):
            check_stamps(northwind, (stamp,))


def test_only_lists_with_keys_can_be_watched() -> None:
    northwind = Catalog(model_of(TRADERS), GENERIC)

    with pytest.raises(BadArgument, match="no list called node"):
        find_change_query(northwind, "node")
    keyless = CSDL.replace('<Key><PropertyRef Name="GuideId"/></Key>', "")
    catalog = Catalog(parse_csdl([keyless.encode()], name="keyless"), FINOPS)
    with pytest.raises(UnsupportedQuery, match="no key"):
        find_change_query(catalog, "Guides")


def begun(gateway: Gateway, query: str, **variables: Any) -> SubscriptionRequest:
    request = GraphQLRequest(query=query, variables=variables)
    operation = gateway.engine.read(request)
    assert operation.document.node is not None
    return read_subscription(
        gateway.schema.core,
        operation.document.node,
        operation.operation,
        operation.variables,
        variables,
    )


def test_rows_are_queried_as_selected(assembled: Gateway) -> None:
    started = begun(
        assembled,
        """subscription Mine($where: JSON, $ids: Int = 2, $with: Boolean!, $set: String!) {
          row: entityChanged(set: $set, where: $where) { ...Change kind @skip(if: $with) }
        }
        fragment Change on EntityChanged {
          a: node { ...Customer } a: node { id @include(if: $with) } node { __typename }
        }
        fragment Customer on CustomerV3 { salesOrders(first: $ids) { ...Orders } }
        fragment Orders on SalesOrderHeaderV2Connection { totalCount }""",
        where={"customerAccount": {"eq": "US-001"}},
        set="customersV3",
        **{"with": True},
    )

    assert (started.key, started.fields) == ("row", (("a", "node"), ("node", "node")))
    assert started.arguments == {
        "set": "customersV3",
        "where": {"customerAccount": {"eq": "US-001"}},
    }
    assert (started.ids, started.variables) == ("ids_", {"with": True})
    assert " ".join(started.query.split()) == (
        "query Mine($ids_: [ID!]!, $ids: Int = 2, $with: Boolean!) {"
        " a: nodes(ids: $ids_) { ...Customer id @include(if: $with) }"
        " node: nodes(ids: $ids_) { __typename } }"
        " fragment Customer on CustomerV3 { salesOrders(first: $ids) { ...Orders } }"
        " fragment Orders on SalesOrderHeaderV2Connection { totalCount }"
    )
    assert validate(assembled.schema.core, parse(started.query)) == []


def test_include_is_resolved_in_the_query_for_rows(assembled: Gateway) -> None:
    started = begun(
        assembled,
        """subscription ($with: Boolean!) {
          entityChanged(set: "customersV3") { node @include(if: $with) { id } }
        }""",
        **{"with": True},
    )

    assert (started.variables, started.fields) == ({}, (("node", "node"),))
    assert validate(assembled.schema.core, parse(started.query)) == []


def test_rows_are_not_queried_if_not_selected(assembled: Gateway) -> None:
    started = begun(assembled, 'subscription { entityChanged(set: "customersV3") { kind id } }')

    assert (started.query, started.fields) == ("", (("kind", "kind"), ("id", "id")))


NODES = SubscriptionRequest(
    key="row",
    arguments={},
    fields=(("id", "id"), ("n", "node")),
    query="…",
    variables={},
    ids="ids",
)
THREE = [
    Change(Kind.CREATED, "a", "1"),
    Change(Kind.DELETED, "b", None),
    Change(Kind.UPDATED, "c", "2"),
]


def results(of: SubscriptionRequest, changes: Iterable[Change], answer: Any) -> list[Any]:
    raw = None if answer is None else json.dumps(answer).encode()
    return [json.loads(one) for one in payloads(of, "things", list(changes), raw)]


def test_each_change_gets_its_row() -> None:
    answer = {"data": {"n": [{"x": 1}, None]}}

    assert results(NODES, THREE, answer) == [
        {"data": {"row": {"id": "a", "n": {"x": 1}}}},
        {"data": {"row": {"id": "b", "n": None}}},
        {"data": {"row": {"id": "c", "n": None}}},
    ]


def test_error_is_at_the_change_of_its_row() -> None:
    errors = [
        {"message": "bad", "path": ["n", 1, "x"], "locations": [{"line": 9, "column": 9}]},
    ]
    first, _, last = results(
        NODES, THREE, {"data": {"n": [{"x": 1}, {"x": None}]}, "errors": errors}
    )

    assert "errors" not in first
    assert last == {
        "data": {"row": {"id": "c", "n": {"x": None}}},
        "errors": [{"message": "bad", "path": ["row", "n", "x"]}],
    }


OBJECTS = replace(
    NODES, fields=(("id", "id"), ("n", "object"), ("e", "object")), empty=frozenset("e")
)


def test_objects_are_in_their_model() -> None:
    errors = [{"message": "bad", "path": ["n", "rows", 1, "x"]}]
    answer = {"data": {"n": {"rows": [{"x": 1}, {"x": None}]}}, "errors": errors}

    assert results(OBJECTS, THREE, answer) == [
        {"data": {"row": {"id": "a", "n": {"x": 1}, "e": {}}}},
        {"data": {"row": {"id": "b", "n": None, "e": None}}},
        {
            "data": {"row": {"id": "c", "n": {"x": None}, "e": {}}},
            "errors": [{"message": "bad", "path": ["row", "n", "x"]}],
        },
    ]


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"errors": [{"message": "away"}]}, ["row"]),
        ({"data": None, "errors": [{"message": "away", "path": ["n"]}]}, ["row", "n"]),
    ],
)
def test_rows_that_cannot_be_read_are_null_with_the_error(answer: Any, path: list[str]) -> None:
    first, gone, _ = results(NODES, THREE, answer)

    assert first == {
        "data": {"row": {"id": "a", "n": None}},
        "errors": [{"message": "away", "path": path}],
    }
    assert "errors" not in gone


WRITE = """mutation ($input: [GuideUpdateInput!]!) {
  updateGuides(input: $input) { userErrors { message } results { userErrors { message } } }
}"""


@pytest.mark.anyio
async def test_polls_by_stamp_read_new_rows_only(tmp_path: Path) -> None:
    events: list[Event] = []
    async with guides(tmp_path, events.append) as gateway:
        poll = Poll(
            query=find_change_query(gateway.catalog, "Guides"),
            where={},
            companies=None,
            ask=gateway.engine.execute_unlogged,
            page=1_000,
            most=5_000,
            late=30,
            now=Ticking(time=4_000_000_000.0).clock.now,
            observe=events.append,
        )
        assert await poll.changes() == ()
        rows = await asked(gateway, "{ guides { nodes { guideId } } }")
        guide = rows["guides"]["nodes"][0]["guideId"]
        patch = {"title": "New", "sysModifiedDateTime": "2090-05-01T12:00:00Z"}
        await asked(gateway, WRITE, input=[{"key": {"guideId": guide}, "patch": patch}])
        events.clear()

        [change] = await poll.changes()
        assert change.kind is Kind.CHANGED
        assert await poll.changes() == ()
    first, second = (str(e.url) for e in events if isinstance(e, RequestSent))
    polled = [e for e in events if isinstance(e, SubscriptionPolled)]
    assert [(e.set, e.requests, e.rows, e.changes) for e in polled] == [
        ("guides", 1, 2, 1),
        ("guides", 1, 1, 0),
    ]
    assert "$filter=SysModifiedDateTime%20ge%20" in first
    assert "$orderby=SysModifiedDateTime,GuideId" in second


async def asked(gateway: Gateway, query: str, **variables: Any) -> Any:
    answer = await gateway.engine.execute(GraphQLRequest(query=query, variables=variables))
    assert isinstance(answer, Answer)
    body = answer.to_builtins()
    assert "errors" not in body, body
    return body["data"]
