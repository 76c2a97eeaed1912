"""Mutations that are refused before anything is sent, or need no request: companies, rows below rows, counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA
from gateway.odata.render import readable_url
from gateway.odata.response_check import Response
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.writes.operations import WriteLimits
from schema.catalog import Catalog
from schema.types.build import build_schema
from schema.writes import WriteRules, Writes
from tests.support.faulty_writes import Recorder
from tests.support.observers import raise_bugs
from tests.support.zoo_model import model

pytestmark = pytest.mark.anyio

GROUP = (
    'createCustomerGroup(input: {customerGroupId: "A", description: "a"}) { userErrors { code } }'
)
UPDATE = 'updateCustomerGroup(key: {customerGroupId: "A"}, patch: {description: "a"}) { userErrors { code } }'
DELETE = 'deleteCustomerGroup(key: {customerGroupId: "A"}) { userErrors { code } }'
UPSERT = (
    'upsertCustomerGroup(input: {customerGroupId: "A", description: "a"}) { userErrors { code } }'
)
LINE = 'accountDisplayValue: "1"'
FIRST = f'lineNumber: "1", {LINE}'
SECOND = f'lineNumber: "2", journalBatchNumber: "2", {LINE}'
WITH_COMPANY = f'dataAreaId: "usmf", lineNumber: "1", {LINE}'
HEADER = "createLedgerJournalHeader(input: {%s}) { userErrors { code message path } }"
GIVEN = 'journalName: "GenJrn", journalBatchNumber: "1"'


def below(*lines: str) -> str:
    return f"ledgerJournalLine: {{create: [{', '.join(f'{{{line}}}' for line in lines)}]}}"


async def run(
    gateway: Gateway,
    query: str,
    companies: tuple[str, ...] | None = ("usmf",),
    *,
    max_rows: int = 1_000,
    answer: Response | None = None,
) -> tuple[Recorder, dict[str, Any]]:
    catalog = gateway.catalog
    schema = build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))
    recorder = Recorder()
    if answer is not None:
        recorder.answer = answer
    settings = ExecutionSettings(writes=WriteLimits(max_rows=max_rows))
    engine = Engine(schema, recorder, gateway.dialect, settings, raise_bugs)
    request = GraphQLRequest(query=query, companies=companies)
    return recorder, (await engine.execute(request)).to_builtins()


NO_COMPANY = "{} is missing, and the company scope is not one company."


@pytest.mark.parametrize("companies", [None, ("usmf", "demf")], ids=["no company", "two companies"])
@pytest.mark.parametrize(
    ("mutation", "place"),
    [(GROUP, "input"), (UPSERT, "input"), (UPDATE, "key"), (DELETE, "key")],
    ids=["create", "upsert", "update", "delete"],
)
async def test_the_company_is_required_unless_the_scope_is_one(
    assembled: Gateway, mutation: str, place: str, companies: tuple[str, ...] | None
) -> None:
    recorder, result = await run(assembled, f"mutation {{ {mutation} }}", companies)

    assert result["errors"][0]["message"] == NO_COMPANY.format(f"{place}.dataAreaId")
    assert recorder.sent == []


async def test_a_company_that_is_given_needs_no_scope(assembled: Gateway) -> None:
    query = "mutation { " + UPDATE.replace("key: {", 'key: {dataAreaId: "demf", ') + " }"

    recorder, _ = await run(assembled, query, None)

    assert readable_url(recorder.sent[0]).startswith("CustomerGroups(dataAreaId='demf',")


REFUSED = {
    "a joined field": (
        HEADER % f'{GIVEN}, {below(FIRST, SECOND)}',
        "BAD_ARGUMENT",
        "input.ledgerJournalLine.create.1.journalBatchNumber is filled in from the new row above it.",
    ),
    "the company of a row below": (
        HEADER % f'{GIVEN}, {below(WITH_COMPANY)}',
        "BAD_ARGUMENT",
        "input.ledgerJournalLine.create.0.dataAreaId is filled in from the new row above it.",
    ),
    "rows below an upsert": (
        HEADER.replace("create", "upsert", 1) % f"{GIVEN}, {below(FIRST)}",
        "BAD_ARGUMENT",
        "input creates rows below an upsert, which is not possible.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_rows_below_a_row_are_checked_before_sending(assembled: Gateway, name: str) -> None:
    mutation, code, message = REFUSED[name]

    recorder, result = await run(assembled, f"mutation {{ {mutation} }}")

    assert recorder.sent == []
    assert (result["errors"][0]["extensions"]["code"], result["errors"][0]["message"]) == (
        code,
        message,
    )


ORDER = """mutation {
  createOrder(input: {area: "A", orderId: 1, lines: {create: [{lineNo: "1", price: "2"}, {lineNo: "2"}]}}) {
    userErrors { code }
  }
}"""


async def write_order(rules: WriteRules | None = None) -> tuple[Recorder, dict[str, Any]]:
    """Create an order whose second line lacks its price, which the metadata require."""
    whole = model()
    line = whole.entity_types["Zoo.Line"]
    priced = tuple(structs.replace(p, required=p.name == "Price") for p in line.properties)
    types = {**whole.entity_types, line.name: structs.replace(line, properties=priced)}
    catalog = Catalog(replace(whole, entity_types=types), abilities_of(ODATA))
    schema = build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog, rules))
    recorder = Recorder()
    engine = Engine(schema, recorder, ODATA, ExecutionSettings(), raise_bugs)
    return recorder, (await engine.execute(GraphQLRequest(query=ORDER))).to_builtins()


async def test_what_is_required_is_required_below_a_row_too() -> None:
    recorder, result = await write_order()

    assert result["errors"][0]["message"] == "input.lines.create.1.price is required."
    assert recorder.sent == []


async def test_numbered_fields_are_optional_below_a_row() -> None:
    recorder, _ = await write_order(WriteRules(given_by_service=frozenset({"Lines.Price"})))

    assert b'{"Area":"A","OrderId":1,"LineNo":2}' in (recorder.sent[0].body or b"")


TWO_DELETES = """deleteCustomerGroups(input: [{key: {customerGroupId: "A"}}, {key: {customerGroupId: "B"}}]) {
  results { userErrors { code } }
}"""
ATOMIC = {
    "a header without its number": (
        HEADER % f'journalName: "GenJrn", {below(FIRST)}',
        "UNSUPPORTED_QUERY",
        "input cannot join the changeset: its key comes from a number sequence, and the rows below it need it.",
    ),
    "an action": (
        "dataManagementEntitiesGetApplicationVersion { result }",
        "UNSUPPORTED_QUERY",
        "b cannot join the changeset: it is a call, and a changeset holds only writes of rows.",
    ),
    "an argument that cannot be used": (
        'updateCustomerGroup(key: {customerGroupId: "A"}, patch: {}) { userErrors { code } }',
        "BAD_ARGUMENT",
        "patch changes nothing.",
    ),
    "too many rows": (
        TWO_DELETES,
        "BUDGET_EXCEEDED",
        "The mutation writes 3 rows; the most is 2.",
    ),
}


@pytest.mark.parametrize("name", ATOMIC)
async def test_an_atomic_operation_with_a_misfit_is_not_sent(assembled: Gateway, name: str) -> None:
    mutation, code, message = ATOMIC[name]

    query = f"mutation @atomic {{ a: {GROUP} b: {mutation} }}"
    recorder, result = await run(assembled, query, max_rows=2)

    assert recorder.sent == []
    (error,) = result["errors"]
    assert (error["extensions"]["code"], error["message"]) == (code, message)


EMPTY = "deleteCustomerGroups(input: []) { results { userErrors { code } } userErrors { code } }"


@pytest.mark.parametrize("atomic", ["", "@atomic "], ids=["in turn", "atomic"])
async def test_an_empty_list_needs_no_request(assembled: Gateway, atomic: str) -> None:
    recorder, result = await run(assembled, f"mutation {atomic}{{ a: {EMPTY} }}")

    assert result == {"data": {"a": {"results": [], "userErrors": []}}}
    assert recorder.sent == []


async def test_an_operation_without_mutations_needs_no_request(assembled: Gateway) -> None:
    recorder, result = await run(assembled, "mutation @atomic { __typename }")

    assert result == {"data": {"__typename": "Mutation"}}
    assert recorder.sent == []


async def test_rows_below_count_as_rows_of_the_mutation(assembled: Gateway) -> None:
    lines = below(FIRST, FIRST)
    query = "mutation { " + HEADER % f"{GIVEN}, {lines}" + " }"

    recorder, result = await run(assembled, query, max_rows=2)

    assert result["errors"][0]["message"] == "The mutation writes 3 rows; the most is 2."
    assert recorder.sent == []


PART = "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
PARTS = {"no part": 0, "fewer parts": 1, "more parts": 3}


@pytest.mark.parametrize("name", PARTS)
async def test_an_answer_that_fits_no_changeset_leaves_it_open(
    assembled: Gateway, name: str
) -> None:
    body = (PART * PARTS[name] + "--b--").encode()
    answer = Response(200, {"content-type": "multipart/mixed; boundary=b"}, body, "")
    query = f"mutation @atomic {{ a: {GROUP} b: {UPDATE} }}"

    recorder, result = await run(assembled, query, answer=answer)

    codes = [result["data"][key]["userErrors"][0]["code"] for key in "ab"]
    assert codes == ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]
    assert len(recorder.sent) == 1
