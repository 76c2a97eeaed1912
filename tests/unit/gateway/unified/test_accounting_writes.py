"""Round trips of what can be written of the books: created, read by its id, changed, read again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox.app import create_sandbox
from tests.support.observers import raise_bugs

pytestmark = pytest.mark.anyio
JOURNAL = [
    {
        "accountType": "LEDGER",
        "account": "605120-001-022",
        "debit": "120.5",
        "currency": "USD",
        "description": "Rent",
        "transactionDate": "2024-06-01",
        "trackingCategories": "006-001-021-",
    },
    {"accountType": "VENDOR", "account": r"US\-001", "credit": "120.5", "currency": "USD"},
]
ROWS: Mapping[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "Vendor": (
        {
            "number": "ZZ-1", "name": "Zoo", "group": "10", "currency": "USD", "paymentTerm": "Net30",
            "city": "Ulm", "country": "DEU", "taxNumber": "T1", "status": "ACTIVE",
        },
        {"name": "Zoo Inc.", "email": "zoo@example.com", "creditLimit": "12.5"},
        "",
    ),
    "Customer": (
        {
            "number": "ZZ-2", "name": "Zeta", "group": "10", "currency": "USD", "paymentTerm": "Net30",
            "street": "1 Lane", "postalCode": "98001",
        },
        {"name": "Zeta Ltd.", "phone": "+1 555", "creditLimit": "100"},
        "",
    ),
    "JournalEntry": (
        {"journal": "GenJrn", "memo": "Rent", "reference": "EXT-1", "lines": JOURNAL},
        {"memo": "Rent of June", "reference": "EXT-2"},
        "lines { accountType account debit credit currency description transactionDate trackingCategories }",
    ),
    "PurchaseOrder": (
        {
            "vendorNumber": "US-001", "currency": "USD", "reference": "R1",
            "lines": [{"itemNumber": "D0001", "quantity": "3", "unitPrice": "2.5", "unit": "ea"}],
        },
        {"reference": "R2", "deliveryDate": "2024-07-01"},
        "lines { itemNumber quantity unitPrice unit }",
    ),
    "Bill": (
        {
            "number": "B-1", "vendorNumber": "US-001", "date": "2024-06-01", "dueDate": "2024-07-01",
            "currency": "USD", "importedAmount": "7.5", "isApproved": True,
            "lines": [{"itemNumber": "D0001", "quantity": "3", "unitPrice": "2.5"}],
        },
        {"memo": "Late", "isOnHold": True},
        "lines { itemNumber quantity unitPrice }",
    ),
    "FreeTextInvoice": (
        {
            "customerNumber": "US-001", "currency": "USD", "date": "2024-06-01",
            "lines": [{"description": "Advice", "quantity": "2", "unitPrice": "50", "amount": "100"}],
        },
        {"dueDate": "2024-07-01", "reference": "F2"},
        "lines { description quantity unitPrice amount }",
    ),
    "PaymentTerm": ({"name": "Net99", "days": 99}, {"description": "Much later", "isCash": False}, ""),
    "TrackingOption": (
        {"categoryName": "CostCenter", "value": "Z99", "company": "", "name": "Zoo"},
        {"name": "Zoo shop", "status": "INACTIVE"},
        "",
    ),
}  # fmt: skip
SINGLE = {name: name[:1].lower() + name[1:] for name in ROWS}


@pytest.fixture(scope="module")
async def books() -> AsyncIterator[Gateway]:
    settings = Settings.model_validate({"cache_dir": None, "language": "none"})
    transport = httpx.ASGITransport(create_sandbox())
    async with open_gateway(settings, transport=transport, observe=raise_bugs) as gateway:
        yield gateway


async def run(books: Gateway, query: str, **variables: Any) -> Any:
    request = GraphQLRequest(query=query, variables=variables, companies=("usmf",))
    answer = (await books.engine.execute(request)).to_builtins()
    assert "errors" not in answer, answer
    return answer["data"]


async def write(books: Gateway, query: str, **variables: Any) -> dict[str, Any]:
    (payload,) = (await run(books, query, **variables)).values()
    assert payload["userErrors"] == []
    return dict(payload)


async def create(
    books: Gateway, name: str, values: dict[str, Any], more: str = ""
) -> dict[str, Any]:
    query = (
        f"mutation($input: Unified{name}CreateInput!) {{ createUnified{name}(input: $input{more})"
        f" {{ {SINGLE.get(name, name.lower())} {{ id }} created userErrors {{ code message field }} }} }}"
    )
    return await write(books, query, input=values)


async def read(books: Gateway, name: str, id_: str, fields: str) -> dict[str, Any]:
    one = SINGLE.get(name, name.lower())
    data = await run(
        books, f"query($id: ID!) {{ accounting {{ {one}(id: $id) {{ {fields} }} }} }}", id=id_
    )
    return dict(data["accounting"][one])


def shown(values: dict[str, Any]) -> dict[str, Any]:
    """Return an input as it reads: an empty text is null."""
    return {n: None if v == "" else v for n, v in values.items()}


def selected(values: dict[str, Any], below: str) -> str:
    return " ".join(name for name in values if name != "lines") + " " + below


@pytest.mark.parametrize("name", ROWS)
async def test_what_is_written_is_read_again(name: str, books: Gateway) -> None:
    values, patch, below = ROWS[name]

    created = await create(books, name, values)
    id_ = created[SINGLE[name]]["id"]
    first = await read(books, name, id_, selected(values, below))
    query = (
        f"mutation($id: ID!, $patch: Unified{name}Patch!) {{ updateUnified{name}(id: $id, patch: $patch)"
        " { userErrors { code message field } } }"
    )
    await write(books, query, id=id_, patch=patch)
    second = await read(books, name, id_, selected(patch, ""))

    lines, expected = first.pop("lines", []), shown(values)
    assert first == {n: v for n, v in expected.items() if n != "lines"}
    assert [
        {n: line[n] for n in own} for line, own in zip(lines, values.get("lines", []), strict=True)
    ] == (values.get("lines", []))
    assert second == patch


async def test_a_journal_of_one_reference_is_created_once(books: Gateway) -> None:
    values = {"journal": "GenJrn", "reference": "ONCE-1", "lines": JOURNAL}

    payloads = [
        await create(books, "JournalEntry", values, ', uniqueBy: ["reference"]') for _ in range(2)
    ]

    assert [payload["created"] for payload in payloads] == [True, False]
    ids = {payload["journalEntry"]["id"] for payload in payloads}
    (id_,) = ids
    entry = await read(
        books, "JournalEntry", id_, "totalDebit totalCredit difference lines { netAmount }"
    )
    assert entry == {
        "totalDebit": "120.5",
        "totalCredit": "120.5",
        "difference": "0.0",
        "lines": [{"netAmount": "120.5"}, {"netAmount": "-120.5"}],
    }


async def test_an_attachment_goes_both_ways_in_base64(books: Gateway) -> None:
    bill = await create(
        books, "Bill", {"number": "B-2", "vendorNumber": "US-001", "currency": "USD"}
    )
    reference = await read(books, "Bill", bill["bill"]["id"], "reference")
    values = {"billReference": reference["reference"], "fileName": "a", "content": "JVBERi0xLjcK"}

    await create(books, "Attachment", values)

    found = await read(books, "Bill", bill["bill"]["id"], "attachments { fileName content }")
    assert found["attachments"] == [{"fileName": "a", "content": "JVBERi0xLjcK"}]


async def test_a_refused_line_is_named_in_the_words_of_the_books(books: Gateway) -> None:
    query = (
        "mutation($input: UnifiedJournalEntryCreateInput!) { createUnifiedJournalEntry(input: $input)"
        " { journalEntry { id } userErrors { field path } } }"
    )
    lines = [JOURNAL[0], {**JOURNAL[0], "account": "999999-001-022"}]

    data = await run(books, query, input={"journal": "GenJrn", "lines": lines})

    payload = data["createUnifiedJournalEntry"]
    assert payload["journalEntry"] is None
    assert ["input", "lines", "1", "account"] in [error["path"] for error in payload["userErrors"]]
