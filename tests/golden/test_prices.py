"""Prices of all golden cases, mostly before anything was learned, beside the requests that their files say are sent."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette

from gateway.cost.learned import LearnedSeconds
from gateway.cost.price import Pricing, price_roots
from gateway.cost.write_price import batch_sizes, price_mutations
from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.runtime.assembly import Gateway, open_client
from gateway.writes.operations import MutationOperation
from gateway.writes.parts_input import selects_parts, takes_parts
from gateway.writes.references import is_atomic
from tests.conftest import QUIET
from tests.support.answers_apart import AnswersApart
from tests.support.cases import Case, all_cases, engine_of
from tests.support.write_cases import WriteCase, prepared, write_cases

pytestmark = pytest.mark.anyio
NO_ROW = {"nodes/with-children", "relations/below-nothing"}
"""Cases that read rows by keys of which there are none: that says nothing about other keys, so prices stay bounds."""
_REQUEST = re.compile(r"^(GET|POST|PATCH|PUT|DELETE) (?!.* HTTP/1\.1$)", re.MULTILINE)
"""A request of its own; those within a batch name their protocol."""


def sent_by(case: Case, suffix: str) -> int:
    file = case.expectation(suffix)
    if not file.exists():
        file = case.expectation(".requests")
    # The reads of a batch are indented.
    return sum(not line.startswith(" ") for line in file.read_text("utf-8").splitlines())


def priced(by: Engine, case: Case) -> int | None:
    """Return the requests that a case is priced at; None if it is refused."""
    try:
        query = by.plan(by.read(case.request))
    except OperationRefused:
        return None
    pricing = Pricing(
        dialect=by.dialect,
        max_url_length=case.settings.get("max_url_length", 2_000),
        seconds=LearnedSeconds().seconds,
        formats=by.formats,
    )
    price = price_roots(query.roots, pricing, needs_formats=query.prepared.needs_formats)
    return round(price.requests) + len(query.lookups)


@pytest.mark.parametrize("expand", ["auto", "never"])
async def test_reads_are_priced_as_they_are_sent(
    assembled: Gateway, sandbox: Starlette, expand: str
) -> None:
    """Before anything is learned prices are bounds; what they do not know then are rows that are not there."""
    suffix = ".requests" if expand == "auto" else ".requests-noexpand"
    transport = AnswersApart(httpx.ASGITransport(sandbox))
    async with open_client(QUIET, transport=transport, observe=lambda _: None) as client:
        gateway = replace(assembled, client=client)
        for case in all_cases():
            by = engine_of(case, gateway, expand=expand)
            for _ in range(case.runs - 1):
                await by.execute(case.request)
            bound, sent = priced(by, case), sent_by(case, suffix)
            if bound is None or bound == sent:
                continue
            assert bound > sent, case.name
            await by.execute(case.request)
            learned = priced(by, case)
            answer = await by.execute(case.request)

            assert (learned == len(answer.requests)) is (case.name not in NO_ROW), case.name


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
            Pricing(
                dialect=gateway.dialect, max_url_length=2_000, seconds=LearnedSeconds().seconds
            ),
            atomic=is_atomic(operation.operation),
            sizes=batch_sizes(by.mutations, case.request),
            needs_formats=takes_parts(operation) or selects_parts(operation),
        )
    sent = len(_REQUEST.findall(case.path.with_suffix(".exchange").read_text("utf-8")))

    assert round(price.requests) == sent
