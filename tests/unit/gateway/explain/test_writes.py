"""Explain of mutations: what each does, and the requests that would be sent, to the byte; nothing is sent.

``tests/golden/writes/<topic>/<name>.explain`` is the text for that case; ``UPDATE_CASES=1`` writes those that exist.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping

import pytest

from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.explain.report import Explanation
from gateway.odata.query import Request
from gateway.odata.render import readable_url
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from tests.support.write_cases import FOLDER, WriteCase, prepared, read_case, run, write_cases

pytestmark = pytest.mark.anyio
UPDATE = bool(os.environ.get("UPDATE_CASES"))
EXPLAINED = [c for c in write_cases() if c.path.with_suffix(".explain").exists()]

AS_SENT: Mapping[str, Mapping[str, str]] = {
    "actions/of-a-collection": {},
    "atomic/all": {},
    "create/one-row": {},
    "create/with-navigations": {},
    "delete/one-row": {},
    "lists/created": {},
    "recipes/500-expense-lines": {},
    "recipes/payment-terms-of-a-vendor": {},
    "recipes/post-a-balanced-journal": {"JournalBatchNumber": "00061"},
    "recipes/post-an-atomic-journal": {},
    "recipes/sales-order-with-lines": {"SalesOrderNumber": "000301"},
    "recipes/vendor-invoice-from-a-purchase-order": {},
    "references/number-of-an-earlier-row": {"JournalBatchNumber": "00061"},
    "update/one-field": {},
}
"""Case of which nothing is refused → what the sandbox gives for the properties that only the upstream knows."""


@pytest.fixture
async def served() -> AsyncIterator[Gateway]:
    settings = Settings(cache_dir=None, language="none", include=("CustomersV3",))
    async with open_gateway(settings, observe=lambda _: None) as gateway:
        yield gateway


async def explained(case: WriteCase) -> tuple[Explanation, list[object]]:
    """Explain a case; gives what the sandbox was asked too, beside its metadata."""
    async with prepared(case) as (gateway, sandbox):
        explanation = await explain(gateway, case.request)
        return explanation, sandbox.state.requests


@pytest.mark.parametrize("case", EXPLAINED, ids=lambda case: case.name)
async def test_text_is_as_expected_and_nothing_is_sent(case: WriteCase) -> None:
    found, asked = await explained(case)

    assert asked == []
    path = case.path.with_suffix(".explain")
    if UPDATE:
        path.write_text(f"{found.text()}\n", "utf-8")
    assert f"{found.text()}\n" == path.read_text("utf-8")


@pytest.mark.heavy
@pytest.mark.parametrize("name", AS_SENT)
async def test_requests_are_those_that_are_sent(name: str) -> None:
    case = read_case(FOLDER / f"{name}.graphql")

    found, _ = await explained(case)
    answer, _ = await run(case)

    shown = "\n".join(line for request in found.requests for line in request.lines())
    for property_, value in AS_SENT[name].items():
        shown = shown.replace(f"{{{property_}}}", value)
    values = "|".join(AS_SENT[name].values())
    sent = "\n".join(map(printed, answer.requests))
    # A value in the place of a name stands without quotes in an address.
    assert shown == (re.sub(rf"([ =])'({values})'", r"\1\2", sent) if values else sent)
    assert found.placeholders == set(AS_SENT[name])
    assert not found.failed


def printed(request: Request) -> str:
    match = [f"If-Match: {v}" for n, v in request.headers.items() if n == "If-Match"]
    body = (request.body or b"").decode().splitlines()
    return "\n".join([f"{request.method} {readable_url(request)}", *match, *body])


async def test_invalid_arguments_are_shown() -> None:
    found, asked = await explained(read_case(FOLDER / "lists/too-many.graphql"))

    assert found.failed
    assert "fails: BUDGET_EXCEEDED" in found.text()
    assert asked == []


async def test_operation_that_cannot_be_atomic_is_shown() -> None:
    found, asked = await explained(read_case(FOLDER / "atomic/with-a-call.graphql"))

    assert [error["message"] for error in found.errors] == [
        "b cannot join the changeset: it is a call, and a changeset holds only writes of rows."
    ]
    assert asked == []


@pytest.mark.parametrize(
    ("query", "earlier"),
    [
        (
            """mutation ($a: String! @valueFrom(path: "a.nameAlias")) {
              a: updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: "1" }, patch: { salesMemo: "x" }) { etag }
              b: updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: $a }, patch: { salesMemo: "y" }) { etag }
            }""",
            "changes SalesMemo of 1 row of CustomersV3",
        ),
        (
            """mutation ($a: String! @valueFrom(path: "a.customerAccount")) {
              a: updateCustomerV3(key: { customerAccount: "1" }, patch: { salesMemo: "x" }) { etag }
              b: updateCustomerV3(key: { dataAreaId: "usmf", customerAccount: $a }, patch: { salesMemo: "y" }) { etag }
            }""",
            "fails: BAD_ARGUMENT: key.dataAreaId is missing, and the company scope is not one company.",
        ),
    ],
    ids=["not given by a dry run", "of a mutation that fails"],
)
async def test_mutation_with_an_unknown_value_is_shown(
    served: Gateway, query: str, earlier: str
) -> None:
    explanation = await explain(served, GraphQLRequest(query=query))

    assert {step.field: step.how for step in explanation.steps} == {
        "a": earlier,
        "b": "cannot be shown: it uses a value that is known only after an earlier mutation",
    }
