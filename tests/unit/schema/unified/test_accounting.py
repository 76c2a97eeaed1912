"""The books over the sandbox's metadata: every field that unified APIs know is mapped, or marked as absent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.operations.view_values import difference, sum_of
from gateway.runtime.assembly import Gateway
from schema.unified.convert import account_number
from schema.unified.views import ViewKind
from schema.why.reads import reasons

MAPPED = {
    "Account.id, number, name": "Account id number name chartOfAccounts",
    "Account.classification, type": "Account classification type use",
    "Account.status": "Account status activeFrom activeTo blocksManualEntry",
    "Account.currency, parent": "Account currency parentNumber parent",
    "Account balances": "AccountBalance openingBalance debit credit netChange value1",
    "Account entries": "Account entries",
    "TrackingCategory.id, name": "TrackingCategory id name valuesFrom",
    "TrackingCategory.options": "TrackingCategory options",
    "TrackingOption": "TrackingOption value name status activeFrom activeTo parentValue company category",
    "which account goes with which dimension": "AccountStructure name segment1 segment2 rules",
    "JournalEntry.id, number, memo": "JournalEntry id number memo journal reference",
    "JournalEntry.posting_status, company": "JournalEntry postingStatus companyCode company",
    "JournalEntry lines": "JournalEntry lines",
    "line.transaction_date, currency, exchange_rate": "JournalLine transactionDate currency exchangeRate",
    "line.account, tracking_categories": "JournalLine accountType account mainAccount dimensions "
    "trackingCategories",
    "line.net_amount": "JournalLine debit credit netAmount",
    "line.contact, description, tax": "JournalLine accountType contactNumber accountNumber description "
    "taxGroup itemTaxGroup",
    "posted GL": "LedgerEntry number voucher date companyCode lines",
    "posted GL lines": "LedgerEntryLine account netAmount dimensions accountWithDimensions",
    "vendor": "Vendor number name email phone addresses taxNumber currency paymentTerm status updatedAt",
    "customer": "Customer number name email phone addresses taxNumber currency paymentTerm status updatedAt",
    "Item": "Item number name salesPrice purchasePrice unitCost salesUnit type salesTaxGroup purchaseTaxGroup",
    "PurchaseOrder": "PurchaseOrder number vendorNumber currency status approvalStatus date deliveryDate",
    "PurchaseOrder.total_amount": "PurchaseOrder totalAmount deliveryAddress",
    "PurchaseOrder line": "PurchaseOrderLine number itemNumber description quantity unitPrice amount account "
    "trackingCategories taxGroup",
    "receipt": "Receipt number orderNumber lines",
    "receipt line": "ReceiptLine orderNumber orderLineNumber receivedQuantity remainingQuantity",
    "Invoice AP": "Bill number vendorNumber date dueDate currency orderNumber isApproved isOnHold reviewStatus",
    "Invoice AP total": "Bill totalAmount importedAmount attachments",
    "Invoice AP line": "BillLine quantity unitPrice amount orderNumber orderLineNumber",
    "Invoice AP posted": "PostedBill number vendorNumber totalAmount taxAmount settledAmount dueDate",
    "CreditLimit": "Customer creditLimit",
    "Invoice AR": "Invoice number customerNumber totalAmount taxAmount lines openAmount settledAmount",
    "Invoice AR without order": "FreeTextInvoice number customerNumber totalAmount lines postingStatus",
    "open": "OpenItem customerNumber invoiceNumber amount dueDate",
    "Payment to vendors": "VendorPayment vendorNumber amount invoiceNumber method date postingStatus",
    "Payment of customers": "CustomerPayment customerNumber amount invoiceNumber method date postingStatus",
    "TaxRate": "TaxRate code name rates periods taxGroups itemTaxGroups",
    "TaxGroup": "TaxGroup code name taxCodes",
    "CompanyInfo": "Company code name taxNumber addresses currency",
    "ExchangeRate": "ExchangeRate type from to startDate rate units",
    "PaymentTerm": "PaymentTerm name description days months",
    "Attachment": "Attachment name fileName fileType content downloadPath billReference",
}
ABSENT = {
    "Account.currentBalance",
    "TrackingCategory.status",
    "JournalEntry.transactionDate",
    "JournalEntry.exchangeRate",
    "JournalEntry.createdAt",
    "JournalEntry.updatedAt",
    "Item.status",
    "TaxRate.status",
}


@pytest.mark.parametrize("text", MAPPED.values(), ids=MAPPED)
def test_a_field_of_the_books_is_mapped(text: str, assembled: Gateway) -> None:
    short, *names = text.split()
    fields = assembled.schema.unified.type(short).fields

    assert [name for name in names if name not in fields or fields[name].missing] == []


def test_what_is_not_to_be_had_is_marked(assembled: Gateway) -> None:
    """Nothing else of the books is missing in the sandbox."""
    unified = assembled.schema.unified
    (model,) = (m for m in unified.models if m.namespace == "accounting")
    missing = {
        f"{short}.{name}": field.description
        for short in model.types
        for name, field in unified.type(short).fields.items()
        if field.missing
    }

    assert missing.keys() == ABSENT
    assert all("Not available here: " in text for text in missing.values())


NOT_FILTERED = {
    "of several columns": "Company.name Item.name",
    "of two amounts": "AccountBalance.netChange JournalEntry.difference JournalLine.netAmount VendorPayment.amount "
    "CustomerPayment.amount",
    "of the rows of a list": "LedgerEntry.total PurchaseOrder.totalAmount PurchaseOrderLine.receivedQuantity "
    "Bill.totalAmount PostedBill.settledAmount Invoice.openAmount FreeTextInvoice.totalAmount TaxRate.rates "
    "TaxRate.taxGroups TaxRate.itemTaxGroups TaxGroup.taxCodes",
    "converted": "Company.language JournalLine.accountNumber VendorPayment.vendorNumber "
    "CustomerPayment.customerNumber",
    "of rows that the service cannot filter through": "Company.currency Company.reportingCurrency "
    "Company.chartOfAccounts Company.fiscalCalendar Vendor.updatedAt Customer.updatedAt Invoice.dueDate "
    "Invoice.settledAmount",
    "files": "Attachment.content",
}
"""Values of listed objects that ``where`` does not have, by the reason."""


def test_all_other_values_can_be_filtered_by(assembled: Gateway) -> None:
    unified = assembled.schema.unified
    (model,) = (m for m in unified.models if m.namespace == "accounting")
    plain = (ViewKind.VALUE, ViewKind.HIGHEST)
    without = {
        f"{short}.{name}"
        for short, spec in model.types.items()
        for name, field in unified.type(short).fields.items()
        if spec.list and field.kind in plain and field.filter is None
    }

    assert without == {name for names in NOT_FILTERED.values() for name in names.split()}


def test_schema_why_tells_what_an_amount_is_made_of(assembled: Gateway) -> None:
    name = "UnifiedJournalLine.netAmount"
    details = reasons(assembled.catalog, name, unified=assembled.schema.unified).details

    assert ("from", "LedgerJournalLines.DebitAmount") in details
    assert ("less", "LedgerJournalLines.CreditAmount") in details


def test_schema_why_tells_of_what_a_sum_is(assembled: Gateway) -> None:
    name = "UnifiedPurchaseOrder.totalAmount"
    details = reasons(assembled.catalog, name, unified=assembled.schema.unified).details

    assert [text for heading, text in details if heading == "sum of" and "LineAmount" in text]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("10.50", "0", Decimal("10.50")),
        (Decimal(1), Decimal("2.25"), Decimal("-1.25")),
        (None, "3", Decimal(-3)),
        (None, None, None),
    ],
)
def test_one_amount_less_another(one: object, other: object, expected: Decimal | None) -> None:
    assert difference(one, other) == expected


def test_a_sum_is_exact() -> None:
    assert sum_of(["0.1", Decimal("0.2"), None]) == Decimal("0.3")
    assert sum_of([]) == 0


@pytest.mark.parametrize(
    ("text", "number"), [(r"US\-009", "US-009"), ("USMF OPER", "USMF OPER"), (r"A\\B", r"A\B")]
)
def test_an_account_number_has_no_escapes(text: str, number: str) -> None:
    assert account_number(text) == number
