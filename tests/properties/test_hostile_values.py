"""Wrong JSON in the place of a value, a row, a count or a key."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.hostile import (
    always,
    codes,
    encode,
    hostile,
    on,
    value,
)

pytestmark = pytest.mark.anyio

ORDER = {"Area": "A", "OrderId": 1}
VALUES: dict[str, tuple[str, object, str | None]] = {
    "text for a number": ("number", "S3CRET", "UPSTREAM_MALFORMED"),
    "33 bits": ("number", 2**32, "UPSTREAM_MALFORMED"),
    "a number of 4,000 digits": ("number", 10**4_000, "UPSTREAM_MALFORMED"),
    "a number of 4,000 digits for 64 bits": ("big", 10**4_000, "UPSTREAM_MALFORMED"),
    "a decimal of 4,000 digits": ("amount", 10**4_000, None),
    "a huge exponent for a float": ("ratio", Decimal("1E+999999"), "UPSTREAM_MALFORMED"),
    "a huge exponent for an integer": ("number", Decimal("1E+999999"), "UPSTREAM_MALFORMED"),
    "a huge exponent for a decimal": ("amount", Decimal("1E+999999"), None),
    "NaN for a decimal": ("amount", "NaN", "NOT_FINITE"),
    "infinity for a decimal": ("amount", "-INF", "NOT_FINITE"),
    "NaN for a float": ("ratio", "NaN", "NOT_FINITE"),
    "infinity for a float": ("ratio", "INF", "NOT_FINITE"),
    "an object for text": ("text", {"S3CRET": 1}, "UPSTREAM_MALFORMED"),
    "a list for a member": ("open", ["No"], "UNKNOWN_ENUM_VALUE"),
    "a member nobody knows": ("colour", "S3CRET", "UNKNOWN_ENUM_VALUE"),
    "a list for a complex value": ("home { city }", [], "UPSTREAM_MALFORMED"),
    "text for a complex value": ("home { __typename }", "S3CRET", "UPSTREAM_MALFORMED"),
    "text for a related row": ("party { name }", "S3CRET", "UPSTREAM_MALFORMED"),
    "a list for a related row": ("party { name }", [], "UPSTREAM_MALFORMED"),
    "a type nobody knows": (
        "party { name }",
        {"@odata.type": "#S3CRET.T", "Name": "n"},
        "UPSTREAM_MALFORMED",
    ),
}


@pytest.mark.parametrize("case", VALUES)
async def test_what_comes_in_a_values_place_costs_the_value(case: str) -> None:
    field, bad, code = VALUES[case]
    name = field.partition(" ")[0]

    answer = await hostile().ask(
        f"{{ orders {{ nodes {{ orderId {field} }} }} }}",
        value({**ORDER, name.capitalize(): bad}),
    )

    (row,) = answer["data"]["orders"]["nodes"]
    assert row["orderId"] == 1
    assert codes(answer) == ([] if code is None else [(["orders", "nodes", 0, name], code)])
    assert (row[name] is None) is (code is not None)


async def test_numbers_of_5000_digits_are_errors_of_the_upstream() -> None:
    body = encode({"value": [{**ORDER, "Number": 1, "Text": 5}]}).replace(b"1", b"9" * 5_000)

    answer = await hostile().ask("{ orders { nodes { number text } } }", always(body))

    assert {code for _, code in codes(answer)} == {"UPSTREAM_MALFORMED"}


@pytest.mark.parametrize("bad", [None, "S3CRET", 5, [], [{"Area": "A"}]])
async def test_what_comes_in_a_rows_place_inside_a_list(bad: object) -> None:
    answer = await hostile().ask("{ orders { edges { cursor node { area } } } }", value(ORDER, bad))

    assert answer["data"] is None
    assert {code for _, code in codes(answer)} == {"UPSTREAM_MALFORMED"}
    assert all(path[:3] == ["orders", "edges", 1] for path, _ in codes(answer))


@pytest.mark.parametrize("bad", ["S3CRET", {}, 5])
async def test_what_comes_in_the_place_of_expanded_rows(bad: object) -> None:
    rows = [{**ORDER, "Lines": bad}, {**ORDER, "OrderId": 2, "Lines": []}]

    answer = await hostile().ask(
        "{ order: orders { nodes { lines { nodes { price } } } } }", value(*rows)
    )

    assert codes(answer) == [(["order", "nodes", 0, "lines"], "UPSTREAM_MALFORMED")]


@pytest.mark.parametrize(
    ("count", "expected"),
    [("5", 5), ("many", 1), (-1, 1), (1.5, 1), ([], 1)],
)
async def test_the_number_of_rows_in_another_form(count: object, expected: int) -> None:
    """What is no number is as good as none: fewer rows came than were asked for, so that it is known."""
    answer = await hostile().ask(
        "{ orders { totalCount nodes { area } } }", value(ORDER, **{"@odata.count": count})
    )

    assert answer["data"] == {"orders": {"totalCount": expected, "nodes": [{"area": "A"}]}}
    assert codes(answer) == []


async def test_a_missing_count_of_a_full_page_is_an_error() -> None:
    script = on("Orders", value(ORDER))
    answer = await hostile().ask("{ orders(first: 1) { totalCount nodes { area } } }", script)

    assert codes(answer) == [(["orders"], "UPSTREAM_MALFORMED")]


async def test_a_number_of_rows_that_no_list_has() -> None:
    count = value(ORDER, **{"@odata.count": 2**31})

    answer = await hostile().ask("{ orders { totalCount nodes { area } } }", count)

    assert codes(answer) == [(["orders", "totalCount"], "UPSTREAM_MALFORMED")]


@pytest.mark.parametrize("body", [b"S3CRET", b"-5", b"5.5", b"", b'{"value": 5}', b"9" * 5_000])
async def test_a_bare_count_that_is_no_number(body: bytes) -> None:
    answer = await hostile().ask(
        "{ orders { totalCount } }", always(body, headers={"Content-Type": "text/plain"})
    )

    assert {code for _, code in codes(answer)} == {"UPSTREAM_MALFORMED"}


async def test_the_last_of_two_equal_json_keys_counts_on_both_paths() -> None:
    good = b'{"value":[{"Area":"A","OrderId":1,"Number":1,"Number":2}]}'
    bad = good.replace(b'"OrderId":1', b'"OrderId":1,"Text":5')
    query = "{ orders { nodes { number text } } }"

    fast = await hostile().ask(query, always(good))
    slow = await hostile().ask(query, always(bad))

    assert fast["data"]["orders"]["nodes"] == slow["data"]["orders"]["nodes"]
    assert fast["data"]["orders"]["nodes"][0]["number"] == 2


async def test_rows_that_nobody_asked_for_are_nobodys_children() -> None:
    zoo = hostile(can_expand=False)
    stranger = {"Area": "B2", "PartyId": "nobody", "Name": "S3CRET"}

    answer = await zoo.ask(
        "{ orders { nodes { party { name } } } }", on("Parties", value(stranger))
    )

    assert [r["party"] for r in answer["data"]["orders"]["nodes"]] == [None] * 3


@pytest.mark.parametrize(
    "bad", [{"Name": "n"}, {"Area": None, "PartyId": "p1", "Name": "n"}, None, "x"]
)
async def test_children_that_do_not_say_whose_they_are(bad: object) -> None:
    zoo = hostile(can_expand=False)
    for number, row in enumerate(zoo.tables.rows["Orders"]):
        row["Buyer"] = f"p{number}"

    answer = await zoo.ask("{ orders { nodes { party { name } } } }", on("Parties", value(bad)))

    assert codes(answer) == [
        (["orders", "nodes", n, "party"], "UPSTREAM_MALFORMED") for n in range(3)
    ]


@pytest.mark.parametrize("bad", [[], {}, 5, 10**30])
async def test_a_reference_of_the_wrong_type_costs_the_related_row(bad: object) -> None:
    zoo = hostile(can_expand=False)
    rows = [{**ORDER, "Buyer": bad}, {**ORDER, "OrderId": 2, "Buyer": None}]

    answer = await zoo.ask(
        "{ orders { nodes { orderId party { name } } } }", on("Orders", value(*rows))
    )

    assert codes(answer) == [(["orders", "nodes", 0, "party"], "UPSTREAM_MALFORMED")]
    assert [r["orderId"] for r in answer["data"]["orders"]["nodes"]] == [1, 2]
