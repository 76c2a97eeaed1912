"""``in`` with more values than an address holds: cut into runs, and merged as if the list were one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from tests.support.hostile import SCHEMAS
from tests.support.zoo_model import DIALECTS, FO, Zoo

pytestmark = pytest.mark.anyio
LIMIT = 360
PARTS = {
    "nodes": "nodes { area orderId text }",
    "cursors": "edges { cursor node { orderId } }",
    "pages": "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }",
    "total": "totalCount",
}


ALL = " ".join(PARTS.values())


def world(dialect: str = "finops", limit: int = LIMIT, *, text: Any = "t{:03}".format) -> Zoo:
    zoo = Zoo(DIALECTS[dialect], max_url_length=limit, schema=SCHEMAS[dialect])
    zoo.tables.insensitive = dialect == "finops"
    zoo.tables.rows["Orders"] = [
        {"Area": "A", "OrderId": n, "Text": text(n * 7 % 40), "NumberMust": n % 5}
        for n in range(40)
    ]
    return zoo


def orders(codes: list[str], arguments: str = "", parts: str = ALL) -> str:
    listed = ", ".join(f'"{code}"' for code in codes)
    return f"{{ orders(where: {{ text: {{ in: [{listed}] }} }} {arguments}) {{ {parts} }} }}"


CODES = [f"t{n:03}" for n in range(0, 60, 2)]
ARGUMENTS = [
    "first: 10",
    "first: 100",
    "last: 7",
    "orderBy: [{ text: DESC }] first: 9",
    "orderBy: [{ numberMust: ASC }, { text: DESC }] last: 9",
    "orderBy: [{ numberMust: DESC }] first: 3",
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("arguments", "part"), [*((a, "all") for a in ARGUMENTS), *(("first: 10", p) for p in PARTS)]
)
async def test_a_cut_list_answers_as_a_whole_one(arguments: str, part: str, dialect: str) -> None:
    query = orders(CODES, arguments, PARTS.get(part, ALL))

    whole = await world(dialect, 60_000).execute(query)
    cut = await world(dialect).execute(query)

    assert whole.errors == []
    assert len(whole.requests) == 1
    assert cut.to_builtins() == whole.to_builtins()
    assert len(cut.requests) > 1
    assert {request.method for request in cut.requests} == {"GET"}
    assert max(len(request.url) for request in cut.requests) <= LIMIT


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "arguments", ["", "orderBy: [{ text: DESC }]", "orderBy: [{ colour: ASC }]"]
)
@pytest.mark.parametrize("direction", ["first: 7, after", "last: 7, before"])
async def test_paging_through_a_cut_list_meets_every_row_once(
    direction: str, arguments: str, dialect: str
) -> None:
    zoo = world(dialect)
    end = "endCursor" if "after" in direction else "startCursor"
    met: list[int] = []
    cursor = "null"
    for _ in range(20):
        query = orders(CODES, f"{arguments} {direction}: {cursor}")
        answer = (await zoo.execute(query)).to_builtins()
        page = answer["data"]["orders"]
        assert page["totalCount"] == 20
        met.extend(node["orderId"] for node in page["nodes"])
        if page["pageInfo"][end] is None or len(page["nodes"]) < 7:
            break
        cursor = f'"{page["pageInfo"][end]}"'

    assert len(met) == 20
    assert sorted(met) == [n for n in range(40) if n * 7 % 40 % 2 == 0]


async def test_values_that_are_equal_upstream_are_asked_for_once() -> None:
    spelled = [code.upper() + " " for code in CODES]

    answer = (await world().execute(orders([*CODES, *spelled], "first: 100"))).to_builtins()

    assert answer["data"]["orders"]["totalCount"] == 20
    assert len(answer["data"]["orders"]["nodes"]) == 20


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("other", [str.upper, "{} ".format])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_values_that_a_collation_may_equate_stay_in_one_run(
    dialect: str, other: Callable[[str], str], parts: str
) -> None:
    """Each run would bring the same rows, and counts would be too high."""
    query = orders([*CODES, *map(other, CODES)], "first: 5", PARTS[parts])
    answers = []
    for limit in (60_000, LIMIT):
        zoo = world(dialect, limit)
        zoo.tables.insensitive = True
        answers.append(await zoo.execute(query))

    whole, cut = answers
    assert whole.errors == []
    assert cut.to_builtins() == whole.to_builtins()


async def test_a_list_of_uncertain_order_is_read_as_one() -> None:
    """Hyphens count for nothing in the collation of this service, and for something in a merge by code point."""
    texts = [f"{'-' * (n % 3)}t{n:03}" for n in range(40)]
    zoo = world(text=texts.__getitem__)

    def collated(one: object, other: object) -> int:
        left, right = (str(v).replace("-", "") if isinstance(v, str) else v for v in (one, other))
        return (left > right) - (left < right)  # type: ignore[operator]

    zoo.tables.order = collated  # type: ignore[method-assign]
    answer = await zoo.execute(orders(texts[::2], "orderBy: [{ text: ASC }] first: 50"))

    result = [n["text"] for n in answer.to_builtins()["data"]["orders"]["nodes"]]
    assert result == sorted(texts[::2], key=cmp_to_key(collated))
    assert answer.requests[-1].method == "POST"


async def test_a_list_that_must_not_match_goes_in_one_piece() -> None:
    query = orders(CODES, "first: 100").replace(" in:", " nin:")

    whole = await world("finops", 60_000).execute(query)
    cut = await world().execute(query)

    assert cut.to_builtins() == whole.to_builtins()
    assert [request.method for request in cut.requests] == ["POST"]


@pytest.mark.parametrize("can_expand", [True, False])
@pytest.mark.parametrize("parents", [1, 20])
async def test_lists_below_rows_are_cut_too(parents: int, can_expand: bool) -> None:
    listed = ", ".join(f'"{code}"' for code in CODES)
    below = f"lines(where: {{ note: {{ in: [{listed}] }} }}, first: 3)"
    page = "nodes { lineNo note } totalCount pageInfo { hasNextPage endCursor }"
    query = f"{{ orders(first: {parents}) {{ nodes {{ orderId {below} {{ {page} }} }} }} }}"
    answers = []
    for limit in (60_000, LIMIT):
        zoo = Zoo(FO, max_url_length=limit, can_expand=can_expand, schema=SCHEMAS["finops"])
        zoo.tables.rows["Orders"] = [{"Area": "A", "OrderId": n} for n in range(20)]
        zoo.tables.rows["Lines"] = [
            {"Area": "A", "OrderId": n // 10, "LineNo": n % 10, "Price": 1, "Note": f"t{n % 9:03}"}
            for n in range(200)
        ]
        answers.append(await zoo.execute(query))

    whole, cut = answers
    assert whole.errors == []
    assert cut.to_builtins() == whole.to_builtins()
    assert max(len(request.url) for request in cut.requests) <= LIMIT


async def test_a_count_of_a_cut_list_reads_no_rows() -> None:
    answer = await world().execute(orders(CODES, "first: 2", "totalCount"))

    assert all("/$count?" in request.url for request in answer.requests)
    assert len(answer.requests) > 1
    assert answer.to_builtins()["data"]["orders"] == {"totalCount": 20}


async def test_explain_shows_the_runs() -> None:
    gateway: Any = SimpleNamespace(engine=world().engine)

    text = (
        await explain(gateway, GraphQLRequest(query=orders(CODES, parts="nodes { area }")))
    ).text()

    assert "note: run 1 of " in text


TEXTS = st.text("ab1-_ Zä", min_size=1, max_size=4)


@settings(max_examples=15, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=20),
    values=st.lists(TEXTS, min_size=21, max_size=30),
    arguments=st.sampled_from(ARGUMENTS),
    dialect=st.sampled_from(sorted(DIALECTS)),
)
async def test_any_list_answers_as_if_it_were_not_cut(
    texts: list[str], values: list[str], arguments: str, dialect: str
) -> None:
    answers = []
    for limit in (60_000, LIMIT):
        zoo = world(dialect, limit)
        zoo.tables.rows["Orders"] = [
            {"Area": "A", "OrderId": n, "Text": text, "NumberMust": n % 3}
            for n, text in enumerate(texts)
        ]
        answers.append((await zoo.execute(orders([*values, *texts], arguments))).to_builtins())

    assert answers[0] == answers[1]
