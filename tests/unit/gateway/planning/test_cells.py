"""Values that show by row: plain, masked, or not at all; in every way in which rows come in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.events import FastPathFailed
from gateway.operations.global_ids import node_id
from schema.policy import Mask, Role
from tests.support.memory_odata import Tables
from tests.support.roles import SEALER, caller, grant, role, ruled_zoo
from tests.support.zoo_model import DECLARED, DIALECTS, KEYS, NAVS, Zoo, schema_of

pytestmark = pytest.mark.anyio
SCHEMAS = {name: schema_of(dialect) for name, dialect in DIALECTS.items()}
TEXTS = ("1234-5678", "short", "ABCDEFGH", None)
HOME = {"City": "Ulm", "Zone": None, "Spot": None}
OWNER = role("owner", {"Orders": grant({"number": {"eq": "$claims.number"}})})
"""Gives some rows, with all of their columns."""
CLERK = role("clerk", {"Orders": grant(deny=("Text", "Amount", "Home", "Labels", "Due"))})
"""Gives every row, without some columns."""
AUDITOR = role("auditor", {"Orders": grant(masks={"Text": Mask.LAST4, "A*": Mask.NULL})})
WAYS = [(d, e, c) for d in DIALECTS for e in (True, False) for c in (True, False)]
DIGESTS = [None if t is None else SEALER.digest("mask", t.encode())[:8].hex() for t in TEXTS]


def orders() -> list[dict[str, Any]]:
    return [
        {
            "Area": "A1",
            "OrderId": number,
            "Buyer": "p1",
            "Number": number % 2,
            "Text": text,
            "Amount": Decimal(f"{number}.50"),
            "Home": HOME,
            "Labels": ["x"],
            "Due": "2024-01-31T12:00:00Z",
        }
        for number, text in enumerate(TEXTS)
    ]


def zoo_of(dialect: str, *roles: Role, **rest: Any) -> Zoo:
    zoo = ruled_zoo(dialect, *roles, schema=SCHEMAS[dialect], **rest)
    rows = {
        "Orders": orders(),
        "Lines": [
            {
                "Area": "A1",
                "OrderId": n,
                "LineNo": 1,
                "Article": "i1",
                "Price": 1,
                "Note": f"note {n}",
            }
            for n in range(4)
        ],
        "Parties": [{"Area": "A1", "PartyId": "p1", "Name": "Ann", "Since": None}],
        "Items": [{"ItemId": "i1", "Weight": 1}],
    }
    zoo.tables = Tables(rows, KEYS, NAVS, DECLARED, insensitive=dialect == "finops")
    return zoo


async def ask(zoo: Zoo, query: str, number: object = 0) -> Any:
    answer = (await zoo.execute(f"{{ {query} }}", caller=caller(number=number))).to_builtins()
    assert "errors" not in answer, answer
    return answer["data"]


def texts(*, plain: tuple[int, ...]) -> list[dict[str, Any]]:
    """Text and amount of every order; only those of some show."""
    return [
        {"text": text, "amount": f"{n}.50"} if n in plain else {"text": None, "amount": None}
        for n, text in enumerate(TEXTS)
    ]


IDS = ", ".join(f'"{node_id("Order", "A1", n)}"' for n in range(4))
DOORS = {
    "a list": ("x: orders { nodes { text amount } }", lambda data: data["x"]["nodes"]),
    "nodes": (
        f"x: nodes(ids: [{IDS}]) {{ ... on Order {{ text amount }} }}",
        lambda data: data["x"],
    ),
    "rows by key": (
        " ".join(f'x{n}: order(area: "A1", orderId: {n}) {{ text amount }}' for n in range(4)),
        lambda data: [data[f"x{n}"] for n in range(4)],
    ),
    "to many": (
        "x: parties { nodes { orders { nodes { text amount } } } }",
        lambda data: data["x"]["nodes"][0]["orders"]["nodes"],
    ),
    "to one": (
        "x: lines { nodes { order { text amount } } }",
        lambda data: [line["order"] for line in data["x"]["nodes"]],
    ),
    "two levels": (
        "x: lines { nodes { order { party { orders(last: 4) { nodes { text amount } } } } } }",
        lambda data: data["x"]["nodes"][0]["order"]["party"]["orders"]["nodes"],
    ),
    "a list in pages": (
        "x: orders(first: 2) { nodes { text amount } } y: orders(last: 2) { nodes { text amount } }",
        lambda data: data["x"]["nodes"] + data["y"]["nodes"],
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("dialect", "expand", "compiled"), WAYS)
async def test_a_value_shows_where_one_role_gives_row_and_column(
    door: str, dialect: str, *, expand: bool, compiled: bool
) -> None:
    query, pick = DOORS[door]
    zoo = zoo_of(dialect, CLERK, OWNER, can_expand=expand, compiled=compiled)

    assert pick(await ask(zoo, query)) == texts(plain=(0, 2))
    assert pick(await ask(zoo, query, 1)) == texts(plain=(1, 3))
    assert pick(await ask(zoo, query, "no number")) == texts(plain=())
    assert [event for event in zoo.events if isinstance(event, FastPathFailed)] == []


@pytest.mark.parametrize("compiled", [True, False])
async def test_columns_by_upstream_names_show_as_their_fields_do(*, compiled: bool) -> None:
    zoo = zoo_of("finops", AUDITOR, OWNER, compiled=compiled)
    query = 'orders { nodes { text amount customFields(names: ["Text", "Amount"]) } }'

    rows = (await ask(zoo, query))["orders"]["nodes"]

    assert [row["customFields"] for row in rows] == [
        {"Text": row["text"], "Amount": row["amount"]} for row in rows
    ]
    assert [row["amount"] for row in rows] == ["0.50", None, "2.50", None]


@pytest.mark.parametrize(
    ("name", "shows"), [("Bob", True), ("Ann", False), ("\uff21nn", False), ("An\u200bn", False)]
)
async def test_texts_that_a_database_may_take_for_equal_decide_nothing(
    name: str, *, shows: bool
) -> None:
    owner = role("owner", {"Parties": grant({"name": {"ne": "Ann"}})})
    clerk = role("clerk", {"Parties": grant(deny=("Since",))})
    zoo = zoo_of("finops", clerk, owner)
    zoo.tables.rows["Parties"] = [
        {"Area": "A1", "PartyId": "p1", "Name": name, "Since": "2024-01-31T12:00:00Z"}
    ]

    (party,) = (await ask(zoo, "parties { nodes { since } }"))["parties"]["nodes"]

    assert (party["since"] is not None) is shows


async def test_a_trace_tells_neither_the_rule_nor_how_long_a_value_is() -> None:
    zoo = zoo_of("finops", AUDITOR, OWNER)
    query = "{ orders { nodes { text } } }"

    answer = (await zoo.execute(query, caller=caller(number=0), trace=True)).to_builtins()

    trace = answer["extensions"]["d365"]
    assert [request["bytes"] for request in trace["requests"]] == [None]
    assert trace["spent"]["bytes"] is None
    assert trace["spent"]["rows"] == 4
    assert "$select=Text" in trace["requests"][0]["text"]
    assert "Number" not in str(trace)


async def test_the_columns_of_the_rule_are_read_too() -> None:
    zoo = zoo_of("odata", CLERK, OWNER)

    await ask(zoo, "orders { nodes { text } }")
    await ask(zoo, "orders { nodes { orderId } }")

    assert [url.partition("&")[0] for url in zoo.tables.requests] == [
        "Orders?$select=Text,Number",
        "Orders?$select=OrderId",
    ]


async def test_objects_and_lists_of_values_are_emptied_as_a_whole() -> None:
    zoo = zoo_of("odata", CLERK, OWNER)

    data = await ask(zoo, "x: orders(first: 2) { nodes { home { city } labels due } }")

    assert data["x"]["nodes"] == [
        {"home": {"city": "Ulm"}, "labels": ["x"], "due": "2024-01-31"},
        {"home": None, "labels": None, "due": None},
    ]


MASKS: dict[str, tuple[tuple[Role, ...], list[str | None]]] = {
    "last four": ((AUDITOR,), ["****5678", "****", "****EFGH", None]),
    "a digest": ((role("a", {"Orders": grant(masks={"Text": Mask.HASH})}),), DIGESTS),
    "nothing": ((role("a", {"Orders": grant(masks={"*": Mask.NULL})}),), [None] * 4),
    "plain or masked": ((AUDITOR, OWNER), ["1234-5678", "****", "ABCDEFGH", None]),
    "masked or hidden": (
        (
            role("a", {"Orders": grant({"number": {"eq": 1}}, masks={"Text": Mask.LAST4})}),
            CLERK,
        ),
        [None, "****", None, None],
    ),
    "plain, masked or hidden": (
        (
            role("a", {"Orders": grant({"orderId": {"eq": 2}}, masks={"Text": Mask.LAST4})}),
            role("b", {"Orders": grant({"orderId": {"eq": 1}})}),
            CLERK,
        ),
        [None, "short", "****EFGH", None],
    ),
    "two masks": (
        (AUDITOR, role("a", {"Orders": grant(masks={"Text": Mask.HASH})})),
        ["****5678", "****", "****EFGH", None],
    ),
    "every row in plain": ((AUDITOR, role("all", {})), list(TEXTS)),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("compiled", [True, False])
async def test_masks_and_rules_combine(name: str, *, compiled: bool) -> None:
    roles, expected = MASKS[name]
    zoo = zoo_of("odata", *roles, compiled=compiled)

    data = await ask(zoo, "x: orders { nodes { text } }")

    assert [row["text"] for row in data["x"]["nodes"]] == expected


async def test_keys_show_in_every_row() -> None:
    zoo = zoo_of("odata", role("a", {"Orders": grant(deny=("*",))}))

    data = await ask(zoo, "x: orders { nodes { id area orderId number } }")

    assert [row["orderId"] for row in data["x"]["nodes"]] == [0, 1, 2, 3]
    assert {row["number"] for row in data["x"]["nodes"]} == {None}


@pytest.mark.parametrize("compiled", [True, False])
async def test_a_column_of_several_types_is_masked_once(*, compiled: bool) -> None:
    """Two types of one family declare ``Motto``; the digest of a digest would be equal to no other."""
    zoo = zoo_of(
        "odata", role("a", {"Parties": grant(masks={"Motto": Mask.HASH})}), compiled=compiled
    )
    for number, kind in enumerate(("Person", "Firm")):
        zoo.tables.rows["Parties"].append(
            {
                "Area": "B2",
                "PartyId": kind,
                "@odata.type": f"#Zoo.{kind}",
                "Motto": "short",
                "Age": 1,
            }
            | {"Name": kind, "Steps": number, "Listed": "No"}
        )

    data = await ask(
        zoo, "x: parties { nodes { ... on Person { motto } ... on Firm { motto name } } }"
    )

    assert [row.get("motto") for row in data["x"]["nodes"]] == [None, DIGESTS[1], DIGESTS[1]]


UNDECIDED: list[dict[str, Any]] = [
    {"party": {"name": {"eq": "Ann"}}},
    {"lines": {"some": {}}},
    {"text": {"gte": "A"}},
    {"text": {"contains": "5"}},
    {"rights": {"ne": ["READ"]}},
]


@pytest.mark.parametrize("where", UNDECIDED, ids=str)
async def test_a_rule_that_a_row_does_not_decide_shows_nothing(where: dict[str, Any]) -> None:
    zoo = zoo_of("odata", CLERK, role("owner", {"Orders": grant(where)}))

    data = await ask(zoo, "x: orders { nodes { text } }")

    assert data["x"]["nodes"] == [{"text": None}] * 4


@pytest.mark.parametrize("value", ["x", [], {}])
async def test_a_rule_on_a_spoilt_value_shows_nothing(value: object) -> None:
    """``ne`` would hold for what is taken as null."""
    owner = role("owner", {"Orders": grant({"number": {"ne": 5}})})
    zoo = zoo_of("odata", CLERK, owner)
    first = zoo.tables.rows["Orders"][0]
    zoo.tables.spoilt[id(first)] = {"Number": value}

    data = await ask(zoo, "x: orders { nodes { text } }")

    assert [row["text"] for row in data["x"]["nodes"]] == [None, *TEXTS[1:]]


async def test_a_row_without_roles_that_decide_has_no_extra_columns() -> None:
    zoo = zoo_of("odata", role("one", {}), role("two", {"Parties": grant(deny=("Name",))}))

    await ask(zoo, "x: orders { nodes { text } }")

    assert zoo.tables.requests == ["Orders?$select=Text&$orderby=Area,OrderId&$top=50"]
