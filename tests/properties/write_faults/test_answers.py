"""What counts as a write that was done: statuses by bodies by verbs, by themselves and within a changeset.

The expectation is a table of its own, read from OData 4.0 Protocol sections 8.3.3, 9 and 11.4.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import httpx
import orjson
import pytest

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.types.build import build_schema
from schema.writes import Writes
from tests.support.observers import raise_bugs
from tests.support.scripted_upstream import Upstream
from tests.support.soak import bounded
from tests.support.zoo_model import DIALECTS, model

pytestmark = pytest.mark.anyio

KEY = 'area: "A", orderId: 1'
VERBS = {
    "create": f'x: createOrder(input: {{{KEY}, text: "a"}})',
    "update": f'x: updateOrder(key: {{{KEY}}}, patch: {{text: "a"}})',
    "delete": f"x: deleteOrder(key: {{{KEY}}})",
}
ROW = {"Area": "A", "OrderId": 1, "Text": "a"}
DEEP = b'{"Area":"A","OrderId":1,"Text":"a","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
JSON, PAGE_TYPE, TEXT = "application/json", "text/html", "text/plain"
REFUSAL = {"error": {"code": "", "message": "S3CRET says no."}}
BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ""),
    "row": (orjson.dumps(ROW), JSON),
    "other JSON": (b'{"status":"ok"}', JSON),
    "list": (
        b'{"@odata.context":"$metadata#Orders","value":[],"@odata.nextLink":"Orders?p=2"}',
        JSON,
    ),
    "JSON null": (b"null", JSON),
    "page": (b"<!DOCTYPE html><html><body>S3CRET</body></html>", PAGE_TYPE),
    "page called JSON": (b"<html>S3CRET</html>", JSON),
    "text": (b"S3CRET", TEXT),
    "error": (orjson.dumps(REFUSAL), JSON),
    "cut error": (orjson.dumps(REFUSAL)[:30], JSON),
    "deep": (DEEP, JSON),
}
PAGES = frozenset({"page", "page called JSON"})
ERRORS = frozenset({"error", "cut error"})
STATUSES = (
    *(101, 200, 201, 202, 203, 204, 205, 206, 207, 226, 300, 301, 302, 303, 304, 307, 308),
    *(400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 422, 429, 431, 451),
    *(500, 501, 502, 503, 504),
)
UNKNOWN, DONE = "OUTCOME_UNKNOWN", None


def expected(verb: str, status: int, body: str, *, addressed: bool) -> str | None:
    """Return the code of the outcome, None for a write that was done."""
    at_the_door = {401: "UPSTREAM_FORBIDDEN", 403: "UPSTREAM_FORBIDDEN", 429: "UPSTREAM_THROTTLED"}
    if status in at_the_door:
        return at_the_door[status]
    if status < 300:
        is_done = {
            200: body == "row",
            201: verb == "create" and body not in PAGES | ERRORS | {"deep"},
            204: body == "empty" and (addressed or verb != "create"),
        }
        return DONE if is_done.get(status, False) else UNKNOWN
    if status < 400 or status in (408, 502, 503, 504) or body in PAGES | {"deep"}:
        return UNKNOWN
    if status >= 500 and body not in ERRORS:
        return UNKNOWN
    if status == 404:
        return "NOT_FOUND" if body in ERRORS | {"empty"} else UNKNOWN
    if status == 412 and verb == "update":
        return "NOT_FOUND"  # it went out with ``If-Match: *``
    return "CONFLICT" if status in (409, 412) else "REFUSED"


def of_service(status: int, body: str, *, addressed: bool) -> httpx.Response:
    content, kind = BODIES[body]
    headers = {"OData-Version": "4.0", **({"Content-Type": kind} if kind else {})}
    if addressed:
        headers["OData-EntityId"] = "https://fo.example/data/Orders(Area='A',OrderId=1)"
    return httpx.Response(status, headers=headers, content=content)


def in_changeset(answer: httpx.Response, whole: httpx.Response | None) -> httpx.Response:
    """Return the answer to a changeset whose first write went well, if any, and whose other one is ``answer``."""
    parts = b"".join(b"--c\r\n" + _part(a) for a in (whole, answer) if a is not None)
    kind = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n"
    body = b"--b\r\n" + kind + parts + b"--c--\r\n\r\n--b--\r\n"
    headers = {"content-type": "multipart/mixed; boundary=b", "OData-Version": "4.0"}
    return httpx.Response(200, headers=headers, content=body)


def _part(answer: httpx.Response) -> bytes:
    shown = ("content-type", "odata-entityid")
    lines = [f"{n}: {v}" for n, v in answer.headers.items() if n in shown]
    head = [
        "Content-Type: application/http",
        "",
        f"HTTP/1.1 {answer.status_code} X",
        *lines,
        "",
        "",
    ]
    return "\r\n".join(head).encode() + answer.content + b"\r\n"


@cache
def schema() -> Any:
    catalog = Catalog(model(), abilities_of(DIALECTS["odata"]))
    return build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))


async def codes(query: str, answer: httpx.Response) -> list[str | None]:
    """Run a mutation against one answer for ever; return the code of each row's outcome."""
    client = Upstream([answer]).client(retries=0)
    engine = Engine(schema(), client, DIALECTS["odata"], ExecutionSettings(), raise_bugs)
    result = (await engine.execute(GraphQLRequest(query=query))).to_builtins()
    assert "S3CRET says" in str(result) or "S3CRET" not in str(result)
    assert '{"error"' not in str(result)
    payload = result["data"]["x"]
    rows = payload.get("results") or [payload]
    return [next((e["code"] for e in row["userErrors"]), None) for row in rows]


