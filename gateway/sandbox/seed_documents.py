"""Receipts, invoices and payments, which follow from orders, and the tables that belong to them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from .companies import Company
from .seed import Seeds, day
from .seed_ledger import TAX_GROUPS

LEDGER_FORMAT = "MainAccount-BusinessUnit-Department"
"""Segments of a ledger account's display value."""
_DEFAULT_FORMAT = "BusinessUnit-CostCenter-Department-Project"
_BI = {"SysRecVersion": 1, "SysModifiedBy": "Admin", "SysModifiedDateTime": "2024-06-30T08:00:00Z"}
Rows = list[dict[str, Any]]


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    _formats(seeds)
    for company in seeds.companies:
        _tax_codes(seeds, company)
        _receipts(seeds, company)
        _sales_invoices(seeds, company)
        _payments(seeds, company)
        _tables(seeds, company)


def _formats(seeds: Seeds) -> None:
    seeds.add("DimensionParameters", [{"Key": 0, "DimensionSegmentDelimiter": "Hyphen"}])
    formats = (
        ("Ledger", "DataEntityLedgerDimensionFormat", LEDGER_FORMAT),
        ("Default", "DataEntityDefaultDimensionFormat", _DEFAULT_FORMAT),
    )
    seeds.add(
        "DimensionIntegrationFormats",
        [
            {
                "DimensionFormatName": name,
                "DimensionFormatType": kind,
                "FinancialDimensionFormat": text,
                "IsActive": "Yes",
            }
            for name, kind, text in formats
        ],
    )


def _tax_codes(seeds: Seeds, company: Company) -> None:
    seeds.add(
        "TaxCodes",
        [
            {
                "dataAreaId": company.id,
                "TaxCode": f"{code}ST",
                "TaxName": f"{name} sales tax",
                "TaxCurrencyCodeId": company.currency,
                "TaxPeriodId": "Monthly",
                "TaxPostingGroupId": "Sales",
                "TaxRoundOff": Decimal("0.01"),
                "TaxCalculationMethod": "FullAmounts",
                "TaxCountryRegionType": "ThirdCountryRegion" if code == "INTL" else "Domestic",
            }
            for code, name in TAX_GROUPS
        ],
    )


def _grouped(rows: Rows, name: str) -> dict[str, Rows]:
    groups: dict[str, Rows] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def _receipts(seeds: Seeds, company: Company) -> None:
    """Receive the lines of received and invoiced orders; each seventh order came short, for three-way matching."""
    lines = _grouped(seeds.of("PurchaseOrderLinesV2", company), "PurchaseOrderNumber")
    record = 5_637_200_000 + seeds.companies.index(company) * 1_000_000
    for number, order in enumerate(seeds.of("PurchaseOrderHeadersV2", company), 1):
        if order["PurchaseOrderStatus"] not in ("Received", "Invoiced"):
            continue
        header, receipt = record + number * 100, f"PR-{order['PurchaseOrderNumber']}"
        common = {
            "dataAreaId": company.id,
            "ProductReceiptNumber": receipt,
            "PurchaseOrderNumber": order["PurchaseOrderNumber"],
            "ProductReceiptDate": order["AccountingDate"] + timedelta(days=10),
        }
        seeds.add(
            "ProductReceiptHeaders",
            [
                {
                    **common,
                    "RecordId": header,
                    "OrderVendorAccountNumber": order["OrderVendorAccountNumber"],
                    "RequesterPersonnelNumber": order["OrdererPersonnelNumber"],
                    "DeliveryAddressCity": company.city,
                    "DeliveryAddressCountryRegionId": company.country,
                }
            ],
        )
        own = lines[order["PurchaseOrderNumber"]]
        received = [_received(line, short=number % 7 == 0) for line in own]
        seeds.add(
            "ProductReceiptLinesV2",
            [
                {
                    **common,
                    **row,
                    "RecordId": header + at,
                    "LineNumber": at,
                    "ProductReceiptHeaderRecordId": header,
                }
                for at, row in enumerate(received, 1)
            ],
        )


def _received(line: dict[str, Any], *, short: bool) -> dict[str, Any]:
    ordered = line["OrderedPurchaseQuantity"]
    received = ordered - 1 if short and ordered > 1 else ordered
    return {
        "PurchaseOrderLineNumber": line["LineNumber"],
        "ItemNumber": line["ItemNumber"],
        "ProductNumber": line["ItemNumber"],
        "LineDescription": line["LineDescription"],
        "PurchaseUnitSymbol": line["PurchaseUnitSymbol"],
        "ReceivingSiteId": line["ReceivingSiteId"],
        "ReceivingWarehouseId": line["ReceivingWarehouseId"],
        "OrderedPurchaseQuantity": ordered,
        "ReceivedPurchaseQuantity": received,
        "ReceivedInventoryQuantity": received,
        "RemainingPurchaseQuantity": ordered - received,
        "RemainingInventoryQuantity": ordered - received,
    }


