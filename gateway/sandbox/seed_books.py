"""Books: posted ledger entries, balances, posted invoices, open transactions, customer payments, rates of taxes.

All of it follows from the documents of the other areas. So it is made when one of its sets is read first.
"""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import orjson

from .companies import Company
from .seed import TODAY, Seeds, day, money
from .seed_documents import LEDGER_FORMAT
from .seed_ledger import TAX_GROUPS, dimension

Rows = list[dict[str, Any]]
_STAMP = {"SysRecVersion": 1, "SysCreatedBy": "Admin", "CreatedOn": "2024-06-30T08:00:00Z"}
_CHANGED = {**_STAMP, "SysModifiedDateTime": "2024-06-30T08:00:00Z"}
_UNSET = "1900-01-01T12:00:00Z"
_YEAR = 5_637_146_000
_CATEGORIES = (
    ("CASH", "Cash", "Asset"),
    ("AR", "Accounts receivable", "Asset"),
    ("INV", "Inventory", "Asset"),
    ("AP", "Accounts payable", "Liability"),
    ("TAX", "Sales tax payable", "Liability"),
    ("EQ", "Equity", "Equity"),
    ("SALES", "Revenue", "Revenue"),
    ("COGS", "Cost of goods sold", "Expense"),
    ("SGA", "Selling, general & administrative", "Expense"),
)
_STRUCTURES = (
    ("Manufacturing B/S", "Balance sheet", (("100000..399999", "*", "*"),)),
    (
        "Manufacturing P&L",
        "Profit and loss",
        (
            ("400000..599999", "001..003", '""'),
            ("400000..599999", "001..003", "021..024"),
            ("600000..699999", "001..011", '""'),
            ("600000..699999", "001..011", "021..024"),
            ("600000..699999", '""', "021..024"),
            ("600000..699999", '""', '""'),
        ),
    ),
)
_RATES = {"CA": ("7.25",), "WA": ("6.5",), "NY": ("4", "4.875"), "INTL": ("19",)}
_PAYABLE = "200100-001-022"


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    _shared(seeds)
    for company in seeds.companies:
        _taxes(seeds, company)
        _entries(seeds, company)
        _vendor_invoices(seeds, company)
        _customer_transactions(seeds, company)
        _customer_payments(seeds, company)
        _free_text_invoices(seeds, company)
        _attachments(seeds, company)


def _shared(seeds: Seeds) -> None:
    seeds.add(
        "MainAccountCategories",
        [
            {
                "ReferenceId": number,
                "MainAccountCategory": category,
                "Description": text,
                "MainAccountType": kind,
                "DisplayOrder": number,
            }
            for number, (category, text, kind) in enumerate(_CATEGORIES, 1)
        ],
    )
    names = {
        f"SegmentName{number:02d}": name for number, name in enumerate(LEDGER_FORMAT.split("-"), 1)
    }
    for structure, text, constraints in _STRUCTURES:
        row = {"AccountStructureName": structure, "Status": "Active", "Description": text, **names}
        seeds.add("AccountStructures", [row])
        seeds.add(
            "AccountStructureConstraints",
            [
                {
                    "AccountStructure": structure,
                    "Status": "Active",
                    "Position": position,
                    "ActiveFrom": _UNSET,
                    "ActiveTo": _UNSET,
                    **{
                        f"SegmentCriteria{number:02d}": text
                        for number, text in enumerate(criteria, 1)
                    },
                }
                for position, criteria in enumerate(constraints, 1)
            ],
        )


