"""Customers, their addresses, and sales orders with lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from .companies import Company
from .seed import Seeds, day
from .seed_ledger import METHODS, TAX_GROUPS, TERMS, dimension
from .seed_names import CITIES, PLACES, STREETS, TRADES
from .values import MAX_MOMENT

GROUPS = (
    ("10", "Wholesale customers"),
    ("20", "Major customers"),
    ("30", "Retail customers"),
    ("40", "Internet customers"),
    ("80", "Other customers"),
)
_DELIVERY = (
    ("CIF", "Cost, insurance, freight"),
    ("EXW", "Ex works"),
    ("FOB", "Free on board"),
    ("DDP", "Delivered, duty paid"),
)


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    for company in seeds.companies:
        _groups(seeds, company)
        _customers(seeds, company)
        _orders(seeds, company)


def _groups(seeds: Seeds, company: Company) -> None:
    area = {"dataAreaId": company.id}
    seeds.add(
        "CustomerGroups",
        [
            {
                **area,
                "CustomerGroupId": group,
                "Description": text,
                "PaymentTermId": TERMS[number][0],
                "TaxGroupId": TAX_GROUPS[0][0],
                "IsSalesTaxIncludedInPrice": "Yes" if group == "30" else "No",
                "DefaultDimensionDisplayValue": dimension(number),
            }
            for number, (group, text) in enumerate(GROUPS)
        ],
    )
    seeds.add(
        "DeliveryTerms",
        [{**area, "TermsCode": code, "TermsDescription": text} for code, text in _DELIVERY],
    )


def _customers(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"customers/{company.id}")
    plain = [
        (f"{number:03d}", f"{PLACES[number % 20]} {TRADES[number * 5 % 12]}")
        for number in range(1, seeds.many(120, company) + 1)
    ]
    for number, (suffix, name) in enumerate([*plain, *seeds.awkward()]):
        account = f"{company.prefix}-{suffix}"
        city, street = draw.choice(CITIES[company.country]), f"{number + 1} {draw.choice(STREETS)}"
        address = {
            "AddressStreet": street,
            "AddressCity": city,
            "AddressZipCode": f"{98_000 + number}",
            "AddressCountryRegionId": company.country,
            "AddressTimeZone": None if number % 3 else "GMTMINUS0800PACIFICTIME",
        }
        seeds.add(
            "CustomersV3",
            [
                {
                    "dataAreaId": company.id,
                    "CustomerAccount": account,
                    "OrganizationName": name,
                    "NameAlias": name[:20],
                    "KnownAs": name,
                    "PartyType": "Person" if number % 13 == 12 else "Organization",
                    "PartyNumber": f"{30_000 + number:09d}",
                    "CustomerGroupId": GROUPS[number % 5][0],
                    "SalesCurrencyCode": company.currency if number % 9 else "GBP",
                    "InvoiceAccount": f"{company.prefix}-001" if number % 17 == 16 else "",
                    "PaymentTerms": TERMS[number % 5][0],
                    "PaymentMethod": METHODS[number % 4],
                    "CreditLimit": Decimal(draw.randrange(0, 400_000)) / 4,
                    "CreditLimitIsMandatory": "Yes" if number % 6 == 0 else "No",
                    "OnHoldStatus": ("No", "No", "No", "Invoice", "All")[number % 5],
                    "SalesTaxGroup": TAX_GROUPS[number % 4][0],
                    "DeliveryTerms": _DELIVERY[number % 4][0],
                    "SiteId": str(number % 3 + 1),
                    "WarehouseId": f"{number % 3 + 1}1",
                    "LanguageId": company.language,
                    "PrimaryContactEmail": f"info@customer{number}.example.com",
                    "PrimaryContactPhone": f"+1 206 555 {number:04d}",
                    **address,
                    "FullPrimaryAddress": f"{street}\n{city}",
                    "AddressValidFrom": datetime(2018, 3, number % 28 + 1, 9, 30, tzinfo=UTC),
                    "AddressValidTo": MAX_MOMENT,
                    "AddressLatitude": "47.6205063" if number % 4 == 0 else 0,
                    "AddressLongitude": "-122.3492774" if number % 4 == 0 else 0,
                    "DefaultDimensionDisplayValue": dimension(number),
                    "EmployeeResponsibleNumber": f"{number % 50 + 1:06d}",
                    "IsOneTimeCustomer": "Yes" if number % 40 == 39 else "No",
                    "SalesMemo": "Prefers *early* delivery" if number % 22 == 0 else "",
                }
            ],
        )
        seeds.add(
            "CustomerPostalAddresses",
            [
                {
                    "dataAreaId": company.id,
                    "CustomerAccountNumber": account,
                    "CustomerLegalEntityId": company.id,
                    "AddressLocationId": f"{number + 1:09d}",
                    "Effective": datetime(2018, 3, number % 28 + 1, 9, 30, tzinfo=UTC),
                    "Expiration": MAX_MOMENT,
                    "IsPrimary": "Yes",
                    "IsRoleDelivery": "Yes",
                    "AddressDescription": "Primary address",
                    "FormattedAddress": f"{street}\n{city}",
                    "AddressLocationRoles": "Delivery;Invoice",
                    **address,
                }
            ],
        )


def _orders(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"orders/{company.id}")
    customers = seeds.of("CustomersV3", company)
    items = seeds.of("ReleasedProductsV2", company)
    statuses = ("Backorder", "Backorder", "Delivered", "Invoiced", "Invoiced", "Canceled")
    lot = 0
    for number in range(1, seeds.many(300, company) + 1):
        customer = customers[
            draw.randrange(len(customers)) * draw.randrange(1, 4) // 3
        ]  # the first ones buy more
        order = f"{number:06d}"
        placed = day(draw)
        status = statuses[number % 6]
        lines = []
        for at in range(1, draw.randrange(2, 10)):
            lot += 1
            lines.append(
                _line(
                    company,
                    (order, f"{lot:06d}"),
                    at,
                    draw.choice(items),
                    Decimal(draw.randrange(1, 40)),
                    status,
                )
            )
        total = sum((line["LineAmount"] for line in lines), Decimal())
        counted = number % 3 == 0  # header totals are often 0 (section 6.1)
        seeds.add(
            "SalesOrderHeadersV2",
            [
                {
                    "dataAreaId": company.id,
                    "SalesOrderNumber": order,
                    "SalesOrderName": customer["OrganizationName"],
                    "OrderingCustomerAccountNumber": customer["CustomerAccount"],
                    "InvoiceCustomerAccountNumber": customer["CustomerAccount"],
                    "CurrencyCode": customer["SalesCurrencyCode"],
                    "SalesOrderStatus": status,
                    "OrderTotalAmount": total if counted else 0,
                    "OrderTotalTaxAmount": total / 10 if counted else 0,
                    "AreTotalsCalculated": "Yes" if counted else "No",
                    "RequestedShippingDate": placed + timedelta(days=7),
                    "RequestedReceiptDate": placed + timedelta(days=9),
                    "ConfirmedShippingDate": placed + timedelta(days=8)
                    if status != "Backorder"
                    else "1900-01-01T12:00:00Z",
                    "OrderCreationDateTime": datetime(
                        placed.year,
                        placed.month,
                        placed.day,
                        number % 24,
                        number % 60,
                        17,
                        tzinfo=UTC,
                    ),
                    "PaymentTermsName": customer["PaymentTerms"],
                    "CustomerPaymentMethodName": customer["PaymentMethod"],
                    "DeliveryTermsCode": customer["DeliveryTerms"],
                    "DefaultShippingSiteId": customer["SiteId"],
                    "DefaultShippingWarehouseId": customer["WarehouseId"],
                    "LanguageId": customer["LanguageId"],
                    "SalesTaxGroupCode": customer["SalesTaxGroup"],
                    "OrderTakerPersonnelNumber": f"{number % 50 + 1:06d}",
                    "CustomersOrderReference": f"PO {number}" if number % 4 else "",
                    "DeliveryAddressTimeZone": None,
                    "DefaultLedgerDimensionDisplayValue": customer["DefaultDimensionDisplayValue"],
                    "DeliveryAddressCity": customer["AddressCity"],
                    "DeliveryAddressCountryRegionId": customer["AddressCountryRegionId"],
                }
            ],
        )
        seeds.add("SalesOrderLines", lines)


def _line(
    company: Company,
    ids: tuple[str, str],
    at: int,
    item: dict[str, Any],
    quantity: Decimal,
    status: str,
) -> dict[str, Any]:
    order, lot = ids
    discount = Decimal(at % 3) * 5
    return {
        "dataAreaId": company.id,
        "InventoryLotId": f"{company.id.upper()}-{lot}",
        "SalesOrderNumber": order,
        "LineNumber": Decimal(at),
        "LineCreationSequenceNumber": at,
        "ItemNumber": item["ItemNumber"],
        "LineDescription": item["SearchName"],
        "OrderedSalesQuantity": quantity,
        "SalesUnitSymbol": item["SalesUnitSymbol"],
        "SalesPrice": item["SalesPrice"],
        "SalesPriceQuantity": 1,
        "LineDiscountPercentage": discount,
        "LineAmount": (quantity * item["SalesPrice"] * (100 - discount) / 100).quantize(
            Decimal("0.01")
        ),
        "SalesOrderLineStatus": status,
        "ShippingSiteId": "1",
        "ShippingWarehouseId": "11",
        "RequestedShippingDate": day_of(at),
        "InventoryReservationMethod": "Automatic" if at % 2 else "None",
        "SalesTaxGroupCode": TAX_GROUPS[at % 4][0],
        "SalesTaxItemGroupCode": "ALL",
        "DefaultLedgerDimensionDisplayValue": dimension(at),
        "IsPriceLocked": "No",
        "MainAccountIdDisplayValue": "401100-001-022" if at % 4 == 0 else "",
    }


def day_of(at: int) -> datetime:
    """Return noon UTC of a day in summer 2024, as a client that knows the rule writes it."""
    return datetime(2024, 7, at, 12, 0, tzinfo=UTC)
