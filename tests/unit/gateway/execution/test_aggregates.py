"""Aggregates: what is requested upstream, how groups are chosen, and where an aggregate ends with an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import pytest

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA, Dialect
from gateway.planning.limits import PlanLimits
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.types.build import ODataSchema, build_schema
from tests.support.memory_odata import Row
from tests.support.observers import raise_defects
from tests.support.zoo_model import FO, Zoo, model

pytestmark = pytest.mark.anyio
APPLY = replace(ODATA, apply=True)
PRICES = ("1.10", "2.20", "3.30", "2.20", "0.1", "0.2")
LINES: list[Row] = [
    {
        "Area": "A1" if number < 4 else "B2",
        "OrderId": number,
        "LineNo": 1,
        "Article": (None, "i1", "i2", "I1 ", "i2", "i1")[number],
        "Price": Decimal(price),
        "Note": "n" if number % 2 else None,
        "Colour": "Red" if number % 2 else "Blue",
    }
    for number, price in enumerate(PRICES)
]


@cache
def schema_of(name: str) -> ODataSchema:
    catalog = Catalog(model(), abilities_of(FO if name == FO.name else ODATA))
    return build_schema(catalog, LoadedResolvers(catalog), aggregates=True)


def zoo(dialect: Dialect = ODATA, *, page: int | None = None, **limits: Any) -> Zoo:
    made = Zoo(dialect, schema=schema_of(dialect.name))
    settings = ExecutionSettings(plans=PlanLimits(**limits))
    made.engine = Engine(made.schema, made.client, dialect, settings, raise_defects)
    made.tables.rows["Lines"] = LINES
    made.tables.insensitive = dialect is FO
    made.tables.page_size = page
    return made


async def asked(made: Zoo, arguments: str, selection: str, **variables: Any) -> Any:
    head = f"query({', '.join(f'${name}: String!' for name in variables)}) " if variables else ""
    call = f"linesAggregate({arguments})" if arguments else "linesAggregate"
    text = f"{head}{{ x: {call} {{ {selection} }} }}"
    answer = (await made.execute(text, variables)).to_builtins()
    errors = [error["extensions"]["code"] for error in answer.get("errors", ())]
    return errors or answer["data"]["x"]


ALL = "Lines?$select={}&$orderby=Area,OrderId,LineNo&$count=true"
REQUESTS: Mapping[str, tuple[Dialect, str, str, list[str]]] = {
    "only the number of rows": (ODATA, "", "count complete", ["Lines/$count"]),
    "the number of some rows": (
        APPLY,
        'where: { note: { eq: "n" } }',
        "count groups { count }",
        ["Lines/$count?$filter=Note eq 'n'"],
    ),
    "columns that are aggregated": (
        ODATA,
        'groupBy: ["colour"]',
        'sum(field: "price") groups { keys count(field: "note") }',
        [ALL.format("Colour,Price,Note")],
    ),
    "computed by the service": (
        APPLY,
        'where: { note: { eq: "n" } }, groupBy: ["colour", "article"]',
        'avg(field: "price") groups { keys max(field: "note") }',
        [
            (
                "Lines?$apply=filter(Note eq 'n')/groupby((Colour,Article),aggregate($count as total0,"
                "Price with sum as total0_sum,Note with max as total1_max))&$top=10001"
            )
        ],
    ),
    "one group of the service": (
        APPLY,
        "",
        'countDistinct(field: "price")',
        [
            "Lines?$apply=aggregate($count as total0,Price with countdistinct as total0_countdistinct)"
        ],
    ),
    "what services count as they like": (
        APPLY,
        "",
        'countDistinct(field: "note")',
        [ALL.format("Note")],
    ),
    "different values in groups and in all": (
        APPLY,
        'groupBy: ["colour"]',
        'countDistinct(field: "price") groups { keys }',
        [ALL.format("Colour,Price")],
    ),
    "rows that the gateway must filter": (
        FO,
        'where: { note: { contains: "*" } }',
        "count",
        ["Lines?$select=Note&$orderby=Area,OrderId,LineNo&cross-company=true"],
    ),
    "rows that cannot be": (ODATA, "where: { or: [] }", 'count sum(field: "price")', []),
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_what_is_requested(what: str) -> None:
    dialect, arguments, selection, requests = REQUESTS[what]
    made = zoo(dialect)

    assert isinstance(await asked(made, arguments, selection), dict)
    assert made.tables.requests == requests


GROUPS: Mapping[str, tuple[str, list[tuple[Any, int]]]] = {
    "null is a group, the first": ("", [(None, 1), ("i1", 3), ("i2", 2)]),
    "by count": (
        "orderBy: [{ function: COUNT, direction: DESC }]",
        [("i1", 3), ("i2", 2), (None, 1)],
    ),
    "by a key": (
        'orderBy: [{ field: "article", direction: DESC }]',
        [("i2", 2), ("i1", 3), (None, 1)],
    ),
    "by an aggregate that is not selected": (
        'orderBy: [{ function: SUM, field: "price" }]',
        [(None, 1), ("i2", 2), ("i1", 3)],
    ),
    "by a smallest value, nulls first": (
        'orderBy: [{ function: MIN, field: "note" }, { function: COUNT }]',
        [(None, 1), ("i2", 2), ("i1", 3)],
    ),
    "the first": ("orderBy: [{ function: COUNT }], first: 1", [(None, 1)]),
    "none": ("first: 0", []),
    "having": ("having: [{ function: COUNT, gt: 1, lt: 3 }]", [("i2", 2)]),
    "having a sum": (
        'having: [{ function: SUM, field: "price", gte: "3.40" }]',
        [("i1", 3), ("i2", 2)],
    ),
    "having different values": (
        'having: [{ function: COUNT_DISTINCT, field: "note", eq: 1 }, { function: COUNT, ne: 2 }]',
        [("i1", 3)],
    ),
    "nothing compares with null": (
        'having: [{ function: MIN, field: "orderId", lte: 0 }]',
        [(None, 1)],
    ),
}


@pytest.mark.parametrize("what", GROUPS)
async def test_groups_are_chosen_and_sorted(what: str) -> None:
    arguments, groups = GROUPS[what]
    call = f"groups({arguments})" if arguments else "groups"

    answer = await asked(
        zoo(FO, page=2), 'groupBy: ["article"]', f"groupCount {call} {{ keys count }}"
    )

    assert answer["groupCount"] == 3
    assert [(g["keys"]["article"], g["count"]) for g in answer["groups"]] == groups


REFUSED: Mapping[str, tuple[str, str]] = {
    "an unknown key": ('groupBy: ["prize"]', "count"),
    "a relation": ('groupBy: ["item"]', "count"),
    "a sum of texts": ("", 'sum(field: "note")'),
    "the smallest colour": ("", 'min(field: "colour")'),
    "an unknown field": ("", 'groups { max(field: "prize") }'),
    "no field": ("", "groups(having: [{ function: SUM, gt: 1 }]) { count }"),
    "having a text": ("", 'groups(having: [{ function: MIN, field: "note", gt: 1 }]) { count }'),
    "order by no key": ("", 'groups(orderBy: [{ field: "note" }]) { count }'),
    "a thousand conditions": (
        "",
        f"groups(having: [{'{ function: COUNT, gt: 0 } ' * 1_000}]) {{ count }}",
    ),
    "an order of a thousand terms": (
        "",
        f"groups(orderBy: [{'{ function: COUNT } ' * 1_000}]) {{ count }}",
    ),
    "a hundred lists of groups": (
        'groupBy: ["article"]',
        " ".join(f"g{number}: groups {{ count }}" for number in range(100)),
    ),
    "a thousand values of a group": (
        'groupBy: ["article"]',
        f"groups {{ {' '.join(f'c{number}: count' for number in range(200))} }}",
    ),
    "less than no group": ("", "groups(first: -1) { count }"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_cannot_be_aggregated_is_refused_unsent(what: str) -> None:
    made = zoo()

    assert await asked(made, *REFUSED[what]) == ["BAD_ARGUMENT"]
    assert made.tables.requests == []


async def test_sums_are_exact_and_averages_rounded() -> None:
    answer = await asked(
        zoo(), "", 'a: sum(field: "price") b: avg(field: "price") c: max(field: "price")'
    )

    assert answer == {"a": "9.10", "b": "1.516666666666666666666666666666667", "c": "3.30"}


async def test_no_rows_add_up_to_null_in_one_group() -> None:
    made = zoo()
    made.tables.rows["Lines"] = []

    answer = await asked(
        made, "", 'count sum(field: "price") min(field: "note") groups { keys count }'
    )

    assert answer == {"count": 0, "sum": None, "min": None, "groups": [{"keys": {}, "count": 0}]}


async def test_variables_name_fields() -> None:
    selection = "sum(field: $f) ... on Aggregate { n: count __typename } groups { __typename }"

    answer = await asked(zoo(), "groupBy: [$g]", selection, f="orderId", g="area")

    assert answer == {
        "sum": "15",
        "n": 6,
        "__typename": "Aggregate",
        "groups": [{"__typename": "AggregateGroup"}] * 2,
    }


async def test_more_rows_than_may_be_read_are_an_error() -> None:
    made = zoo(page=2, aggregate_rows=5)

    assert await asked(made, "", 'sum(field: "price")') == ["BUDGET_EXCEEDED"]
    assert len(made.tables.requests) == 1  # the first page tells how many there are


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize(("most", "rows", "requests"), [(5, 5, 3), (4, 4, 2), (1, 1, 1), (6, 6, 3)])
async def test_who_asks_for_completeness_gets_a_part(
    most: int, rows: int, requests: int, counts: bool
) -> None:
    made = zoo(page=2, aggregate_rows=most)
    made.tables.counts = counts

    answer = await asked(made, "", 'count(field: "price") rowsRead complete')

    assert answer == {"count": rows, "rowsRead": rows, "complete": rows == 6}
    assert len(made.tables.requests) == requests


@pytest.mark.parametrize("dialect", [ODATA, APPLY])
async def test_more_groups_than_fit_are_an_error(dialect: Dialect) -> None:
    made = zoo(dialect, page=2, aggregate_groups=4)

    assert await asked(made, 'groupBy: ["price"]', "groups { keys }") == ["BUDGET_EXCEEDED"]
    assert len(made.tables.requests) == 3


@pytest.mark.parametrize(
    "bad",
    [{"value": [{"Colour": "Red"}]}, {"value": [5]}, {"value": {}}, {"value": [{"total0": "x"}]}],
)
async def test_groups_without_their_values_are_malformed(bad: Any) -> None:
    made = zoo(APPLY)
    made.tables.failing["Lines"] = lambda: httpx.Response(200, json=bad)
    made.tables.rows.pop("Lines")

    assert await asked(made, "", 'sum(field: "price")') == ["UPSTREAM_MALFORMED"]


async def test_an_unknown_enum_value_is_no_group() -> None:
    made = zoo()
    made.tables.rows["Lines"] = [{**LINES[0], "Colour": "Mauve"}]

    assert await asked(made, 'groupBy: ["colour"]', "groups { keys }") == ["UNKNOWN_ENUM_VALUE"]


async def test_pages_are_dropped_once_they_are_taken_in() -> None:
    made = zoo(page=1)
    fetcher = made.engine.reads.fetcher(made.client)
    request = GraphQLRequest(query='{ linesAggregate { sum(field: "price") } }', variables={})

    query = made.engine.plan(made.engine.read(request))
    (loaded,) = await made.engine.reads.runner(fetcher).run(query.roots)

    assert loaded.value == {"sum": "9.10"}
    assert len(made.tables.requests) == 6
    assert fetcher.requests._responses == {}