def _taxes(seeds: Seeds, company: Company) -> None:
    area = {"dataAreaId": company.id}
    for group, text in (("ALL", "All items"), ("NONE", "Exempt items")):
        seeds.add("TaxItemGroupHeadings", [{**area, "TaxItemGroup": group, "Name": text}])
        seeds.add(
            "TaxItemGroups",
            [
                {
                    **area,
                    "TaxItemGroupCode": group,
                    "TaxCodeId": f"{code}ST",
                    "Description": text,
                    "ExemptTax": "Yes" if group == "NONE" else "No",
                }
                for code, _ in TAX_GROUPS
            ],
        )
    for code, _ in TAX_GROUPS:
        tax = {**area, "TaxCodeId": f"{code}ST"}
        seeds.add("TaxGroupDatas", [{**tax, "TaxGroupId": code}])
        rates = _RATES[code]
        # A code whose rate has changed has a value for each period.
        starts = [_UNSET, date(2023, 1, 1)][: len(rates)]
        ends = [date(2022, 12, 31), date(2154, 12, 31)][-len(rates) :]
        seeds.add(
            "TaxCodeValuesV2",
            [
                {**tax, "FromDate": start, "ToDate": end, "Value": Decimal(rate)}
                for rate, start, end in zip(rates, starts, ends, strict=True)
            ],
        )


def _entries(seeds: Seeds, company: Company) -> None:
    """Post the lines of posted journals, and sum them up as balances of accounts."""
    number = seeds.companies.index(company)
    ledger = seeds.made["Ledgers"][number]
    recids = {
        row["MainAccountId"]: row["MainAccountRecId"]
        for row in seeds.of("MainAccounts")
        if row["ChartOfAccounts"] == ledger["ChartOfAccounts"]
    }
    lines: dict[str, Rows] = {}
    for line in seeds.of("LedgerJournalLines", company):
        lines.setdefault(line["JournalBatchNumber"], []).append(line)
    record = 68_720_000_000 + number * 100_000_000
    balances: dict[str, tuple[Decimal, Decimal]] = {}
    for at, header in enumerate(seeds.of("LedgerJournalHeaders", company)):
        if header["IsPosted"] != "Yes":
            continue
        entry, own = record + at * 100, lines[header["JournalBatchNumber"]]
        seeds.add("GeneralJournalEntryBiEntities", [_entry(company, ledger, header, own, entry)])
        for step, line in enumerate(own, 1):
            row = _account_entry(line, entry, step, recids)
            seeds.add("GeneralJournalAccountEntryBiEntities", [row])
            account = row["LedgerAccount"]
            debit, credit = balances.get(account, (Decimal(), Decimal()))
            balances[account] = (debit + line["DebitAmount"], credit + line["CreditAmount"])
    seeds.add(
        "TrialBalanceFiscalYearSnapshots",
        [
            _balance(ledger, account, amounts, record + step)
            for step, (account, amounts) in enumerate(sorted(balances.items()))
        ],
    )


def _entry(
    company: Company, ledger: dict[str, Any], header: dict[str, Any], lines: Rows, record: int
) -> dict[str, Any]:
    posted: date = lines[0]["TransDate"]
    batch = header["JournalBatchNumber"]
    return {
        **_STAMP,
        "JournalNumber": f"{company.id.upper()}-{batch}",
        "FiscalCalendarYear": _YEAR + posted.year,
        "FiscalCalendarPeriod": 5_637_145_000 + posted.month,
        "Ledger": ledger["LedgerRecId"],
        "SourceKey": record,
        "SubledgerVoucher": lines[0]["Voucher"],
        "SubledgerVoucherDataAreaId": company.id,
        "LedgerPostingJournal": batch,
        "LedgerPostingJournalDataAreaId": company.id,
        "AccountingDate": posted,
        "DocumentDate": posted,
        "PostingLayer": header["PostingLayer"],
        "JournalCategory": "GeneralJournal",
    }


