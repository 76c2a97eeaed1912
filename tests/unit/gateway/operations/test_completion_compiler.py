"""``gateway.operations.completion_compiler``: compiled functions answer good rows, and give up on everything else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from graphql import OperationDefinitionNode, parse
from msgspec import UNSET

from gateway.operations.completion_compiler import Complete, FastPathMiss
from gateway.operations.pages import Page
from gateway.operations.prepared_operation import Prepared, prepare
from gateway.operations.row_types import RowTypes
from tests.support.zoo_model import FO, schema_of

CATALOG = schema_of(FO).catalog
encode = msgspec.json.Encoder(decimal_format="string").encode


def prepared(text: str) -> Prepared:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return prepare(CATALOG, document, operation, {})


def compiled(text: str, root: str = "order") -> tuple[Complete, Any]:
    """Return the function of a by-key field, and its row type."""
    keys = {
        "order": 'area: "A", orderId: 1',
        "party": 'area: "A", partyId: "p"',
        "item": 'itemId: "i"',
    }
    (shape,) = prepared(f"{{ {root}({keys[root]}) {text} }}").roots
    assert shape.complete is not None
    assert shape.level is not None
    return shape.complete, RowTypes(CATALOG).get(shape.level)


def answered(text: str, raw: dict[str, Any], root: str = "order") -> Any:
    complete, row_type = compiled(text, root)
    row = row_type.single.decode(msgspec.json.encode(raw))
    return msgspec.json.decode(encode(complete(row)))


@pytest.mark.parametrize(
    ("text", "raw", "expected"),
    [
        ("{ text }", {"Text": "x"}, {"text": "x"}),
        ("{ a: text b: text }", {"Text": "x"}, {"a": "x", "b": "x"}),
        ("{ __typename t: __typename }", {}, {"__typename": "Order", "t": "Order"}),
        ("{ text text }", {"Text": None}, {"text": None}),
        ("{ text }", {}, {"text": None}),
        ("{ amount }", {"Amount": 1.10}, {"amount": "1.1"}),
        ("{ big }", {"Big": 2**60}, {"big": str(2**60)}),
        ("{ ratio }", {"Ratio": 5}, {"ratio": 5.0}),
        ("{ open }", {"Open": "Yes"}, {"open": True}),
        ("{ open }", {"Open": None}, {"open": None}),
        ("{ colour }", {"Colour": "DarkGreen"}, {"colour": "DARK_GREEN"}),
        ("{ rights }", {"Rights": "Read, Admin"}, {"rights": ["READ", "ADMIN"]}),
        ("{ rights }", {"Rights": None}, {"rights": None}),
        ("{ due }", {"Due": "1900-01-01T12:00:00Z"}, {"due": None}),
        ("{ due }", {"Due": "2024-01-31T12:00:00Z"}, {"due": "2024-01-31"}),
        ("{ moment }", {"Moment": "1900-01-01T00:00:00Z"}, {"moment": None}),
        ("{ labels }", {"Labels": ["a"]}, {"labels": ["a"]}),
        ("{ labels }", {"Labels": None}, {"labels": None}),
        ("{ colours }", {"Colours": ["Red"]}, {"colours": ["RED"]}),
        ("{ coloursMust }", {"ColoursMust": []}, {"coloursMust": []}),
        ("{ any }", {"Any": {"x": [1, None]}}, {"any": {"x": [1, None]}}),
        ("{ any }", {"Any": None}, {"any": None}),
        ("{ things }", {"Things": [1, "x"]}, {"things": [1, "x"]}),
        ("{ home { city } }", {"Home": {"City": "a"}}, {"home": {"city": "a"}}),
        ("{ home { city } }", {"Home": None}, {"home": None}),
        (
            "{ home { __typename ... on Abroad { country } } }",
            {"Home": {"@odata.type": "#Zoo.Abroad", "City": "a", "Country": "CH"}},
            {"home": {"__typename": "Abroad", "country": "CH"}},
        ),
        ("{ places { city } }", {"Places": [{"City": "a"}]}, {"places": [{"city": "a"}]}),
        ("{ placesMust { city } }", {"PlacesMust": []}, {"placesMust": []}),
        (
            "{ ... on Node { __typename } ...{ text } }",
            {"Text": "x"},
            {"__typename": "Order", "text": "x"},
        ),
    ],
)
def test_good_rows_are_answered(text: str, raw: dict[str, Any], expected: Any) -> None:
    assert answered(text, raw) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("#Zoo.Person", {"__typename": "Person", "age": 5, "nick": None}),
        ("#Zoo.Firm", {"__typename": "Firm", "listed": True}),
        ("#Zoo.Party", {"__typename": "PartyObject"}),
        (None, {"__typename": "PartyObject"}),
    ],
)
def test_a_row_of_a_family_is_answered_by_its_own_type(
    annotation: str | None, expected: Any
) -> None:
    raw = {"@odata.type": annotation, "Age": 5, "Listed": "Yes"}

    text = "{ __typename ... on Person { age nick } ... on Firm { listed } }"
    assert answered(text, raw, "party") == expected


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("{ colour }", {"Colour": "Unlisted"}),
        ("{ rights }", {"Rights": "Read, Unlisted"}),
        ("{ open }", {"Open": "Maybe"}),
        ("{ colours }", {"Colours": ["Unlisted"]}),
        ("{ anyMust }", {"AnyMust": None}),
        ("{ things }", {"Things": [None]}),
        ("{ thingsMust }", {"ThingsMust": [1, None]}),
        ("{ amount }", {"Amount": "NaN"}),
        ("{ amountMust }", {"AmountMust": "Infinity"}),
    ],
)
def test_a_surprise_is_not_answered(text: str, raw: dict[str, Any]) -> None:
    with pytest.raises((FastPathMiss, KeyError)):
        answered(text, raw)


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("{ ... on Person { age } }", {"@odata.type": "#Zoo.Person"}),
        ("{ ... on Person { age } }", {"@odata.type": "#Zoo.Person", "Age": None}),
        ("{ ... on Person { steps } }", {"@odata.type": "#Zoo.Person"}),
        ("{ ... on Firm { listed } }", {"@odata.type": "#Zoo.Firm"}),
        ("{ __typename }", {"@odata.type": "#Zoo.Unknown"}),
        ("{ __typename }", {"@odata.type": "Zoo.Person"}),
    ],
)
def test_required_properties_of_a_derived_type_are_checked(text: str, raw: dict[str, Any]) -> None:
    with pytest.raises((FastPathMiss, KeyError)):
        answered(text, raw, "party")


def test_a_missing_nullable_field_of_a_derived_type_is_null() -> None:
    raw = {"@odata.type": "#Zoo.Person"}

    assert answered("{ ... on Person { nick mood } }", raw, "party") == {"nick": None, "mood": None}


# -- relations and pages


def connection(text: str) -> Complete:
    (shape,) = prepared(f"{{ orders {text} }}").roots
    assert shape.complete is not None
    return shape.complete


def page(*rows: Any, **given: Any) -> Page:
    return Page(list(rows), cursor=lambda row, index: f"{row.a0}/{index}", **given)


def test_a_page_answers_everything_relay_asks() -> None:
    text = (
        "{ __typename totalCount nodes { area } edges { __typename cursor node { area } }"
        " pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor } x: edges { c: cursor } }"
    )
    rows = [SimpleNamespace(a0="A"), SimpleNamespace(a0="B")]
    found = msgspec.json.decode(encode(connection(text)(page(*rows, has_next=True, total=7))))

    assert found == {
        "__typename": "OrderConnection",
        "totalCount": 7,
        "nodes": [{"area": "A"}, {"area": "B"}],
        "edges": [
            {"__typename": "OrderEdge", "cursor": "A/0", "node": {"area": "A"}},
            {"__typename": "OrderEdge", "cursor": "B/1", "node": {"area": "B"}},
        ],
        "pageInfo": {
            "__typename": "PageInfo",
            "hasNextPage": True,
            "hasPreviousPage": False,
            "startCursor": "A/0",
            "endCursor": "B/1",
        },
        "x": [{"c": "A/0"}, {"c": "B/1"}],
    }


def test_an_empty_page_has_no_cursors() -> None:
    found = connection("{ pageInfo { startCursor endCursor } edges { cursor } }")(Page([]))

    assert msgspec.json.decode(encode(found)) == {
        "pageInfo": {"startCursor": None, "endCursor": None},
        "edges": [],
    }


def test_a_total_that_did_not_come_is_not_answered() -> None:
    with pytest.raises(FastPathMiss):
        connection("{ totalCount }")(Page([]))


@pytest.mark.parametrize("bad", [UNSET, None, "x"])
def test_a_page_that_is_none_is_not_answered(bad: object) -> None:
    complete = connection("{ nodes { lines { nodes { price } } } }")

    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, graphql-core finds its words
        complete(page(SimpleNamespace(c0=bad)))


def test_a_related_row_or_none() -> None:
    complete = connection("{ nodes { party { name } } }")
    there = SimpleNamespace(c0=SimpleNamespace(t=None, a0="n"))

    found = complete(page(there, SimpleNamespace(c0=None)))

    assert msgspec.json.decode(encode(found)) == {
        "nodes": [{"party": {"name": "n"}}, {"party": None}]
    }


def test_ids_are_made_of_type_and_key() -> None:
    raw = {"Area": "A", "PartyId": "p", "@odata.type": "#Zoo.Person"}

    assert answered("{ id }", raw, "party") == {"id": "lAGmUGVyc29uoUGhcA"}


def test_equal_selections_share_their_functions() -> None:
    one = prepared(
        '{ a: order(area: "A", orderId: 1) { text } b: order(area: "B", orderId: 2) { text } }'
    )

    assert one.roots[0].complete is one.roots[1].complete
