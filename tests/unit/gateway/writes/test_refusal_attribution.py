"""Which rows of a refused changeset get the error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.odata.infolog import INFOLOG
from gateway.odata.query import KeyPart, Literal
from gateway.odata.response_check import Response
from gateway.writes.plan import RowWrite
from gateway.writes.refusal_attribution import attribute_refusal
from schema.catalog.records import Verb

START = "Write failed for table row of type 'CustGroupEntity'. Infolog: "
NAMES = {"id": "id", "name": "name", "terms": "terms"}


def name_of(write: RowWrite, source: str | None, label: str | None = None) -> str | None:
    return NAMES.get((source or label or "").casefold())


def row(number: int, verb: Verb = Verb.CREATE, *, etag: str | None = None, **body: Any) -> RowWrite:
    key = (KeyPart("dataAreaId", text("usmf")), KeyPart("Id", text(str(number))))
    at = ("input", str(number))
    return RowWrite(
        verb=verb, entity_set="Groups", csdl="N.Group", place=at, key=key, body=body, if_match=etag
    )


def text(value: str) -> Literal:
    return Literal(value, "Edm.String")


def refusal(
    said: str, status: int = 400, named: str | None = None, entity: str = "CustGroupEntity"
) -> Response:
    start = START.replace("CustGroupEntity", entity)
    inner = {"message": start + said, "type": "AxODataWriteException"}
    error = {"error": {"code": "", "message": "An error has occurred.", "innererror": inner}}
    headers = {} if named is None else {"content-id": named}
    return Response(status, headers, orjson.dumps(error), "")


NOT_FOUND_VALUE = (
    "Warning: The value 'x' in field 'Terms' is not found in the related table 'Terms'.;"
    " Warning: validateField failed on field 'CustGroupEntity.Terms'."
)
MISSING = "Warning: Field 'Name' must be filled in.; Warning: validateField failed on field 'CustGroupEntity.Name'."
DUPLICATE = "Info: Cannot create a record in Groups. Group: {}.\nThe record already exists.."
RULE = "Error: The period is closed."
ROWS = (row(1, Terms="a"), row(2, Terms="x"), row(3, Terms="x1"), row(10))

ACCOUNT = (
    "Warning: The value '{}' in field 'Account' is not found in the related table 'Accounts'.;"
    " Warning: validateField failed on field 'LedgerJournalLineEntity.Terms'."
)
ACCOUNTS = tuple(
    row(n, Terms={250: "605120-NOPE-022", 7: r"605120-US\-101-022"}.get(n, f"605120-{n:03}-022"))
    for n in range(500)
)
INVOICE_TAKEN = "Info: Cannot create a record in Invoices (VendInvoiceInfoTable). {}.\nThe record already exists.."


def invoice_row(csdl: str, *key: str) -> RowWrite:
    names = ("dataAreaId", "HeaderReference", "LineNumber")
    parts = tuple(KeyPart(n, text(v)) for n, v in zip(names, ("usmf", *key), strict=False))
    return RowWrite(
        verb=Verb.CREATE,
        entity_set="Invoices",
        csdl=csdl,
        place=("input", *key[1:]),
        key=parts,
        body={},
    )


INVOICE = (
    invoice_row("N.VendorInvoiceHeader", "VI-1"),
    invoice_row("N.VendorInvoiceLine", "VI-1", "11"),
    invoice_row("N.VendorInvoiceLine", "VI-1", "12"),
)

TABLE: dict[str, tuple[tuple[RowWrite, ...], Response, set[int]]] = {
    "the value that is quoted": (ROWS, refusal(NOT_FOUND_VALUE), {1}),
    "the value in another case of the property": (
        (row(1, TERMS="x"), row(2)),
        refusal(NOT_FOUND_VALUE),
        {0},
    ),
    "two rows with the quoted value": (
        (row(1, Terms="x"), row(2, Terms="y"), row(3, Terms="x")),
        refusal(NOT_FOUND_VALUE),
        {0, 2},
    ),
    "the property, where no row has the value": (
        (row(1), row(2, Terms="y")),
        refusal(NOT_FOUND_VALUE),
        {1},
    ),
    "the row that lacks the field": (
        (row(1, Name="a"), row(2), row(3, Name="c")),
        refusal(MISSING),
        {1},
    ),
    "the row whose field is blank": ((row(1, Name="a"), row(2, Name="")), refusal(MISSING), {1}),
    "the key that exists": (ROWS, refusal(DUPLICATE.format("2")), {1}),
    "the key, not a part of another": (ROWS, refusal(DUPLICATE.format("10")), {3}),
    "a duplicate among rows of other kinds": (
        (row(2, Verb.UPDATE, Name="b"), row(2), row(2, Verb.DELETE)),
        refusal(DUPLICATE.format("2")),
        {1},
    ),
    "what is not there": (
        (row(1), row(2, Verb.DELETE), row(3)),
        Response(404, {}, b"", ""),
        {1},
    ),
    "a row that is gone, where any version would do": (
        (row(1), row(2, Verb.UPDATE, Name="b")),
        Response(412, {}, b"", ""),
        {1},
    ),
    "what has changed": (
        (row(1, Verb.UPDATE, Name="a"), row(2, Verb.UPDATE, etag="W/1", Name="b")),
        Response(412, {}, b"", ""),
        {1},
    ),
    "nobody can be told from another": (ROWS, refusal(RULE), {0, 1, 2, 3}),
    "a Content-ID that is not the first": (ROWS, refusal(RULE, named="3"), {2}),
    "the first Content-ID says nothing": (ROWS, refusal(RULE, named="1"), {0, 1, 2, 3}),
    "a Content-ID of nobody": (ROWS, refusal(RULE, named="9"), {0, 1, 2, 3}),
    "the text tells more than the Content-ID": (ROWS, refusal(NOT_FOUND_VALUE, named="4"), {1}),
    "one row": ((row(1),), refusal(RULE), {0}),
    "a segment of an account": (ACCOUNTS, refusal(ACCOUNT.format("NOPE")), {250}),
    "an escaped segment": (ACCOUNTS, refusal(ACCOUNT.format("US-101")), {7}),
    "a whole account": (ACCOUNTS, refusal(ACCOUNT.format("605120-003-022")), {3}),
    "a segment, where no property is named": (
        ACCOUNTS,
        refusal("Warning: The value 'NOPE' in field 'Unit' is not found in the related table 'X'."),
        {250},
    ),
    "the key of the header that exists": (
        INVOICE,
        refusal(INVOICE_TAKEN.format("Invoice: VI-1")),
        {0},
    ),
    "the key of the line that exists": (
        INVOICE,
        refusal(INVOICE_TAKEN.format("Invoice, Line: VI-1, 12")),
        {2},
    ),
    "the entity that is named": (
        INVOICE,
        refusal(RULE, entity="VendVendorInvoiceHeaderEntity"),
        {0},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_rows_that_fit_get_the_error_others_are_rolled_back(name: str) -> None:
    writes, bad, blamed = TABLE[name]

    outcomes = attribute_refusal(writes, bad, name_of, INFOLOG)

    codes = [o.errors[0].code for o in outcomes]
    assert {i for i, code in enumerate(codes) if code != "ROLLED_BACK"} == blamed
    assert all(o.response is None and not o.is_done for o in outcomes)
    undecided = ["does not tell which row" in outcomes[i].errors[0].message for i in blamed]
    assert undecided == [len(blamed) > 1] * len(blamed)


@pytest.mark.parametrize(
    ("rows", "reported", "more"), [(10, 10, None), (11, 10, "1 more"), (500, 10, "490 more")]
)
def test_ten_of_many_suspects_are_named(rows: int, reported: int, more: str | None) -> None:
    outcomes = attribute_refusal([row(n) for n in range(rows)], refusal(RULE), name_of, INFOLOG)

    errors = [outcome.errors[0] for outcome in outcomes]
    named = [e for e in errors if e.code == "BUSINESS_RULE"]
    assert named == errors[:reported]
    assert all(
        ("does not tell which row" in e.message) and (more or "") in e.message for e in named
    )
    assert all("this may be the row" in e.message for e in errors[reported:])


def test_a_row_that_was_rolled_back_leads_to_the_cause() -> None:
    outcomes = attribute_refusal(ROWS, refusal(NOT_FOUND_VALUE), name_of, INFOLOG)

    assert [o.errors[0].path for o in outcomes] == [("input", "2", "terms")] * 4
    assert [o.because for o in outcomes] == [ROWS[1], None, ROWS[1], ROWS[1]]


def test_a_blamed_row_says_where_in_the_arguments() -> None:
    (outcome,) = attribute_refusal((row(2, Terms="x"),), refusal(NOT_FOUND_VALUE), name_of, INFOLOG)
    (error,) = outcome.errors
    assert (error.field, error.path) == ("terms", ("input", "2", "terms"))


PLACES: dict[str, tuple[RowWrite, Response, tuple[str, ...]]] = {
    "a field of a patch": (
        replace(row(2, Verb.UPDATE, Terms="x"), patched=True),
        refusal(NOT_FOUND_VALUE),
        ("input", "2", "patch", "terms"),
    ),
    "a patch without a field": (
        replace(row(2, Verb.UPDATE), patched=True),
        refusal(RULE),
        ("input", "2"),
    ),
    "the key of a row to change": (
        replace(row(2, Verb.UPDATE), patched=True),
        Response(404, {}, b"", ""),
        ("input", "2", "key"),
    ),
    "the key of a row to delete": (
        row(2, Verb.DELETE),
        Response(404, {}, b"", ""),
        ("input", "2", "key"),
    ),
    "an upsert that found no row": (
        row(2, Verb.UPDATE),
        Response(404, {}, b"", ""),
        ("input", "2"),
    ),
    "the version": (
        row(2, Verb.DELETE, etag="W/1"),
        Response(412, {}, b"", ""),
        ("input", "2", "ifMatch"),
    ),
    "a conflict without a version": (
        row(2, Verb.DELETE),
        Response(409, {}, b"", ""),
        ("input", "2"),
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_an_error_stands_at_the_argument_that_it_is_about(name: str) -> None:
    write, bad, place = PLACES[name]
    (outcome,) = attribute_refusal((write,), bad, name_of, INFOLOG)
    assert outcome.errors[0].path == place
