"""Products, units, categories, sites, warehouses and stock."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from .companies import Company
from .seed import Seeds, day, money
from .seed_ledger import dimension
from .seed_names import GRADES, THINGS

_UNITS = (
    ("ea", "Each", "Quantity", 0),
    ("pcs", "Pieces", "Quantity", 0),
    ("box", "Box", "Quantity", 0),
    ("kg", "Kilogram", "Mass", 3),
    ("lb", "Pound", "Mass", 3),
    ("hr", "Hour", "Time", 2),
    ("m", "Metre", "Length", 2),
)
_SITES = (
    ("1", "Main site", ("11", "12")),
    ("2", "Second site", ("21", "22")),
    ("3", "Outlet & returns", ("31",)),
)
_STATUSES = ("Available", "Blocking", "")


def fill(seeds: Seeds) -> None:
    """Make the rows of the area."""
    for symbol, text, kind, places in _UNITS:
        system = "Metric" if symbol in ("kg", "m") else "None"
        seeds.add(
            "UnitsOfMeasure",
            [
                {
                    "UnitSymbol": symbol,
                    "UnitDescription": text,
                    "UnitClass": kind,
                    "DecimalPrecision": places,
                    "IsBaseUnit": "Yes" if symbol in ("ea", "kg", "m") else "No",
                    "SystemOfUnits": system,
                }
            ],
        )
    _categories(seeds)
    _products(seeds)
    for company in seeds.companies:
        _sites(seeds, company)
        _released(seeds, company)
        _stock(seeds, company)


def _categories(seeds: Seeds) -> None:
    tree = {
        "": ("ALL",),
        "ALL": ("Audio", "Video", "Accessories"),
        "Audio": ("Speakers", "Headphones & more"),
        "Video": ("Screens",),
    }
    number = 0
    for parent, names in tree.items():
        for name in names:
            number += 1
            seeds.add(
                "ProductCategories",
                [
                    {
                        "ProductCategoryHierarchyName": "Retail",
                        "CategoryName": name,
                        "FriendlyCategoryName": name.title(),
                        "CategoryCode": f"C{number:03d}",
                        "CategoryDescription": f"All {name.lower()}",
                        "CategoryRecordId": 5_637_160_000 + number,
                        "ExternalId": uuid.uuid5(uuid.NAMESPACE_OID, name),
                        "ParentProductCategoryName": parent,
                        "ParentProductCategoryHierarchyName": "Retail" if parent else "",
                        "IsTangibleProduct": "Yes",
                    }
                ],
            )


def _products(seeds: Seeds) -> None:
    awkward = [(f"{code}", f"{name} item") for code, name in seeds.awkward(12)]
    plain = [
        (
            f"{'D' if number % 4 else 'T'}{number:04d}",
            f"{GRADES[number % 7]} {THINGS[number % 15]} {number}",
        )
        for number in range(1, seeds.many(100) + 1)
    ]
    for number, (code, name) in enumerate(plain + awkward):
        service = number % 25 == 24
        seeds.add(
            "ProductsV2",
            [
                {
                    "ProductNumber": code,
                    "ProductName": name,
                    "ProductSearchName": name.replace(" ", "")[:20],
                    "ProductDescription": f"{name}: a product for testing" if number % 5 else "",
                    "ProductType": "Service" if service else "Item",
                    "ProductSubType": "Product",
                    "ProductDimensionGroupName": "Col" if number % 6 == 0 else "",
                    "StorageDimensionGroupName": "SiteWH",
                    "TrackingDimensionGroupName": "None",
                    "WarrantyDurationTime": number % 3 * 12,
                    "WarrantyDurationTimeUnit": "Month",
                    "VariantConfigurationTechnology": "PredefinedVariants",
                    "RetailProductCategoryName": "Speakers",
                }
            ],
        )


def _sites(seeds: Seeds, company: Company) -> None:
    for number, (site, name, warehouses) in enumerate(_SITES):
        seeds.add(
            "OperationalSitesV2",
            [
                {
                    "dataAreaId": company.id,
                    "SiteId": site,
                    "SiteName": name,
                    "PrimaryAddressCity": company.city,
                    "PrimaryAddressCountryRegionId": company.country,
                    "PrimaryAddressLatitude": "47.64290000000001",
                    "PrimaryAddressLongitude": "-122.1368",
                    "FormattedPrimaryAddress": f"{number + 1} Main Street\n{company.city}",
                    "InventSiteDefaultDimensionDisplayValue": dimension(number),
                    "IsPrimaryAddressAssigned": "Yes",
                }
            ],
        )
        for warehouse in warehouses:
            main = warehouse.endswith("1")
            seeds.add(
                "Warehouses",
                [
                    {
                        "dataAreaId": company.id,
                        "WarehouseId": warehouse,
                        "WarehouseName": f"{name} {warehouse}",
                        "OperationalSiteId": site,
                        "WarehouseType": "Standard"
                        if main
                        else ("Transit" if site == "1" else "Quarantine"),
                        "MainRefillingWarehouseId": "" if main else f"{site}1",
                        "IsRefilledFromMainWarehouse": "No" if main else "Yes",
                        "TransitWarehouseId": "12" if main and site == "1" else "",
                        "QuarantineWarehouseId": "22" if main and site == "2" else "",
                        "ExternallyLocatedWarehouseVendorAccountNumber": f"{company.prefix}-001"
                        if site == "3"
                        else "",
                        "ExternallyLocatedWarehouseCustomerAccountNumber": f"{company.prefix}-002"
                        if site == "3"
                        else "",
                        "PrimaryAddressCity": company.city,
                        "PrimaryAddressTimeZone": None,
                        "MaximumPickingListLineQuantity": 20,
                    }
                ],
            )


def _released(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"released/{company.id}")
    products = seeds.of("ProductsV2")
    for number, product in enumerate(products):
        if number % 4 and draw.random() > company.share * 1.5:
            continue
        cost = money(draw, 5, 400)
        exact = number % 12 == 0
        seeds.add(
            "ReleasedProductsV2",
            [
                {
                    "dataAreaId": company.id,
                    "ItemNumber": product["ProductNumber"],
                    "ProductNumber": product["ProductNumber"],
                    "SearchName": product["ProductSearchName"],
                    "ProductSearchName": product["ProductSearchName"],
                    "ProductType": product["ProductType"],
                    "ProductGroupId": ("AudioRM", "TV&Video", "Services")[number % 3],
                    "ItemModelGroupId": "FIFO" if number % 2 else "STD",
                    "InventoryUnitSymbol": "ea",
                    "PurchaseUnitSymbol": "ea",
                    "SalesUnitSymbol": "pcs" if number % 9 == 0 else "ea",
                    "SalesPrice": cost * 2 if number % 8 else Decimal("39.95"),
                    "PurchasePrice": Decimal("0.1234567890123456") if exact else cost,
                    "UnitCost": cost,
                    "UnitCostDate": day(draw),
                    "UnitCostQuantity": 1,
                    "SalesPriceQuantity": 1,
                    "NetProductWeight": Decimal(number) / 8,
                    "DefaultOrderType": "Purch",
                    "PrimaryVendorAccountNumber": f"{company.prefix}-{number % 40 + 1:03d}"
                    if number % 5
                    else "",
                    "SalesPriceDate": "1900-01-01T12:00:00Z",
                    "SalesSalesTaxItemGroupCode": "ALL",
                    "OriginCountryRegionId": company.country,
                    "DefaultLedgerDimensionDisplayValue": dimension(number),
                    "StorageDimensionGroupName": "SiteWH",
                    "AlternativeItemNumber": products[number - 1]["ProductNumber"]
                    if number % 8 == 4
                    else "",
                    "CatchWeightUnitSymbol": "kg" if number % 10 == 0 else "",
                    "BuyerGroupId": str(number % 3 * 10),
                }
            ],
        )


def _stock(seeds: Seeds, company: Company) -> None:
    draw = seeds.draw(f"stock/{company.id}")
    for number, item in enumerate(seeds.of("ReleasedProductsV2", company)):
        color = ("Black", "White") if number % 6 == 0 else ("",)
        for shade in color:
            key = {
                "dataAreaId": company.id,
                "ItemNumber": item["ItemNumber"],
                "ProductColorId": shade,
            }
            for site, _, warehouses in _SITES[: 1 + number % 3]:
                totals: dict[str, Decimal] = {}
                for warehouse in warehouses:
                    amounts = _amounts(
                        Decimal(draw.randrange(4_000)) / 4, Decimal(draw.randrange(40))
                    )
                    row = {
                        **key,
                        "InventorySiteId": site,
                        "InventoryWarehouseId": warehouse,
                        "ProductName": item["SearchName"],
                    }
                    seeds.add("WarehousesOnHandV2", [{**row, **amounts}])
                    status = _STATUSES[number % 3]
                    seeds.add(
                        "WarehouseInventoryStatusesOnHandV2",
                        [{**row, **amounts, "InventoryStatusId": status}],
                    )
                    totals = {
                        name: totals.get(name, Decimal()) + value for name, value in amounts.items()
                    }
                seeds.add(
                    "InventorySitesOnHandV2",
                    [{**key, "InventorySiteId": site, "ProductName": item["SearchName"], **totals}],
                )


def _amounts(on_hand: Decimal, ordered: Decimal) -> dict[str, Any]:
    reserved = min(on_hand, Decimal(5))
    available = on_hand - reserved
    return {
        "OnHandQuantity": on_hand,
        "ReservedOnHandQuantity": reserved,
        "AvailableOnHandQuantity": available,
        "OrderedQuantity": ordered,
        "OnOrderQuantity": ordered / 2,
        "AvailableOrderedQuantity": ordered,
        "TotalAvailableQuantity": available + ordered,
    }
