"""Root fields and relations that the zoo has none of: singletons, functions, paths, stars, names that share a set."""

from __future__ import annotations

import httpx
import pytest

from gateway.odata.dialect import ODATA
from gateway.operations.global_ids import node_id
from gateway.request import GraphQLRequest
from tests.support.roots import (
    FO,
    Service,
    codes,
)
from tests.support.zoo_model import Zoo

pytestmark = pytest.mark.anyio


async def test_a_singleton_is_one_row() -> None:
    service = Service(answers={"Me": {"Name": "Ann"}})

    assert await service.ask("{ me { name } }") == {"data": {"me": {"name": "Ann"}}}
    assert service.asked == ["Me?$select=Name"]


async def test_a_singleton_that_is_not_there_is_null() -> None:
    assert await Service().ask("{ me { name } }") == {"data": {"me": None}}


async def test_a_function_that_fails_or_says_nothing() -> None:
    service = Service(answers={"Names": httpx.Response(400), "Total": httpx.Response(204)})

    answer = await service.ask("{ total(months: 1) }")
    failed = await service.ask("{ names }")

    assert answer == {"data": {"total": None}}
    assert codes(failed) == [(["names"], "UPSTREAM_REJECTED")]


async def test_a_bound_function_hangs_on_its_row() -> None:
    service = Service(answers={"Shops": {"value": 2**40}})
    bound = next(n for n in service.engine.schema.catalog.roots if "akings" in n)

    answer = await service.ask(f'{{ f: {bound}(code: "a", months: 2) }}')

    assert answer == {"data": {"f": str(2**40)}}
    assert service.asked == ["Shops('a')/R.Takings(Months=2)"]


# -- relations without columns


SHOPS = {"value": [{"Code": "a", "Name": "A"}, {"Code": "b", "Name": "B"}]}


async def test_a_relation_without_join_columns_is_read_by_path() -> None:
    service = Service(
        answers={
            "Shops": SHOPS,
            "Shops('a')/Owner": {"Name": "Ann"},
            "Shops('b')/Owner": httpx.Response(204),
            "Shops('a')/Shelves": {"value": [{"No": 1, "Label": "x"}]},
            "Shops('b')/Shelves": {"value": []},
        },
        can_expand=False,
    )

    answer = await service.ask(
        "{ shops { nodes { name owner { name } shelves { nodes { label } } } } }"
    )

    assert answer["data"]["shops"]["nodes"] == [
        {"name": "A", "owner": {"name": "Ann"}, "shelves": {"nodes": [{"label": "x"}]}},
        {"name": "B", "owner": None, "shelves": {"nodes": []}},
    ]


async def test_one_path_that_fails_costs_its_own_row_only() -> None:
    service = Service(
        answers={
            "Shops": SHOPS,
            "Shops('a')/Owner": httpx.Response(403),
            "Shops('b')/Owner": {"Name": "Bob"},
        },
        can_expand=False,
    )

    answer = await service.ask("{ shops { nodes { owner { name } } } }")

    assert answer["data"]["shops"]["nodes"] == [{"owner": None}, {"owner": {"name": "Bob"}}]
    assert codes(answer) == [(["shops", "nodes", 0, "owner"], "UPSTREAM_FORBIDDEN")]


async def test_a_relation_of_a_keyless_row_cannot_be_read() -> None:
    service = Service(answers={"Bares": {"value": [{"Text": "x"}]}}, can_expand=False)

    answer = await service.ask("{ bares { nodes { text shop { name } } } }")

    assert {c for _, c in codes(answer)} == {"UNSUPPORTED_QUERY"}


async def test_the_pages_of_a_path_have_arguments_and_totals() -> None:
    service = Service(
        answers={
            "Shops": {"value": SHOPS["value"][:1]},
            "Shops('a')/Shelves": {"@odata.count": 9, "value": [{"No": 1}, {"No": 2}]},
            "Shops('a')/Shelves/$count": httpx.Response(
                200, text="9", headers={"Content-Type": "text/plain"}
            ),
        },
        can_expand=False,
    )

    answer = await service.ask(
        "{ shops { nodes { shelves(first: 1) { totalCount pageInfo { hasNextPage } nodes { no } }"
        " all: shelves(last: 2) { totalCount } } } }"
    )

    assert answer["data"]["shops"]["nodes"][0] == {
        "shelves": {"totalCount": 9, "pageInfo": {"hasNextPage": True}, "nodes": [{"no": 1}]},
        "all": {"totalCount": 9},
    }


# -- node and nodes