def _is(code: str | None, needed: str | None) -> bool:
    refusals = {"BUSINESS_RULE", "INVALID_VALUE"}
    return code in refusals if needed == "REFUSED" else code == needed


def cases(status: int) -> list[tuple[str, bool]]:
    """Return body and whether a header names the row, which matters where the row need not be in the body."""
    return list(itertools.product(BODIES, (False, True) if status in (200, 201, 204) else (False,)))


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("verb", VERBS)
async def test_a_single_write_is_done_only_if_the_answer_proves_it(verb: str, status: int) -> None:
    query = f"mutation {{ {VERBS[verb]} {{ userErrors {{ code message }} }} }}"

    wrong = []
    for body, addressed in cases(status):
        (code,) = await codes(query, of_service(status, body, addressed=addressed))
        needed = expected(verb, status, body, addressed=addressed)
        if not _is(code, needed):
            wrong.append((body, addressed, code, needed))

    assert wrong == []


LISTS = {
    "create": f'x: createOrders(input: [{{{KEY}, text: "a"}}, {{area: "A", orderId: 2}}])',
    "update": (
        f'x: updateOrders(input: [{{key: {{{KEY}}}, patch: {{text: "a"}}}},'
        ' {key: {area: "A", orderId: 2}, patch: {text: "a"}}])'
    ),
    "delete": f'x: deleteOrders(input: [{{key: {{{KEY}}}}}, {{key: {{area: "A", orderId: 2}}}}])',
}
GOOD = httpx.Response(201, json=ROW)


@pytest.mark.parametrize("status", bounded(STATUSES[::3], STATUSES))
@pytest.mark.parametrize("verb", LISTS)
async def test_a_changeset_write_is_done_only_if_its_part_proves_it(verb: str, status: int) -> None:
    query = f"mutation {{ {LISTS[verb]} {{ results {{ userErrors {{ code message }} }} }} }}"
    good = GOOD if verb == "create" else httpx.Response(204)

    wrong = []
    for body, addressed in cases(status):
        answer = of_service(status, body, addressed=addressed)
        refused = status >= 300
        result = await codes(query, in_changeset(answer, None if refused else good))
        needed = expected(verb, status, body, addressed=addressed)
        is_right = (
            all(_is(code, needed) for code in result)
            if refused
            else result[0] is None and _is(result[1], needed)
        )
        if not is_right:
            wrong.append((body, addressed, result, needed))

    assert wrong == []


@pytest.mark.parametrize("status", STATUSES)
async def test_an_unexpected_answer_to_a_batch_leaves_all_rows_open(status: int) -> None:
    query = f"mutation {{ {LISTS['update']} {{ results {{ userErrors {{ code message }} }} }} }}"
    doors = {401: "UPSTREAM_FORBIDDEN", 403: "UPSTREAM_FORBIDDEN", 429: "UPSTREAM_THROTTLED"}

    for body in ("row", "page", "other JSON", "deep"):
        result = await codes(query, of_service(status, body, addressed=False))
        if 400 <= status < 500 and status != 408 and body not in ("page", "deep"):
            needed = doors.get(status, UNKNOWN if status == 404 else "UPSTREAM_REJECTED")
        else:
            needed = doors.get(status, UNKNOWN)
        assert result == [needed] * 2, body
