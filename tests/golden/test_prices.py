"""Prices of all golden cases, mostly before anything was learned, beside the requests that their files say are sent."""

from __future__ import annotations

import json
import re

import pytest

from gateway.cost.learned import LearnedSeconds
from gateway.cost.price import Pricing, price_roots
from gateway.cost.write_price import batch_sizes, price_mutations
from gateway.documents.refusal import OperationRefused
from gateway.runtime.assembly import Gateway
from gateway.writes.operations import MutationOperation
from gateway.writes.parts_input import selects_parts, takes_parts
from gateway.writes.references import is_atomic
from tests.support.cases import Case, all_cases, engine
from tests.support.write_cases import WriteCase, prepared, write_cases

pytestmark = pytest.mark.anyio
ABSENT = {
    # Their rows are not there, so that nothing below them is read.
    "nodes/with-children",
    "relations/after-without-rows-of-one",
    "relations/below-nothing",
    "relations/to-one-missing",
    # Joins of a mapping: two ask the same, or the one before has found nothing.
    "unified/accounting_chart",
    "unified/accounting_contacts_and_items",
    "unified/accounting_orders",
    "unified/accounting_payable",
    "unified/accounting_receivable",
    "unified/user_details",
}
"""Read cases that cost less than their plans let expect."""
_REQUEST = re.compile(r"^(GET|POST|PATCH|PUT|DELETE) (?!.* HTTP/1\.1$)", re.MULTILINE)
"""A request of its own; those within a batch name their protocol."""


def pricing_of(gateway: Gateway, max_url_length: int) -> Pricing:
    return Pricing(
        dialect=gateway.dialect,
        max_url_length=max_url_length,
        seconds=LearnedSeconds().seconds,
    )


def sent_by(case: Case, suffix: str) -> int:
    file = case.expectation(suffix)
    if not file.exists():
        file = case.expectation(".requests")
    # The reads of a batch are indented.
    return sum(not line.startswith(" ") for line in file.read_text("utf-8").splitlines())


@pytest.mark.parametrize("expand", ["auto", "never"])
async def test_reads_are_priced_as_they_are_sent(sandboxed: Gateway, expand: str) -> None:
    suffix = ".requests" if expand == "auto" else ".requests-noexpand"
    differing: dict[str, tuple[int, int]] = {}
    for case in all_cases():
        settings = case.settings if expand == "auto" else {**case.settings, "expand": "never"}
        by = engine(sandboxed, **settings)
        for _ in range(case.runs - 1):
            await by.execute(case.request)
        try:
            query = by.plan(by.read(case.request))
        except OperationRefused:
            continue
        limit = case.settings.get("max_url_length", 2_000)
        price = price_roots(
            query.roots,
            pricing_of(sandboxed, limit),
            needs_formats=query.prepared.needs_formats,
        )
        requests = round(price.requests) + len(query.lookups)
        if requests != sent_by(case, suffix):
            differing[case.name] = (requests, sent_by(case, suffix))

    assert differing.keys() <= ABSENT
    assert all(estimated > sent for estimated, sent in differing.values())


def is_done(case: WriteCase) -> bool:
    """Return whether nothing of a case is refused."""
    text = case.path.with_suffix(".json").read_text("utf-8")
    return "errors" not in json.loads(text) and '"userErrors": [\n' not in text


@pytest.mark.parametrize(
    "case", [case for case in write_cases() if is_done(case)], ids=lambda case: case.name
)
async def test_writes_are_priced_as_they_are_sent(case: WriteCase) -> None:
    async with prepared(case) as (gateway, _):
        by = gateway.engine
        operation = by.read(case.request)
        assert by.mutations is not None
        assert operation.document.node is not None
        outlines = by.mutations.outline(
            MutationOperation(
                document=operation.document.node,
                node=operation.operation,
                variables=case.variables,
                coerced=operation.variables,
                companies=case.companies,
            )
        )
        price = price_mutations(
            outlines,
            pricing_of(gateway, 2_000),
            atomic=is_atomic(operation.operation),
            sizes=batch_sizes(by.mutations, case.request),
            needs_formats=takes_parts(operation) or selects_parts(operation),
        )
    sent = len(_REQUEST.findall(case.path.with_suffix(".exchange").read_text("utf-8")))

    assert round(price.requests) == sent