def _account_entry(
    line: dict[str, Any], entry: int, step: int, recids: dict[str, int]
) -> dict[str, Any]:
    account = line["AccountDisplayValue"] if line["AccountType"] == "Ledger" else _PAYABLE
    amount = line["DebitAmount"] - line["CreditAmount"]
    values = dict(zip(LEDGER_FORMAT.split("-"), account.split("-"), strict=True))
    return {
        "SysRecVersion": 1,
        "SourceKey": entry + step,
        "GeneralJournalEntry": entry,
        "MainAccount": recids[values["MainAccount"]],
        "LedgerAccount": account,
        "LedgerDimensionValuesJson": orjson.dumps(values).decode(),
        "AccountingCurrencyAmount": amount,
        "ReportingCurrencyAmount": amount,
        "TransactionCurrencyAmount": amount,
        "TransactionCurrencyCode": line["CurrencyCode"],
        "IsCredit": "Yes" if amount < 0 else "No",
        "PostingType": "LedgerJournal" if line["AccountType"] == "Ledger" else "VendBalance",
        "Text": line["Text"],
        "Quantity": line["Quantity"],
    }


def _balance(
    ledger: dict[str, Any], account: str, amounts: tuple[Decimal, Decimal], record: int
) -> dict[str, Any]:
    debit, credit = amounts
    return {
        "SnapshotHeader": record,
        "DimensionHierarchyId": 5_637_148_326,
        "FiscalCalendarYearRecId": _YEAR + TODAY.year,
        "LedgerRecId": ledger["LedgerRecId"],
        "LedgerName": ledger["Name"],
        "FocusDimensionHierarchy": "MA+BU+Dept",
        "YearName": str(TODAY.year),
        "PeriodName": f"Period {TODAY.month}",
        "PeriodType": "Operating",
        "PeriodStartDate": TODAY.replace(day=1),
        "PeriodEndDate": TODAY,
        "Status": "Complete",
        **{f"DimensionValue{n}": value for n, value in enumerate(account.split("-"), 1)},
        "AmountDebit": debit,
        "AmountCredit": credit,
        "ExternalTrackingId": uuid.uuid5(uuid.NAMESPACE_OID, f"{ledger['Name']}/{account}"),
    }


def _vendor_invoices(seeds: Seeds, company: Company) -> None:
    """Post an invoice for each invoiced order; two of three are paid."""
    base = 5_637_400_000 + seeds.companies.index(company) * 1_000_000
    totals: dict[str, Decimal] = {}
    for line in seeds.of("PurchaseOrderLinesV2", company):
        order_number = line["PurchaseOrderNumber"]
        totals[order_number] = totals.get(order_number, Decimal()) + line["LineAmount"]
    for number, order in enumerate(seeds.of("PurchaseOrderHeadersV2", company)):
        if order["PurchaseOrderStatus"] != "Invoiced":
            continue
        order_number, paid = order["PurchaseOrderNumber"], number % 3 != 0
        amount, posted = totals[order_number], order["AccountingDate"] + timedelta(days=14)
        area = {"dataAreaId": company.id, "SysDataAreaId": company.id, "SourceKey": base + number}
        invoice, voucher = f"PIV-{order_number}", f"APIV{order_number}"
        due = posted + timedelta(days=30)
        seeds.add(
            "VendInvoiceJourBiEntities",
            [
                {
                    **_CHANGED,
                    **area,
                    "InvoiceId": invoice,
                    "InternalInvoiceId": f"{company.id.upper()}-{number:06d}",
                    "InvoiceAccount": order["InvoiceVendorAccountNumber"],
                    "OrderAccount": order["OrderVendorAccountNumber"],
                    "PurchId": order_number,
                    "CurrencyCode": order["CurrencyCode"],
                    "LedgerVoucher": voucher,
                    "Payment": order["PaymentTermsName"],
                    "Description": f"Invoice for order {order_number}",
                    "InvoiceAmount": amount,
                    "InvoiceAmountMST": amount,
                    "SalesBalance": amount,
                    "ExchRate": 100,
                    "InvoiceDate": posted,
                    "DocumentDate": posted,
                    "DueDate": due,
                }
            ],
        )
        seeds.add(
            "VendTransBiEntities",
            [
                {
                    **_CHANGED,
                    **area,
                    "AccountNum": order["InvoiceVendorAccountNumber"],
                    "Invoice": invoice,
                    "Voucher": voucher,
                    "Txt": f"Invoice for order {order_number}",
                    "CurrencyCode": order["CurrencyCode"],
                    "TransType": "Purch",
                    "AmountCur": -amount,
                    "AmountMST": -amount,
                    "SettleAmountCur": -amount if paid else Decimal(),
                    "SettleAmountMST": -amount if paid else Decimal(),
                    "ExchRate": 100,
                    "TransDate": posted,
                    "DocumentDate": posted,
                    "DueDate": due,
                    "Closed": due if paid else _UNSET,
                    "LastSettleDate": due if paid else _UNSET,
                    "LastSettleVoucher": f"APP{order_number}" if paid else "",
                    "Approved": "Yes",
                }
            ],
        )


