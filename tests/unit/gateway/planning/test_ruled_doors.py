"""Doors through which no rule can be sent are closed to rows that have one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.policy import Mask, Right, Role, SetGrant
from schema.types.build import build_schema
from schema.types.federation import Federation
from schema.writes import Writes
from tests.support.faulty_writes import Recorder
from tests.support.memory_odata import Tables
from tests.support.observers import raise_bugs
from tests.support.roles import caller, grant, role, rules_of
from tests.support.roots import Service, codes
from tests.support.zoo_model import DECLARED, KEYS, NAVS, client_over, model

pytestmark = pytest.mark.anyio
ALL = ("*", SetGrant())
PEOPLE = Role(name="clerk", sets=(("People", SetGrant(where={"name": {"eq": "Ann"}})), ALL))
SHOPS = Role(name="clerk", sets=(("Shops", SetGrant(where={"name": {"eq": "Ann"}})), ALL))
BY_CODE = Role(name="clerk", sets=(("Shops", SetGrant(where={"code": {"eq": "a"}})), ALL))
FORBIDDEN = "FORBIDDEN"
CLOSED: dict[str, tuple[Role, str]] = {
    "one row over a path": (PEOPLE, "x: shops { nodes { owner { id } } }"),
    "a function that returns a row": (SHOPS, "x: best { code }"),
    "a function that returns rows": (SHOPS, "x: near(months: 1) { code }"),
    "a function of a row that its key does not decide": (
        SHOPS,
        'x: shopTakings(code: "a", months: 1)',
    ),
    "a function of a hidden row": (BY_CODE, 'x: shopTakings(code: "b", months: 1)'),
}


def service(*roles: Role) -> Service:
    shop = {"Code": "a", "Name": "x", "Owner": {"Id": 1}}
    answers = {"Shops": {"value": [shop]}, "Best": shop, "Near": {"value": [shop]}, "Me": {"Id": 1}}
    takings = {"Shops('a')/R.Takings": {"value": 5}, "Shops('b')/R.Takings": {"value": 6}}
    return Service(answers={**answers, **takings}, roles=roles)


@pytest.mark.parametrize("door", CLOSED)
async def test_rows_with_a_rule_are_not_read_where_none_can_be_sent(door: str) -> None:
    ruled, query = CLOSED[door]
    bounded, free = service(ruled), service(Role(name="clerk", sets=(ALL,)))

    answer = await bounded.ask(f"{{ {query} }}")

    assert [code for _, code in codes(answer)] == [FORBIDDEN]
    assert "Ann" not in str(answer)
    assert bounded.asked == []
    assert codes(await free.ask(f"{{ {query} }}")) == []


async def test_a_function_of_a_row_that_its_key_decides_is_called() -> None:
    answer = await service(BY_CODE).ask('{ x: shopTakings(code: "a", months: 1) }')

    assert answer == {"data": {"x": "5"}}


async def test_a_singleton_that_no_role_gives_is_not_read() -> None:
    hidden = Role(name="clerk", sets=(("[PS]*", SetGrant()),))

    assert codes(await service(hidden).ask("{ me { id } }")) == [(["me"], FORBIDDEN)]


async def test_cells_of_a_singleton_are_emptied() -> None:
    masked = Role(name="clerk", sets=(("Me", grant(deny=("Name",))), ALL))
    bounded = service(masked)
    bounded.answers["Me"] = {"Id": 1, "Name": "Ann"}

    assert await bounded.ask("{ me { id name } }") == {
        "data": {"me": {"id": "kwGmUGVyc29uAQ", "name": None}}
    }


CLERK = role("clerk", {"Orders": grant({"text": {"eq": "a"}})})


async def test_representations_are_read_under_the_rule() -> None:
    catalog = Catalog(model(), abilities_of(ODATA))
    schema = build_schema(catalog, LoadedResolvers(catalog), federation=Federation())
    orders = [{"Area": "A1", "OrderId": n, "Text": text} for n, text in enumerate("ab")]
    tables = Tables(
        {"Orders": orders, "Lines": [], "Parties": [], "Items": []}, KEYS, NAVS, DECLARED
    )
    engine = Engine(
        schema,
        client_over(tables.answer, []),
        ODATA,
        ExecutionSettings(),
        raise_bugs,
        rules=rules_of(schema, ODATA, CLERK),
    )
    query = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Order { text } } }"
    rows = [{"__typename": "Order", "area": "A1", "orderId": n} for n in range(3)]

    answer = await engine.execute(GraphQLRequest(query=query, variables={"r": rows}))

    assert answer.to_builtins() == {"data": {"_entities": [{"text": "a"}, None, None]}}


class Written(Recorder):
    """An upstream that answers a write with the whole row, the first read with ``before``, and others with none."""

    def __init__(self, row: dict[str, Any], *before: dict[str, Any]) -> None:
        super().__init__(answer=Response(200, {}, msgspec.json.encode(row), ""))
        self.read: list[str] = []
        self.before = list(before)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        self.read.append(request.url)
        rows, self.before = self.before, []
        body = msgspec.json.encode({"value": rows})
        return Response(200, {"content-type": "application/json"}, body, request.url)


def mutations(roles: tuple[Role, ...], upstream: Written) -> Engine:
    catalog = Catalog(model(), abilities_of(ODATA))
    schema = build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))
    rules = rules_of(schema, ODATA, *roles)
    return Engine(schema, upstream, ODATA, ExecutionSettings(), raise_bugs, rules=rules)


UPDATE = """mutation { updateOrder(key: { area: "A1", orderId: 1 }, patch: { number: 5 }) {
  order { text amount } etag userErrors { code } } }"""
UPDATES = frozenset({Right.READ, Right.UPDATE})
ROW = {"Area": "A1", "OrderId": 1, "Text": "secret", "Amount": 5, "Number": 5}


async def test_the_answer_of_a_write_shows_no_row_outside_the_rule() -> None:
    clerk = role("clerk", {"Orders": grant({"text": {"eq": "a"}}, rights=UPDATES)})
    upstream = Written(ROW, {"Area": "A1", "OrderId": 1, "Text": "a"})

    answer = await mutations((clerk,), upstream).execute(GraphQLRequest(query=UPDATE))

    assert answer.to_builtins()["data"]["updateOrder"]["order"] is None
    assert "secret" not in str(answer.to_builtins())
    assert ["Text%20eq%20'a'" in url for url in upstream.read if "Text,Amount" in url] == [True]


PIPED = """mutation($v: String @valueFrom(path: "a.text")) {
  a: updateOrder(key: { area: "A1", orderId: 1 }, patch: { number: 5 }) { etag }
  b: updateOrder(key: { area: "A1", orderId: 2 }, patch: { textMust: $v }) { etag } }"""


@pytest.mark.parametrize(
    ("orders", "shows"),
    [
        (grant(rights=UPDATES), True),
        (grant({"number": {"eq": 5}}, rights=UPDATES), False),
        (grant(deny=("Text",), rights=UPDATES), False),
        (grant(masks={"Text": Mask.LAST4}, rights=UPDATES), False),
    ],
    ids=["all", "a rule", "a hidden column", "a mask"],
)
async def test_a_value_that_does_not_show_is_not_written_elsewhere(
    orders: SetGrant, *, shows: bool
) -> None:
    upstream = Written(ROW, ROW)
    clerk = role("clerk", {"Orders": orders})

    await mutations((clerk,), upstream).execute(GraphQLRequest(query=PIPED))

    written = b"".join(request.body or b"" for request in upstream.sent)
    assert (b"secret" in written) is shows
    assert b'"Number":5' in written


async def test_the_answer_of_a_write_shows_no_hidden_cell() -> None:
    upstream = Written(ROW)
    roles = (
        role("a", {"Orders": grant({"number": {"eq": 6}})}),
        role("b", {"Orders": grant(deny=("Text",), rights=UPDATES)}),
    )

    answer = await mutations(roles, upstream).execute(GraphQLRequest(query=UPDATE, caller=caller()))

    assert answer.to_builtins()["data"]["updateOrder"]["order"] == {"text": None, "amount": "5"}