async def test_one_type_that_fails_leaves_the_others() -> None:
    service = Service(answers={"Shops": {"Code": "a", "Name": "A"}, "People": httpx.Response(400)})
    ids = [node_id("Shop", "a"), node_id("Person", 1), "nonsense"]

    answer = await service.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)

    assert answer["data"] == {"nodes": [{"id": ids[0]}, None, None]}
    assert codes(answer) == [(["nodes", 1], "UPSTREAM_REJECTED"), (["nodes", 2], "INVALID_ID")]


@pytest.mark.parametrize(
    "text",
    [
        node_id("Gone", "a"),
        node_id("Shop", "a", "b"),
        node_id("Person", "x"),
        node_id("Shelf", 1),
        node_id("Place", "x"),
        node_id("ShopConnection", "x"),
    ],
)
async def test_ids_that_name_nothing_here(text: str) -> None:
    service = Service()

    answer = await service.ask("query($id: ID!) { node(id: $id) { id } }", id=text)

    assert codes(answer) == [(["node"], "INVALID_ID")]
    assert service.asked == []


async def test_too_many_ids() -> None:
    answer = await Service().ask(
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[node_id("Shop", "a")] * 1_001
    )

    assert codes(answer) == [(["nodes"], "PAGE_LIMIT_EXCEEDED")]


# -- what Finance & Operations cannot be asked exactly


STARS = {
    "value": [
        {"Code": "a", "Name": "x*y"},
        {"Code": "b", "Name": "xzy"},
        {"Code": "c", "Name": None},
    ]
}


async def test_text_with_a_star_is_filtered_again_here() -> None:
    service = Service(FO, {"Shops": STARS})

    answer = await service.ask(
        '{ shops(where: {name: {eq: "x*y"}}) { totalCount nodes { code } } }'
    )

    assert answer == {"data": {"shops": {"totalCount": 1, "nodes": [{"code": "a"}]}}}


async def test_text_with_a_star_is_counted_here() -> None:
    service = Service(FO, {"Shops": STARS})

    answer = await service.ask('{ shops(where: {name: {ne: "x*y"}}) { totalCount } }')

    assert answer == {"data": {"shops": {"totalCount": 2}}}


async def test_a_value_of_another_type_is_an_error() -> None:
    service = Service(
        FO, {"Shops": {"value": [{"Code": "a", "Name": ["x"]}, "x", {"Code": "b", "Name": "x*y"}]}}
    )

    answer = await service.ask('{ shops(where: {name: {eq: "x*y"}}) { nodes { code } } }')

    assert {c for _, c in codes(answer)} <= {"UPSTREAM_MALFORMED"}


async def test_a_filter_that_nothing_passes_is_not_sent() -> None:
    service = Service()

    answer = await service.ask("{ shops(where: {or: []}) { totalCount nodes { code } } }")

    assert answer == {"data": {"shops": {"totalCount": 0, "nodes": []}}}
    assert service.asked == []


# -- operations


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        ("fragment F on Query { __typename }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", None, "OPERATION_RESOLUTION_FAILURE"),
        ("query A { __typename }", "C", "OPERATION_RESOLUTION_FAILURE"),
        ("mutation { __typename }", None, "OPERATION_RESOLUTION_FAILURE"),
        ("query($n: Int!) { shops(first: $n) { totalCount } }", None, "BAD_USER_INPUT"),
    ],
)
async def test_operations_that_cannot_be_chosen(query: str, name: str | None, code: str) -> None:
    request = GraphQLRequest(query=query, operation_name=name)

    answer = (await Service().engine.execute(request)).to_builtins()

    assert {c for _, c in codes(answer)} <= {code, "GRAPHQL_VALIDATION_FAILED"}
    assert "data" not in answer


async def test_introspection_stands_beside_generated_fields() -> None:
    service = Service(answers={"Shops": SHOPS})

    answer = await service.ask(
        "{ __schema { queryType { name } } shops { nodes { code } } __typename }"
    )

    assert answer["data"]["__schema"] == {"queryType": {"name": "Query"}}
    assert answer["data"]["shops"]["nodes"] == [{"code": "a"}, {"code": "b"}]
    assert answer["data"]["__typename"] == "Query"


@pytest.mark.parametrize(("longest", "requests"), [(2_000, 9), (20_000, 1)])
async def test_key_batches_are_as_long_as_the_settings_allow(longest: int, requests: int) -> None:
    zoo = Zoo(ODATA, can_expand=False, max_url_length=longest)
    zoo.tables.rows["Lines"] = [
        {"Area": "A", "OrderId": 1, "LineNo": n, "Article": f"item {n:04}", "Price": 1}
        for n in range(500)
    ]

    answer = await zoo.execute("{ lines(first: 500) { nodes { item { itemId } } } }")

    asked = [url for url in zoo.tables.requests if url.startswith("Items")]
    assert answer.errors == []
    assert len(asked) == requests
