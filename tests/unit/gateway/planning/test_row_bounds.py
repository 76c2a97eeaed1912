"""Rows that no role gives are not there, at every door; each with ``$expand`` and without."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.identity.caller import Caller
from gateway.operations.global_ids import node_id
from tests.support.memory_odata import Tables
from tests.support.roles import caller, grant, role, ruled_zoo
from tests.support.zoo_model import DECLARED, DIALECTS, KEYS, NAVS, Zoo, schema_of

pytestmark = pytest.mark.anyio
SCHEMAS = {name: schema_of(dialect) for name, dialect in DIALECTS.items()}
CLERK = role(
    "clerk",
    {
        "Orders": grant({"area": {"eq": "$claims.area"}}),
        "Parties": grant({"partyId": {"ne": "p2"}}),
        "Lines": grant({"article": {"in": ["i1", "$claims.articles"]}}),
    },
)
READER = caller(area="A1", articles=[])
WAYS = [(d, e) for d in DIALECTS for e in (True, False)]


def tables(dialect: str) -> Tables:
    rows: dict[str, list[dict[str, Any]]] = {
        "Orders": [
            {"Area": "A1", "OrderId": 1, "Buyer": "p1", "Text": "a"},
            {"Area": "A1", "OrderId": 2, "Buyer": "p2", "Text": "b"},
            {"Area": "A1", "OrderId": 3, "Buyer": None, "Text": "c"},
            {"Area": "B2", "OrderId": 1, "Buyer": "p1", "Text": "a"},
        ],
        "Lines": [
            {"Area": area, "OrderId": order, "LineNo": line, "Article": article, "Price": line}
            for area, order, line, article in (
                ("A1", 1, 1, "i1"),
                ("A1", 1, 2, "i2"),
                ("A1", 2, 1, "i2"),
                ("B2", 1, 1, "i1"),
            )
        ],
        "Parties": [
            {"Area": "A1", "PartyId": "p1", "Name": "Ann"},
            {"Area": "A1", "PartyId": "p2", "Name": "Bob"},
            {"Area": "B2", "PartyId": "p1", "Name": "Cid"},
        ],
        "Items": [{"ItemId": "i1", "Weight": 1}, {"ItemId": "i2", "Weight": 2}],
    }
    return Tables(rows, KEYS, NAVS, DECLARED, insensitive=dialect == "finops")


def zoo_of(dialect: str, *roles: Any, **rest: Any) -> Zoo:
    zoo = ruled_zoo(dialect, *(roles or (CLERK,)), schema=SCHEMAS[dialect], **rest)
    zoo.tables = tables(dialect)
    return zoo


async def ask(zoo: Zoo, query: str, asking: Caller = READER, **request: Any) -> dict[str, Any]:
    answer = await zoo.execute(f"{{ {query} }}", caller=asking, **request)
    return answer.to_builtins()


def ids(*keys: tuple[str, int]) -> str:
    return ", ".join(f'"{node_id("Order", *key)}"' for key in keys)


ORDERS = [{"orderId": 1}, {"orderId": 2}, {"orderId": 3}]
DOORS: dict[str, tuple[str, Any, list[str]]] = {
    "a list": (
        "x: orders { totalCount nodes { orderId } }",
        {"totalCount": 3, "nodes": ORDERS},
        ["Orders?$select=OrderId&$filter=Area eq 'A1'&$orderby=Area,OrderId&$top=50&$count=true"],
    ),
    "a list under a filter": (
        'x: orders(where: { or: [{ text: { eq: "a" } }, { orderId: { gt: 2 } }] }) { nodes { orderId } }',
        {"nodes": [{"orderId": 1}, {"orderId": 3}]},
        [
            (
                "Orders?$select=OrderId&$filter=Area eq 'A1' and (Text eq 'a' or OrderId gt 2)"
                "&$orderby=Area,OrderId&$top=50"
            )
        ],
    ),
    "a list of another area": (
        'x: orders(where: { area: { eq: "B2" } }) { totalCount nodes { orderId } }',
        {"totalCount": 0, "nodes": []},
        [
            (
                "Orders?$select=OrderId&$filter=Area eq 'A1' and Area eq 'B2'"
                "&$orderby=Area,OrderId&$top=50&$count=true"
            )
        ],
    ),
    "a count": (
        "x: orders { totalCount }",
        {"totalCount": 3},
        ["Orders/$count?$filter=Area eq 'A1'"],
    ),
    "a row by key": (
        'x: order(area: "A1", orderId: 1) { orderId }',
        {"orderId": 1},
        ["Orders?$select=OrderId,Area&$filter=Area eq 'A1' and Area eq 'A1' and OrderId eq 1"],
    ),
    "a hidden row by key": (
        'x: order(area: "B2", orderId: 1) { orderId }',
        None,
        ["Orders?$select=OrderId,Area&$filter=Area eq 'A1' and Area eq 'B2' and OrderId eq 1"],
    ),
    "a hidden node": (
        f"x: node(id: {ids(('B2', 1))}) {{ id }}",
        None,
        ["Orders?$select=Area,OrderId&$filter=Area eq 'A1' and Area eq 'B2' and OrderId eq 1"],
    ),
    "nodes": (
        f"x: nodes(ids: [{ids(('A1', 2), ('B2', 1), ('A1', 9))}]) {{ ... on Order {{ orderId }} }}",
        [{"orderId": 2}, None, None],
        [
            (
                "Orders?$select=OrderId,Area&$filter=Area eq 'A1' and (Area eq 'A1' and (OrderId eq 2 or OrderId eq 9)"
                " or Area eq 'B2' and OrderId eq 1)"
            )
        ],
    ),
    "a filter by a hidden row": (
        'x: orders(where: { party: { name: { eq: "Bob" } } }) { nodes { orderId } }',
        {"nodes": []},
        [
            (
                "Orders?$select=OrderId&$filter=Area eq 'A1' and Party/Name eq 'Bob' and Party/PartyId ne 'p2'"
                "&$orderby=Area,OrderId&$top=50"
            )
        ],
    ),
    "a filter by what a hidden row is not": (
        'x: orders(where: { party: { name: { ne: "Bob" } } }) { nodes { orderId } }',
        {"nodes": ORDERS},
        [
            (
                "Orders?$select=OrderId&$filter=Area eq 'A1' and (Party/Name ne 'Bob' or Party/PartyId eq 'p2')"
                "&$orderby=Area,OrderId&$top=50"
            )
        ],
    ),
}
LISTED: dict[str, tuple[str, Any, list[str]]] = {
    "a filter over two relations": (
        'x: lines(where: { order: { party: { name: { eq: "Bob" } } } }) { totalCount }',
        {"totalCount": 0},
        [
            (
                "Lines/$count?$filter=Article eq 'i1' and Order/Party/Name eq 'Bob'"
                " and Order/Party/PartyId ne 'p2' and Order/Area eq 'A1'"
            )
        ],
    ),
    "a filter by some hidden row": (
        "x: orders(where: { lines: { some: { price: { eq: 2 } } } }) { nodes { orderId } }",
        {"nodes": []},
        [
            (
                "Orders?$select=OrderId&$filter=Area eq 'A1' and Lines/any(x0:x0/Price eq 2 and x0/Article eq 'i1')"
                "&$orderby=Area,OrderId&$top=50"
            )
        ],
    ),
    "a filter by rows of which there are none": (
        "x: orders(where: { lines: { none: {} } }) { nodes { orderId } }",
        {"nodes": [{"orderId": 2}, {"orderId": 3}]},
        [
            (
                "Orders?$select=OrderId&$filter=Area eq 'A1' and not Lines/any(x0:x0/Article eq 'i1')"
                "&$orderby=Area,OrderId&$top=50"
            )
        ],
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("dialect", "expand"), WAYS)
async def test_a_hidden_row_is_not_there(door: str, dialect: str, *, expand: bool) -> None:
    query, expected, requests = DOORS[door]
    zoo = zoo_of(dialect, can_expand=expand)

    assert await ask(zoo, query) == {"data": {"x": expected}}
    sent = [
        url.replace("&cross-company=true", "").replace("?cross-company=true", "")
        for url in zoo.tables.requests
    ]
    assert sent == requests


@pytest.mark.parametrize("door", LISTED)
@pytest.mark.parametrize("expand", [True, False])
async def test_a_hidden_row_of_a_list_is_not_there(door: str, *, expand: bool) -> None:
    query, expected, requests = LISTED[door]
    zoo = zoo_of("odata", can_expand=expand)

    assert await ask(zoo, query) == {"data": {"x": expected}}
    assert zoo.tables.requests == requests


NEGATED = (
    "not: { order: { orderId: { gt: 0 } } }",
    "not: { order: { orderId: { lte: 0 } } }",
    "order: { not: { orderId: { gt: 0 } } }",
    "not: { not: { order: { orderId: { gt: 0 } } } }",
    "not: { or: [{ order: { orderId: { gt: 1 } } }, { order: { orderId: { lt: 1 } } }] }",
)


@pytest.mark.parametrize("where", NEGATED)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_is_not_so_of_a_hidden_row(dialect: str, where: str) -> None:
    """A product may exclude rows without a related row from both, a test and its negation."""
    all_related = role("free", {**dict(CLERK.sets), "Orders": grant(), "Parties": grant()})
    hidden, removed = zoo_of(dialect), zoo_of(dialect, all_related)
    for name in ("Orders", "Parties"):
        rows = removed.tables.rows[name]
        removed.tables.rows[name] = [
            row for row in rows if row["Area"] == "A1" and row.get("PartyId") != "p2"
        ]
    query = f"x: lines(where: {{ {where} }}) {{ nodes {{ id }} }}"

    answer = await ask(hidden, query)

    assert "errors" not in answer
    assert answer == await ask(removed, query)


RELATED = {
    "to one": (
        "x: orders { nodes { party { name } } }",
        {"nodes": [{"party": {"name": "Ann"}}, {"party": None}, {"party": None}]},
        "PartyId ne 'p2'",
    ),
    "to many": (
        "x: orders { nodes { lines { totalCount nodes { article } } } }",
        {
            "nodes": [
                {"lines": {"totalCount": 1, "nodes": [{"article": "i1"}]}},
                {"lines": {"totalCount": 0, "nodes": []}},
                {"lines": {"totalCount": 0, "nodes": []}},
            ]
        },
        "Article eq 'i1'",
    ),
    "back and forth": (
        "x: parties { nodes { name orders { totalCount nodes { party { name } } } } }",
        {
            "nodes": [
                {"name": "Ann", "orders": {"totalCount": 1, "nodes": [{"party": {"name": "Ann"}}]}},
                {"name": "Cid", "orders": {"totalCount": 0, "nodes": []}},
            ]
        },
        "PartyId ne 'p2'",
    ),
}


@pytest.mark.parametrize("door", RELATED)
@pytest.mark.parametrize(("dialect", "expand"), WAYS)
async def test_a_hidden_related_row_is_not_there(door: str, dialect: str, *, expand: bool) -> None:
    query, expected, rule = RELATED[door]
    zoo = zoo_of(dialect, can_expand=expand)

    assert await ask(zoo, query) == {"data": {"x": expected}}
    assert any(rule in url for url in zoo.tables.requests)


async def test_roles_unite_their_rows() -> None:
    roles = [
        role("first", {"Orders": grant({"orderId": {"eq": 1}})}),
        role("second", {"Orders": grant({"text": {"eq": "$claims.text"}})}),
    ]
    query = "x: orders { nodes { area orderId } }"
    zoo = zoo_of("odata", *roles)

    both = await ask(zoo, query, caller(text="b"))
    one = await ask(zoo, query, caller())
    all_rows = await ask(zoo_of("odata", *roles, role("third", {})), query, caller())

    assert both["data"]["x"]["nodes"] == [
        {"area": "A1", "orderId": 1},
        {"area": "A1", "orderId": 2},
        {"area": "B2", "orderId": 1},
    ]
    assert len(one["data"]["x"]["nodes"]) == 2
    assert len(all_rows["data"]["x"]["nodes"]) == 4


async def test_nothing_is_sent_for_a_caller_without_the_claim() -> None:
    zoo = zoo_of("odata")

    answer = await ask(
        zoo, 'a: orders { totalCount } b: order(area: "A1", orderId: 1) { orderId }', Caller()
    )

    assert answer == {"data": {"a": {"totalCount": 0}, "b": None}}
    assert zoo.tables.requests == []


async def test_callers_of_one_engine_have_their_own_rows() -> None:
    zoo, query = zoo_of("odata"), "x: orders { totalCount }"

    counts = [
        (await ask(zoo, query, caller(area=area)))["data"]["x"]["totalCount"]
        for area in ("A1", "B2", "A1", "C3")
    ]

    assert counts == [3, 1, 3, 0]


async def test_a_hidden_row_and_a_missing_one_answer_alike() -> None:
    zoo = zoo_of("odata")
    for query in (
        'x: order(area: "B2", orderId: {}) {{ orderId }}',
        'x: orders(where: {{ area: {{ eq: "B2" }}, orderId: {{ eq: {} }} }}) {{ totalCount nodes {{ id }} }}',
    ):
        assert await ask(zoo, query.format(1)) == await ask(zoo, query.format(99))


async def test_a_rule_behind_too_many_relations_is_not_told() -> None:
    deep = role("clerk", {"Orders": grant({"party": {"name": {"eq": "secret"}}})})
    zoo = zoo_of("finops", deep)

    answer = await ask(zoo, "x: lines(where: { order: { orderId: { eq: 1 } } }) { totalCount }")

    assert [e["extensions"]["code"] for e in answer["errors"]] == ["UNSUPPORTED_QUERY"]
    assert "secret" not in str(answer)
    assert "Party" not in str(answer)


async def test_explain_and_trace_show_a_placeholder() -> None:
    zoo = zoo_of("odata")

    answer = await ask(
        zoo, "orders { nodes { lines { nodes { price } } party { name } } }", trace=True
    )

    requests = answer["extensions"]["d365"]["requests"]
    assert [r["text"] for r in requests] == [
        (
            "Orders?$select=Area,Buyer&$expand=Lines($select=Price,Area,OrderId,LineNo;$filter={rule}"
            ";$orderby=Area,OrderId,LineNo;$top=50)&$filter={rule}&$orderby=Area,OrderId&$top=50"
        ),
        "Parties?$select=Name,Area,PartyId&$filter={rule} and Area eq 'A1' and (PartyId eq 'p1' or PartyId eq 'p2')",
    ]
    assert "i1" not in str(requests)
    assert "ne%20" not in str(requests)


async def test_a_filter_that_is_too_long_does_not_tell_how_long_a_rule_is() -> None:
    zoo = zoo_of("odata")
    text = "x" * 66_000

    answer = await ask(zoo, f'orders(where: {{ text: {{ eq: "{text}" }} }}) {{ totalCount }}')

    (error,) = answer["errors"]
    assert error["message"] == (
        "The filter makes a URL of too many characters; the most is 65,536."
    )


async def test_a_rule_takes_room_in_key_batches() -> None:
    articles = [f"article-{number}" for number in range(15)]
    zoo = zoo_of("odata", can_expand=False, max_url_length=1_500)
    zoo.tables.rows["Orders"] = [
        {"Area": "A1", "OrderId": number, "Text": "a"} for number in range(60)
    ]

    answer = await ask(
        zoo,
        "x: orders(first: 60) { nodes { lines { totalCount } } }",
        caller(area="A1", articles=articles),
    )

    batches = [url for url in zoo.tables.requests if url.startswith("Lines")]
    assert "errors" not in answer
    assert len(batches) > 1
    assert all("article-14" in url for url in batches)
    assert zoo.tables.batches == []
