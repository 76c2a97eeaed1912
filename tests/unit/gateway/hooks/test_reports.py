"""What environments report: which sets it is about, whatever the envelope, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import BadArgument
from gateway.hooks.reports import Report, read_report

DATA = {
    "MessageName": "Update",
    "PrimaryEntityName": "mserp_custcustomerv3entity",
    "InputParameters": [{"key": "Target", "value": {"Attributes": []}}],
}
BUSINESS = {
    "BusinessEventId": "CustFreeTextInvoicePostedBusinessEvent",
    "BusinessEventLegalEntity": "usmf",
    "ControlNumber": 5637144576,
    "EventId": "1D8F2E5A-0000-4B6E-9C9B-5B3E4C1B2A3D",
    "EventTime": "/Date(1764521700000)/",
    "MajorVersion": 0,
}
GRID = {"id": "1", "eventType": "Posted", "subject": "s", "dataVersion": "1.0"}
CLOUD = {"specversion": "1.0", "type": "Posted", "source": "/fno", "id": "1"}
CUSTOMERS = Report(entities=frozenset({"custcustomerv3entity"}))
POSTED = Report(events=frozenset({"CustFreeTextInvoicePostedBusinessEvent"}))


@pytest.mark.parametrize(
    ("content", "headers", "report"),
    [
        (DATA, {}, CUSTOMERS),
        (BUSINESS, {}, POSTED),
        ([DATA, BUSINESS], {}, Report(entities=CUSTOMERS.entities, events=POSTED.events)),
        ([{**GRID, "data": BUSINESS}], {"aeg-event-type": "Notification"}, POSTED),
        ({**CLOUD, "data": BUSINESS}, {}, POSTED),
        ([{**CLOUD, "data": DATA}], {}, CUSTOMERS),
        # Dataverse leaves out most of a long body.
        ({}, {"x-ms-dynamics-entity-name": "mserp_CustCustomerV3Entity"}, CUSTOMERS),
        (
            [{**GRID, "data": {"validationCode": "512d38b6"}}],
            {"aeg-event-type": "SubscriptionValidation"},
            Report(validation="512d38b6"),
        ),
        # What is none of these says nothing.
        ({"PrimaryEntityName": 7, "BusinessEventId": ["x"]}, {}, Report()),
        ({"PrimaryEntityName": "mserp_"}, {}, Report()),
        ({"BusinessEventId": "x" * 201}, {}, Report()),
        ({"data": BUSINESS}, {}, Report()),
        ([1, None, [], "x"], {}, Report()),
        ("text", {}, Report()),
    ],
)
def test_reports_name_what_has_changed(
    content: Any, headers: dict[str, str], report: Report
) -> None:
    assert read_report(headers, json.dumps(content).encode()) == report


def test_an_empty_report_is_one() -> None:
    assert read_report({}, b"") == Report()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", {}),
        (b"\xff", {}),
        (b"[" * 100_000, {}),
        (b"[]", {"aeg-event-type": "SubscriptionValidation"}),
        (b'[{"data": {"validationCode": 7}}]', {"aeg-event-type": "SubscriptionValidation"}),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(BadArgument):
        read_report(headers, body)