def _sales_invoices(seeds: Seeds, company: Company) -> None:
    lines = _grouped(seeds.of("SalesOrderLines", company), "SalesOrderNumber")
    for order in seeds.of("SalesOrderHeadersV2", company):
        if order["SalesOrderStatus"] != "Invoiced":
            continue
        own = lines[order["SalesOrderNumber"]]
        total = sum((line["LineAmount"] for line in own), Decimal())
        common = {
            "dataAreaId": company.id,
            "InvoiceNumber": f"CIV-{order['SalesOrderNumber']}",
            "InvoiceDate": order["ConfirmedShippingDate"],
            "LedgerVoucher": f"ARIV{order['SalesOrderNumber']}",
            "CurrencyCode": order["CurrencyCode"],
        }
        seeds.add(
            "SalesInvoiceHeadersV2",
            [
                {
                    **common,
                    "SalesOrderNumber": order["SalesOrderNumber"],
                    "InvoiceCustomerAccountNumber": order["InvoiceCustomerAccountNumber"],
                    "PaymentTermsName": order["PaymentTermsName"],
                    "DeliveryTermsCode": order["DeliveryTermsCode"],
                    "CustomersOrderReference": order["CustomersOrderReference"],
                    "InvoiceAddressCity": order["DeliveryAddressCity"],
                    "InvoiceAddressCountryRegionId": order["DeliveryAddressCountryRegionId"],
                    "TotalInvoiceAmount": total,
                    "TotalTaxAmount": (total / 10).quantize(Decimal("0.01")),
                }
            ],
        )
        seeds.add(
            "SalesInvoiceV2Lines",
            [
                {
                    **common,
                    "LineCreationSequenceNumber": line["LineCreationSequenceNumber"],
                    "ProductNumber": line["ItemNumber"],
                    "ProductName": line["LineDescription"],
                    "InventorySiteId": line["ShippingSiteId"],
                    "InventoryWarehouseId": line["ShippingWarehouseId"],
                    "SalesUnitSymbol": line["SalesUnitSymbol"],
                    "InvoicedQuantity": line["OrderedSalesQuantity"],
                    "SalesPrice": line["SalesPrice"],
                    "LineAmount": line["LineAmount"],
                }
                for line in own
            ],
        )


def _payments(seeds: Seeds, company: Company) -> None:
    """Pay the approved vendor invoices, three to a journal."""
    approved = [
        row for row in seeds.of("VendorInvoiceHeaders", company) if row["IsApproved"] == "Yes"
    ]
    draw = seeds.draw(f"payments/{company.id}")
    for number, start in enumerate(range(0, len(approved), 3), 1):
        batch = f"{90_000 + number:05d}"
        seeds.add(
            "VendorPaymentJournalHeaders",
            [
                {
                    "dataAreaId": company.id,
                    "JournalBatchNumber": batch,
                    "JournalName": "APPay",
                    "Description": f"Vendor payments {number}",
                    "IsPosted": "Yes" if number % 2 else "No",
                }
            ],
        )
        seeds.add(
            "VendorPaymentJournalLines",
            [
                _payment(company, batch, at, invoice) | {"TransactionDate": day(draw, 60)}
                for at, invoice in enumerate(approved[start : start + 3], 1)
            ],
        )


def _payment(company: Company, batch: str, at: int, invoice: dict[str, Any]) -> dict[str, Any]:
    vendor = invoice["InvoiceAccount"] or invoice["VendorAccount"]
    return {
        "dataAreaId": company.id,
        "JournalBatchNumber": batch,
        "LineNumber": at,
        "Voucher": f"APP{batch}{at}",
        "AccountType": "Vend",
        "AccountDisplayValue": vendor.replace("\\", "\\\\").replace("-", "\\-"),
        "VendorName": invoice["VendorName"],
        "OffsetAccountType": "Bank",
        "OffsetAccountDisplayValue": f"{company.id.upper()} OPER",
        "PaymentMethodName": "CHECK",
        "DebitAmount": invoice["ImportedAmount"],
        "CurrencyCode": invoice["Currency"],
        "ExchangeRate": 100,
        "MarkedInvoice": invoice["InvoiceNumber"],
        "MarkedInvoiceCompany": company.id,
        "Company": company.id,
        "OffsetCompany": company.id,
        "TransactionText": f"Payment of {invoice['InvoiceNumber']}",
    }


def _tables(seeds: Seeds, company: Company) -> None:
    """Make the rows of customers and vendors as their tables have them."""
    base = 5_637_300_000 + seeds.companies.index(company) * 100_000
    seeds.add(
        "CustTableBiEntities",
        [
            {
                **_BI,
                "dataAreaId": company.id,
                "SysDataAreaId": company.id,
                "AccountNum": row["CustomerAccount"],
                "CustGroup": row["CustomerGroupId"],
                "Currency": row["SalesCurrencyCode"],
                "PaymTermId": row["PaymentTerms"],
                "PaymMode": row["PaymentMethod"],
                "DlvTerm": row["DeliveryTerms"],
                "InventSiteId": row["SiteId"],
                "InventLocation": row["WarehouseId"],
                "TaxGroup": row["SalesTaxGroup"],
                "CreditMax": row["CreditLimit"],
                "Blocked": row["OnHoldStatus"],
                "SourceKey": base + number,
                "Party": base + 50_000 + number,
            }
            for number, row in enumerate(seeds.of("CustomersV3", company))
        ],
    )
    seeds.add(
        "VendTableBiEntities",
        [
            {
                **_BI,
                "dataAreaId": company.id,
                "SysDataAreaId": company.id,
                "AccountNum": row["VendorAccountNumber"],
                "VendGroup": row["VendorGroupId"],
                "Currency": row["CurrencyCode"],
                "PaymTermId": row["DefaultPaymentTermsName"],
                "PaymMode": row["DefaultVendorPaymentMethodName"],
                "TaxGroup": row["SalesTaxGroupCode"],
                "CreditMax": row["CreditLimit"],
                "Blocked": row["OnHoldStatus"],
                "SourceKey": base + 20_000 + number,
                "Party": base + 70_000 + number,
            }
            for number, row in enumerate(seeds.of("VendorsV2", company))
        ],
    )
