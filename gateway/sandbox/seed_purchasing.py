"""Vendors, purchase orders and pending vendor invoices."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

from .companies import Company
from .seed import Seeds, day
from .seed_ledger import METHODS, TAX_GROUPS, TERMS, dimension
from .seed_names import CITIES, PLACES, STREETS, TRADES

GROUPS = (
    ("10", "Parts vendors"),
    ("20", "Services vendors"),
    ("30", "Other vendors"),
    ("40", "Tax authorities"),
)


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    for company in seeds.companies:
        _vendors(seeds, company)
        _orders(seeds, company)
        _invoices(seeds, company)


def _vendors(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"vendors/{company.id}")
    area = {"dataAreaId": company.id}
    seeds.add(
        "VendorGroups",
        [
            {
                **area,
                "VendorGroupId": group,
                "Description": text,
                "DefaultPaymentTermName": "Net30",
                "DefaultTaxGroupCode": "WA",
                "ClearingPeriodPaymentTermName": "Net10" if group == "10" else "",
                "IsExcludedFromSearchResults": "No",
            }
            for group, text in GROUPS
        ],
    )
    plain = [
        (f"{number:03d}", f"{PLACES[number * 3 % 20]} {TRADES[number % 12]} Inc.")
        for number in range(1, seeds.many(60, company) + 1)
    ]
    for number, (suffix, name) in enumerate([*plain, *seeds.awkward(8)]):
        city = draw.choice(CITIES[company.country])
        seeds.add(
            "VendorsV2",
            [
                {
                    **area,
                    "VendorAccountNumber": f"{company.prefix}-{suffix}",
                    "VendorOrganizationName": name,
                    "VendorSearchName": name[:20],
                    "VendorPartyType": "Organization",
                    "VendorPartyNumber": f"{20_000 + number:09d}",
                    "VendorGroupId": GROUPS[number % 4][0],
                    "CurrencyCode": company.currency if number % 7 else "GBP",
                    "InvoiceVendorAccountNumber": "",
                    "DefaultPaymentTermsName": TERMS[number % 5][0],
                    "DefaultVendorPaymentMethodName": METHODS[number % 4],
                    "OnHoldStatus": "All" if number % 19 == 18 else "No",
                    "VendorHoldReleaseDate": "1900-01-01T12:00:00Z",
                    "CreditLimit": number * 1_000,
                    "SalesTaxGroupCode": TAX_GROUPS[number % 4][0],
                    "LanguageId": company.language,
                    "AddressCity": city,
                    "AddressStreet": f"{number} {draw.choice(STREETS)}",
                    "AddressCountryRegionId": company.country,
                    "AddressTimeZone": None,
                    "PrimaryEmailAddress": f"vendor{number}@example.com",
                    "DefaultLedgerDimensionDisplayValue": dimension(number),
                    "IsOneTimeVendor": "Yes" if number % 30 == 29 else "No",
                    "DefaultOffsetLedgerAccountDisplayValue": "606300-001-022"
                    if number % 3 == 0
                    else "",
                }
            ],
        )


def _orders(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"purchases/{company.id}")
    vendors = seeds.of("VendorsV2", company)
    items = seeds.of("ReleasedProductsV2", company)
    statuses = ("Backorder", "Received", "Invoiced", "Canceled")
    for number in range(1, seeds.many(120, company) + 1):
        vendor = draw.choice(vendors)
        order = f"{number:08d}"
        placed = day(draw)
        status = statuses[number % 9 // 2 % 4]
        seeds.add(
            "PurchaseOrderHeadersV2",
            [
                {
                    "dataAreaId": company.id,
                    "PurchaseOrderNumber": order,
                    "PurchaseOrderName": vendor["VendorOrganizationName"],
                    "OrderVendorAccountNumber": vendor["VendorAccountNumber"],
                    "InvoiceVendorAccountNumber": vendor["VendorAccountNumber"],
                    "CurrencyCode": vendor["CurrencyCode"],
                    "PurchaseOrderStatus": status,
                    "AccountingDate": placed,
                    "DocumentApprovalStatus": "Confirmed" if status != "Backorder" else "Approved",
                    "LanguageId": company.language,
                    "RequestedDeliveryDate": placed + timedelta(days=14),
                    "PaymentTermsName": vendor["DefaultPaymentTermsName"],
                    "VendorPaymentMethodName": vendor["DefaultVendorPaymentMethodName"],
                    "DefaultReceivingSiteId": "1",
                    "DefaultReceivingWarehouseId": "11",
                    "OrdererPersonnelNumber": f"{number % 40 + 1:06d}",
                    "DeliveryAddressTimeZone": None,
                    "DefaultLedgerDimensionDisplayValue": vendor[
                        "DefaultLedgerDimensionDisplayValue"
                    ],
                    "VendorOrderReference": f"REF {number}/*" if number % 20 == 0 else "",
                }
            ],
        )
        seeds.add(
            "PurchaseOrderLinesV2",
            [
                _line(
                    company,
                    order,
                    line,
                    draw.choice(items),
                    Decimal(draw.randrange(1, 200)),
                    status,
                )
                for line in range(1, draw.randrange(2, 6))
            ],
        )


def _line(
    company: Company, order: str, line: int, item: dict[str, Any], quantity: Decimal, status: str
) -> dict[str, Any]:
    return {
        "dataAreaId": company.id,
        "PurchaseOrderNumber": order,
        "LineNumber": line,
        "ItemNumber": item["ItemNumber"],
        "LineDescription": item["SearchName"],
        "OrderedPurchaseQuantity": quantity,
        "PurchaseUnitSymbol": "ea",
        "PurchasePrice": item["PurchasePrice"],
        "PurchasePriceQuantity": 1,
        "LineAmount": quantity * item["PurchasePrice"],
        "PurchaseOrderLineStatus": status,
        "ReceivingSiteId": "1",
        "ReceivingWarehouseId": "11",
        "IsDeleted": "No",
        "InventoryLotId": f"P{order[2:]}{line:02d}",
        "DefaultLedgerDimensionDisplayValue": dimension(line),
        "MainAccountIdDisplayValue": "140200-001-022",
        "SalesTaxGroupCode": TAX_GROUPS[line % 4][0],
    }


def _invoices(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"invoices/{company.id}")
    orders = {
        order["PurchaseOrderNumber"]: order for order in seeds.of("PurchaseOrderHeadersV2", company)
    }
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in seeds.of("PurchaseOrderLinesV2", company):
        lines.setdefault(line["PurchaseOrderNumber"], []).append(line)
    for number, (order_number, order) in enumerate(
        list(orders.items())[: seeds.many(50, company)], 1
    ):
        at = day(draw, 90)
        reference = str(5_637_144_000 + number)
        seeds.add(
            "VendorInvoiceHeaders",
            [
                {
                    "dataAreaId": company.id,
                    "HeaderReference": reference,
                    "InvoiceNumber": f"INV-{number}/{at.year}",
                    "InvoiceAccount": order["InvoiceVendorAccountNumber"],
                    "VendorAccount": order["OrderVendorAccountNumber"],
                    "VendorName": order["PurchaseOrderName"],
                    "InvoiceDate": at,
                    "Date": at,
                    "DueDate": at + timedelta(days=30),
                    "Currency": order["CurrencyCode"],
                    "ExchangeRate": 100,
                    "PurchaseOrderNumber": order_number,
                    "InvoiceDescription": f"Invoice for order {order_number}",
                    "TermsOfPayment": order["PaymentTermsName"],
                    "ImportedAmount": sum(
                        (row["LineAmount"] for row in lines[order_number]), Decimal()
                    ),
                    "IsApproved": "Yes" if number % 3 else "No",
                    "VendorInvoiceReviewStatus": "Draft",
                    "Recalculation": number % 2 == 0,
                    "DimensionDisplayValue": dimension(number),
                    "BusinessDocumentSubmissionId_W": uuid.uuid5(uuid.NAMESPACE_OID, reference),
                    "InvoiceReceivedDate": "1900-01-01T12:00:00Z",
                }
            ],
        )
        seeds.add(
            "VendorInvoiceLines",
            [
                {
                    "dataAreaId": company.id,
                    "HeaderReference": reference,
                    "InvoiceLineNumber": row["LineNumber"],
                    "InvoiceAccount": order["InvoiceVendorAccountNumber"],
                    "ItemNumber": row["ItemNumber"],
                    "ItemName": row["LineDescription"],
                    "ReceiveNow": row["OrderedPurchaseQuantity"],
                    "Unit": "ea",
                    "PriceUnit": 1,
                    "AdjustedUnitPrice": row["PurchasePrice"],
                    "Amount": row["LineAmount"],
                    "NetAmount": row["LineAmount"],
                    "PurchaseOrder": order_number,
                    "PurchLineNumber": row["LineNumber"],
                    "LineType": "Standard",
                    "Currency": order["CurrencyCode"],
                    "MainAccountDisplayValue": "140200-001-022",
                    "DimensionDisplayValue": dimension(number),
                }
                for row in lines[order_number]
            ],
        )