def _customer_transactions(seeds: Seeds, company: Company) -> None:
    """Make a transaction for each posted sales invoice; one of three is still open."""
    base = 5_637_500_000 + seeds.companies.index(company) * 1_000_000
    for number, invoice in enumerate(seeds.of("SalesInvoiceHeadersV2", company)):
        paid = number % 3 != 0
        amount, posted = invoice["TotalInvoiceAmount"], invoice["InvoiceDate"]
        due = posted + timedelta(days=30)
        common = {
            "dataAreaId": company.id,
            "SysDataAreaId": company.id,
            "AccountNum": invoice["InvoiceCustomerAccountNumber"],
            "TransDate": posted,
            "DueDate": due,
            "AmountCur": amount,
            "AmountMST": amount,
        }
        seeds.add(
            "CustTransactions",
            [
                {
                    **common,
                    "SysRecId": base + number,
                    "OrderAccount": invoice["InvoiceCustomerAccountNumber"],
                    "Invoice": invoice["InvoiceNumber"],
                    "Voucher": invoice["LedgerVoucher"],
                    "Txt": f"Sales order {invoice['SalesOrderNumber']}",
                    "CurrencyCode": invoice["CurrencyCode"],
                    "PaymTermId": invoice["PaymentTermsName"],
                    "TransType": "Sales",
                    "SettleAmountCur": amount if paid else Decimal(),
                    "SettleAmountMST": amount if paid else Decimal(),
                    "ExchRate": 100,
                    "DocumentDate": posted,
                    "Closed": due if paid else _UNSET,
                    "Approved": "Yes",
                }
            ],
        )
        if not paid:
            open_part = {"SysRecId": base + 500_000 + number, "RefRecId": base + number}
            seeds.add("CustTransOpens", [{**common, **open_part}])


def _customer_payments(seeds: Seeds, company: Company) -> None:
    """Receive payments for the invoices that are settled, three to a journal."""
    paid = [
        row
        for number, row in enumerate(seeds.of("SalesInvoiceHeadersV2", company))
        if number % 3 != 0
    ]
    names = {
        row["CustomerAccount"]: row["OrganizationName"] for row in seeds.of("CustomersV3", company)
    }
    for number, start in enumerate(range(0, len(paid), 3), 1):
        batch = f"{80_000 + number:05d}"
        seeds.add(
            "CustomerPaymentJournalHeaders",
            [
                {
                    "dataAreaId": company.id,
                    "JournalBatchNumber": batch,
                    "JournalName": "ARPay",
                    "Description": f"Customer payments {number}",
                    "IsPosted": "Yes" if number % 2 else "No",
                }
            ],
        )
        seeds.add(
            "CustomerPaymentJournalLines",
            [
                _customer_payment(company, batch, at, invoice, names)
                for at, invoice in enumerate(paid[start : start + 3], 1)
            ],
        )


