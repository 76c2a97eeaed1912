"""Services that show whether they were done are called once, wherever a call breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.explain.explain import explain
from gateway.metadata.api_schema import check_names
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.sandbox.faults import FaultRule
from tests.support.faulty_writes import SERVICE, Faulty
from tests.support.write_kinds import KINDS, POINTS, REFUSED, is_posted, prepare

pytestmark = pytest.mark.anyio
POST = (
    'mutation ($k: String!) { x: postLedgerJournalOnce(company: "usmf", number: $k)'
    " { isPosted userErrors { code message } } }"
)
SLOW = {"504 with an OData error, processed", "408, unprocessed"}
"""Points after which the service may still be at it."""


async def test_a_call_that_breaks_is_settled_and_done_once(over: Faulty) -> None:
    for point, breaking in POINTS.items():
        key = prepare(over, "service", KINDS["service"])
        over.door.shut, over.door.method, over.door.path = breaking.shut, "POST", SERVICE
        rule = breaking.rule
        over.faults(*([replace(rule, method="POST", path=SERVICE)] if rule else ()))
        first = await over.ask(POST, k=key)
        over.door.shut = 0
        calls = over.reached()
        if breaking.codes == ("OUTCOME_UNKNOWN",) and (point not in SLOW or breaking.written):
            assert (first.of("x"), is_posted(over, key)) == ({}, True), point
            # What was done is not done again, and only then is nothing known of its outputs.
            assert calls == (1 if breaking.written else 2), point
            assert (first.data["x"]["isPosted"] is None) == breaking.written, point
        else:
            assert tuple(first.of("x")) == breaking.codes, point
        over.faults()

        second = await over.ask(POST, k=key)

        assert (second.of("x"), is_posted(over, key)) == ({}, True), point
        assert over.reached() == bool(first.of("x")), point


async def test_a_refused_call_that_is_done_is_no_error(over: Faulty) -> None:
    key = prepare(over, "service", KINDS["service"])
    over.faults(FaultRule(at="after", answer=REFUSED, method="POST", path=SERVICE))

    answer = await over.ask(POST, k=key)

    assert answer.data == {"x": {"isPosted": None, "userErrors": []}}


async def test_explain_shows_the_look(gateway: Gateway) -> None:
    request = GraphQLRequest(query=POST, variables={"k": "00001"}, companies=("usmf",))

    explanation = await explain(gateway, request)

    (step,) = explanation.steps
    assert step.notes == ("not called if isPosted of the row shows that it was done",)
    read, call = explanation.requests
    assert read.text.startswith("LedgerJournalHeaders?$select=")
    assert call.text == SERVICE


@pytest.mark.parametrize(
    ("done", "parameters", "reason"),
    [
        ("journal.isPosted", {}, "there is no by-key field journal"),
        ("ledgerJournalHeaders.isPosted", {}, "there is no by-key field ledgerJournalHeaders"),
        ("ledgerJournalHeader.description", {}, "has no Boolean field description"),
        ("ledgerJournalHeader.isPosted", {}, "no parameter gives journalBatchNumber"),
    ],
)
def test_a_check_that_cannot_be_made_is_refused(
    gateway: Gateway, done: str, parameters: dict[str, Any], reason: str
) -> None:
    service = {"name": "post", "path": "a/b/c", "done": done, "input": parameters}
    settings = Settings.model_validate({"writes": {"services": [service]}})

    with pytest.raises(SettingsError, match=reason):
        check_names(settings, gateway.catalog)
