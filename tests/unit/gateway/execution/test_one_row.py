"""The answer to a query for one row: a row, null if the specification allows it, or an error."""

from __future__ import annotations

import httpx
import pytest

from gateway.errors import GatewayError, UpstreamMalformed, UpstreamRejected
from gateway.execution.fetcher import Fetcher
from gateway.odata.query import Call, KeyPart, Literal, Query, Resource
from tests.support.scripted_upstream import upstream
from tests.support.zoo_model import DIALECTS
from tests.unit.gateway.execution.test_decimal_text import row_type

pytestmark = pytest.mark.anyio

KEY = (KeyPart("Area", Literal("A", "Edm.String")), KeyPart("OrderId", Literal(1, "Edm.Int32")))
KEYED = Resource("Orders", KEY)
NULLABLE = {
    "a single-valued navigation": Resource("Lines", KEY, "Order"),
    "a function": Resource(call=Call("Latest")),
    "a bound function": Resource("Orders", KEY, call=Call("N.Next")),
    "a singleton": Resource("Me"),
}
ERROR = {"error": {"code": "", "message": "No."}}
NO_ROWS = {
    "404 with an OData error": httpx.Response(404, json=ERROR),
    "404 of an OData service": httpx.Response(404, headers={"OData-Version": "4.0"}),
}
NULLS = {
    **NO_ROWS,
    "204": httpx.Response(204),
    "JSON null": httpx.Response(200, json=None, content=b"null"),
}
WRONG: dict[str, tuple[httpx.Response, type[GatewayError]]] = {
    "an empty 200": (httpx.Response(200), UpstreamMalformed),
    "an empty 202": (httpx.Response(202), UpstreamMalformed),
    "101": (httpx.Response(101), UpstreamMalformed),
    "304": (httpx.Response(304), UpstreamMalformed),
    "404 of nobody": (httpx.Response(404), UpstreamRejected),
    "404 with a page": (httpx.Response(404, html="<html></html>"), UpstreamRejected),
    "404 with text": (httpx.Response(404, text="not found"), UpstreamRejected),
    "404 with other JSON": (httpx.Response(404, json={"statusCode": 404}), UpstreamRejected),
}


async def one(resource: Resource, answer: httpx.Response) -> object:
    async with upstream(answer).client(retries=0) as client:
        fetcher = Fetcher(client, DIALECTS["odata"])
        return await fetcher.row(
            Query(resource=resource), row_type("{ orders { nodes { area } } }")
        )


@pytest.mark.parametrize("answer", NO_ROWS)
async def test_a_key_without_a_row_is_null(answer: str) -> None:
    assert await one(KEYED, NO_ROWS[answer]) is None


@pytest.mark.parametrize("answer", ["204", "JSON null"])
async def test_a_row_that_a_key_names_is_never_null_without_a_404(answer: str) -> None:
    with pytest.raises(UpstreamMalformed, match="one row was requested"):
        await one(KEYED, NULLS[answer])


@pytest.mark.parametrize("answer", NULLS)
@pytest.mark.parametrize("name", NULLABLE)
async def test_what_may_be_null_is(name: str, answer: str) -> None:
    assert await one(NULLABLE[name], NULLS[answer]) is None


@pytest.mark.parametrize("answer", WRONG)
@pytest.mark.parametrize("name", ["a key", *NULLABLE])
async def test_anything_else_is_an_error(name: str, answer: str) -> None:
    response, error = WRONG[answer]
    with pytest.raises(error):
        await one(NULLABLE.get(name, KEYED), response)


async def test_a_plain_function_is_null_for_204_only() -> None:
    for response in (httpx.Response(204), httpx.Response(200)):
        async with upstream(response).client(retries=0) as client:
            asking = Fetcher(client, DIALECTS["odata"]).value(
                Query(resource=NULLABLE["a function"])
            )
            if response.status_code == 204:
                assert await asking is None
            else:
                with pytest.raises(UpstreamMalformed):
                    await asking
