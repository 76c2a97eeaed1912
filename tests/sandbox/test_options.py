"""The query options besides ``$filter`` (d365-odata.md 2.1)."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio

REFUSED = [
    ("$apply=aggregate(CreditLimit with sum as Total)", "$apply"),
    ("$search=x", "$search"),
    ("$compute=CreditLimit mul 2 as X", "$compute"),
    ("$skiptoken=row-5", "$skiptoken"),
    ("$deltatoken=x", "$deltatoken"),
    ("$levels=2", "$levels"),
    ("$Top=1", "$Top"),
    ("$top=-1", "non-negative"),
    ("$top=x", "non-negative"),
    ("$skip=1.5", "non-negative"),
    ("$top=99999999999", "non-negative"),
    ("$count=yes", "$count"),
    ("$format=xml", "$format"),
    ("$top=1&$top=2", "more than once"),
    ("$select=Nope", "Could not find a property named 'Nope'"),
    ("$select=CustomerAccount,,KnownAs", "Syntax error"),
    ("$orderby=Nope", "Could not find a property named 'Nope'"),
    ("$orderby=CustomerAccount down", "Syntax error"),
    ("$orderby=DimensionSet/DisplayValue", "ordering"),
    ("$expand=Nope", "Could not find a property named 'Nope'"),
    ("$expand=DimensionSet($expand=CustomerV3)", "too deep"),
    ("$expand=DimensionSet/CustomerV3", "too deep"),
    ("$expand=DimensionSet($levels=2)", "too deep"),
    ("$expand=Warehouses($top=1)", "not supported inside $expand"),
    ("$expand=Warehouses($filter=WarehouseId eq '1')", "not supported inside $expand"),
    ("$expand=Warehouses($orderby=WarehouseId)", "not supported inside $expand"),
    ("$expand=Warehouses($count=true)", "not supported inside $expand"),
    ("$expand=Warehouses($select=Nope)", "Could not find a property named 'Nope'"),
    ("$expand=Warehouses(", "Syntax error"),
]


@pytest.mark.parametrize(("query", "message"), REFUSED)
async def test_an_option_that_finance_does_not_know_is_400(get, query, message):
    answer = await get(f"/data/CustomersV3?{query}")

    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]["innererror"]["message"]


async def test_unknown_options_without_dollar_are_ignored(get):
    assert (await get("/data/CustomersV3?$top=1&colour=red&$format=json")).status_code == 200


async def test_select_adds_no_keys_but_the_etag_stays(get):
    answer = (await get("/data/CustomerGroups?$select=Description,TaxGroupId&$top=1")).json()

    assert list(answer["value"][0]) == ["@odata.etag", "Description", "TaxGroupId"]
    assert (
        answer["@odata.context"]
        == "http://sandbox/data/$metadata#CustomerGroups(Description,TaxGroupId)"
    )


async def test_orderby_takes_several_terms_and_directions(get):
    url = "/data/CustomersV3?$select=CustomerGroupId,CreditLimit&$orderby=CustomerGroupId desc,CreditLimit"
    rows = (await get(url)).json()["value"]
    result = [(row["CustomerGroupId"], row["CreditLimit"]) for row in rows]

    assert result == sorted(sorted(result, key=lambda p: p[1]), key=lambda p: p[0], reverse=True)


async def test_count_is_the_total_whatever_top_and_skip_say(get):
    answer = (await get("/data/CustomersV3?$count=true&$top=3&$skip=7")).json()

    assert (answer["@odata.count"], len(answer["value"])) == (139, 3)


async def test_the_count_segment_is_plain_text_and_takes_a_filter(get):
    answer = await get("/data/CustomersV3/$count?$filter=CustomerAccount eq 'US-00*'")

    assert answer.text == "9"
    assert answer.headers["content-type"].startswith("text/plain")


async def test_expand_of_collections_and_entities_with_select(get):
    url = (
        "/data/SalesOrderHeadersV2?$select=SalesOrderNumber&$top=5"
        "&$expand=SalesOrderLines($select=LineNumber),DimensionSet"
    )
    answer = (await get(url)).json()

    assert answer["@odata.context"].endswith(
        "#SalesOrderHeadersV2(SalesOrderNumber,SalesOrderLines(LineNumber),DimensionSet)"
    )
    for row in answer["value"]:
        assert [set(line) for line in row["SalesOrderLines"]] == [
            {"@odata.etag", "LineNumber"}
        ] * len(row["SalesOrderLines"])
        assert [line["LineNumber"] for line in row["SalesOrderLines"]] == list(
            range(1, len(row["SalesOrderLines"]) + 1)
        )
        assert row["DimensionSet"] is None or row["DimensionSet"]["RecordId"] > 2**31


async def test_expanded_lines_are_those_that_a_filter_finds(get):
    expanded = (
        await get("/data/PurchaseOrderHeadersV2?$top=1&$skip=9&$expand=PurchaseOrderLinesV2")
    ).json()["value"][0]
    number = expanded["PurchaseOrderNumber"]
    filtered = (
        await get(f"/data/PurchaseOrderLinesV2?$filter=PurchaseOrderNumber eq '{number}'")
    ).json()["value"]

    assert expanded["PurchaseOrderLinesV2"] == filtered


async def test_a_relation_to_nothing_expands_to_null(get):
    url = "/data/CustomersV3?$filter=DefaultDimensionDisplayValue eq ''&$top=1&$expand=DimensionSet"

    assert (await get(url)).json()["value"][0]["DimensionSet"] is None
