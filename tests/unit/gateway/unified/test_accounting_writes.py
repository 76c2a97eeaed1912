"""Round trips of what can be written of the books: created, read by its id, changed, read again, deleted."""

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
JOURNAL: list[dict[str, Any]] = [
    {
        "accountType": "LEDGER",
        "mainAccount": "605120",
        "dimensions": [
            {"name": "BusinessUnit", "value": "001"},
            {"name": "Department", "value": "022"},
        ],
        "debit": "120.5",
        "currency": "USD",
        "description": "Rent",
        "transactionDate": "2024-06-01",
        "trackingCategories": [
            {"name": "BusinessUnit", "value": "006"},
            {"name": "Project", "value": "100%"},
        ],
    },
    {"accountType": "VENDOR", "contactNumber": "US-001", "credit": "120.5", "currency": "USD"},
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
        """lines { accountType mainAccount dimensions { name value } contactNumber debit credit currency
        description transactionDate trackingCategories { name value } }""",
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
    "VendorPaymentJournal": (
        {
            "journal": "APPay", "memo": "June",
            "payments": [{"account": r"US\-001", "amount": "12.5", "currency": "USD", "memo": "1"}],
        },
        {"memo": "July"},
        "payments { account amount currency memo }",
    ),
    "CustomerPaymentJournal": (
        {
            "journal": "ARPay", "memo": "June",
            "payments": [{"account": r"US\-001", "amount": "-12.5", "currency": "USD", "memo": "2"}],
        },
        {"memo": "July"},
        "payments { account amount currency memo }",
    ),
    "Item": (
        {"number": "ZZ-1", "productNumber": "D0001", "salesPrice": "12.5", "type": "SERVICE"},
        {"salesPrice": "13"},
        "",
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
async def books(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("books")
    settings = Settings.model_validate({"cache_dir": None, "language": "none", "data_dir": folder})
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


def lists_of(values: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in values.items() if isinstance(v, list)}


@pytest.mark.parametrize("name", ROWS)
async def test_what_is_written_is_read_again(name: str, books: Gateway) -> None:
    values, patch, below = ROWS[name]
    plain, lists = {n: v for n, v in values.items() if n not in lists_of(values)}, lists_of(values)

    created = await create(books, name, values)
    id_ = created[SINGLE[name]]["id"]
    first = await read(books, name, id_, f"{' '.join(plain)} {below}")
    query = (
        f"mutation($id: ID!, $patch: Unified{name}Patch!) {{ updateUnified{name}(id: $id, patch: $patch)"
        " { userErrors { code message field } } }"
    )
    await write(books, query, id=id_, patch=patch)
    second = await read(books, name, id_, " ".join(patch))

    assert {n: first.pop(n) for n in plain} == shown(plain)
    for field, rows in lists.items():
        assert [
            {n: row[n] for n in own} for row, own in zip(first[field], rows, strict=True)
        ] == rows
    assert second == patch
    await delete(books, name, id_)


async def delete(books: Gateway, name: str, id_: str) -> None:
    """Delete an object by the mutation of its list, and see that it is gone."""
    one = SINGLE[name]
    lists = books.schema.unified.spec(name).list
    verb = f"deleteUnified{lists[:1].upper()}{lists[1:]}"
    query = (
        f"mutation($id: ID!) {{ {verb}(input: [{{ id: $id }}])"
        f" {{ results {{ {one} {{ id }} userErrors {{ message }} }} userErrors {{ message }} }} }}"
    )
    payload = await write(books, query, id=id_)
    assert payload["results"] == [{one: None, "userErrors": []}]
    data = await run(
        books, f"query($id: ID!) {{ accounting {{ {one}(id: $id) {{ id }} }} }}", id=id_
    )
    assert data["accounting"][one] is None


async def test_what_is_upserted_is_created_and_then_changed(books: Gateway) -> None:
    query = (
        "mutation($input: [UnifiedCustomerCreateInput!]!) { upsertUnifiedCustomers(input: $input)"
        " { results { customer { name status } userErrors { message } } userErrors { message } } }"
    )
    values = {"number": "ZZ-8", "name": "A", "group": "10", "currency": "USD", "status": "INACTIVE"}

    payloads = [await write(books, query, input=[{**values, "name": name}]) for name in ("A", "B")]

    assert [r["customer"] for p in payloads for r in p["results"]] == [
        {"name": "A", "status": "INACTIVE"},
        {"name": "B", "status": "INACTIVE"},
    ]


async def test_a_list_of_one_key_is_written_once(books: Gateway) -> None:
    query = (
        'mutation { createUnifiedPaymentTerms(idempotencyKey: "terms-1", input: [{ name: "Net98", days: 98 }])'
        " { results { created paymentTerm { days } userErrors { code } } userErrors { code } } }"
    )

    payloads = [await write(books, query) for _ in range(2)]

    row = {"created": True, "paymentTerm": {"days": 98}, "userErrors": []}
    assert [payload["results"] for payload in payloads] == [[row], [row]]


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


WRONG: Mapping[str, tuple[dict[str, Any], str]] = {
    "the whole value and a part": (
        {"account": "605120-001-022", "mainAccount": "605120"},
        "account and mainAccount are the same value of the row.",
    ),
    "an unknown tracking category": (
        {"account": "605120-001-022", "trackingCategories": [{"name": "Region", "value": "1"}]},
        "input.lines.0.trackingCategories.0: the environment has no dimension Region",
    ),
    "dimensions without an account": (
        {"dimensions": [{"name": "Department", "value": "022"}]},
        "input.lines.0.mainAccount is required.",
    ),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
async def test_parts_that_make_no_account_are_refused(
    books: Gateway, values: dict[str, Any], message: str
) -> None:
    query = (
        "mutation($input: UnifiedJournalEntryCreateInput!) { createUnifiedJournalEntry(input: $input)"
        " { userErrors { message } } }"
    )
    line = {"accountType": "LEDGER", "debit": "1", "currency": "USD", **values}
    request = GraphQLRequest(
        query=query,
        variables={"input": {"journal": "GenJrn", "lines": [line]}},
        companies=("usmf",),
    )

    (error,) = (await books.engine.execute(request)).to_builtins()["errors"]

    assert error["extensions"]["code"] == "BAD_ARGUMENT"
    assert error["message"].startswith(message)


async def test_a_refused_line_is_named_in_the_words_of_the_books(books: Gateway) -> None:
    query = (
        "mutation($input: UnifiedJournalEntryCreateInput!) { createUnifiedJournalEntry(input: $input)"
        " { journalEntry { id } userErrors { field path } } }"
    )
    lines = [JOURNAL[0], {**JOURNAL[0], "mainAccount": "999999"}]

    data = await run(books, query, input={"journal": "GenJrn", "lines": lines})

    payload = data["createUnifiedJournalEntry"]
    assert payload["journalEntry"] is None
    assert ["input", "lines", "1", "account"] in [error["path"] for error in payload["userErrors"]]