def _customer_payment(
    company: Company, batch: str, at: int, invoice: dict[str, Any], names: dict[str, str]
) -> dict[str, Any]:
    customer = invoice["InvoiceCustomerAccountNumber"]
    return {
        "dataAreaId": company.id,
        "JournalBatchNumber": batch,
        "LineNumber": at,
        "Voucher": f"ARP{batch}{at}",
        "AccountType": "Cust",
        "AccountDisplayValue": customer.replace("\\", "\\\\").replace("-", "\\-"),
        "CustomerName": names.get(customer, ""),
        "OffsetAccountType": "Bank",
        "OffsetAccountDisplayValue": f"{company.id.upper()} OPER",
        "PaymentMethodName": "ELECTRONIC",
        "PaymentReference": f"REF{batch}{at}",
        "CreditAmount": invoice["TotalInvoiceAmount"],
        "CurrencyCode": invoice["CurrencyCode"],
        "ExchangeRate": 100,
        "TransactionDate": invoice["InvoiceDate"] + timedelta(days=30),
        "MarkedInvoice": invoice["InvoiceNumber"],
        "MarkedInvoiceCompany": company.id,
        "Company": company.id,
        "OffsetCompany": company.id,
        "TransactionText": f"Payment of {invoice['InvoiceNumber']}",
        "SettleVoucher": "SelectedTransact",
    }


def _free_text_invoices(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"free text/{company.id}")
    customers = seeds.of("CustomersV3", company)
    base = 5_637_600_000 + seeds.companies.index(company) * 1_000_000
    for number in range(1, seeds.many(12, company) + 1 if customers else 1):
        customer, at, record = customers[number % len(customers)], day(draw, 200), base + number
        posted = number % 2 == 0
        seeds.add(
            "FreeTextInvoiceHeaders",
            [
                {
                    "dataAreaId": company.id,
                    "InvoiceIdentifier": record,
                    "FreeTextNumber": f"FTI-{number:06d}" if posted else "",
                    "InvoiceName": customer["OrganizationName"],
                    "CustomerAccount": customer["CustomerAccount"],
                    "InvoiceAccount": customer["CustomerAccount"],
                    "CustomerGroup": customer["CustomerGroupId"],
                    "CurrencyCode": company.currency,
                    "TermsOfPayment": "Net30",
                    "InvoiceDate": at,
                    "DueDate": at + timedelta(days=30),
                    "DocumentDate": at,
                    "DefaultDimensionDisplayValue": dimension(number),
                    "IsPosted": "Yes" if posted else "No",
                }
            ],
        )
        seeds.add(
            "FreeTextInvoiceLines",
            [
                _free_text_line(company, record, line, money(draw, 10, 900))
                for line in range(1, draw.randrange(2, 5))
            ],
        )


def _free_text_line(company: Company, record: int, line: int, price: Decimal) -> dict[str, Any]:
    return {
        "dataAreaId": company.id,
        "ParentRecId": record,
        "LineNumber": line,
        "Description": f"Service {line}",
        "InvoiceText": f"Service {line}, as agreed",
        "Quantity": line,
        "UnitPrice": price,
        "TransactionCurrencyAmount": price * line,
        "CurrencyCode": company.currency,
        "MainAccountDisplayValue": "401200-001-022",
        "DefaultDimensionDisplayValue": dimension(line),
        "SalesTaxGroupId": TAX_GROUPS[line % len(TAX_GROUPS)][0],
        "SalesTaxItemGroupId": "ALL",
    }


def _attachments(seeds: Seeds, company: Company) -> None:
    """Attach its document to each fourth pending vendor invoice."""
    for number, invoice in enumerate(seeds.of("VendorInvoiceHeaders", company)):
        if number % 4 == 0:
            name = f"invoice-{invoice['HeaderReference']}"
            attachment = {
                "dataAreaId": company.id,
                "HeaderReference": invoice["HeaderReference"],
                "Name": invoice["InvoiceNumber"],
                "FileName": name,
                "FileType": "pdf",
                "TypeId": "File",
                "Notes": "",
                "DefaultAttachment": "Yes",
                "Restriction": "Internal",
                "FileContents": f"%PDF-1.7\n% {name} of {company.name}\n".encode(),
            }
            seeds.add("VendorInvoiceDocumentAttachments", [attachment])
