"""Small documents that are cut out of the large one, as people cut theirs for a project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from schema.model.records import EntityType, Model

CUTS = {
    "finance-customers": ("CustomersV3", "CustomerGroups"),
    "finance-procurement": (
        "VendorsV2",
        "VendorGroups",
        "PaymentTerms",
        "TaxGroups",
        "PurchaseOrderHeadersV2",
        "PurchaseOrderLinesV2",
        "VendorInvoiceHeaders",
        "VendorInvoiceLines",
        "ReleasedProductsV2",
        "ProductsV2",
        "UnitsOfMeasure",
        "Warehouses",
        "OperationalSites",
        "DimensionSets",
    ),
    "finance-essential": (
        "LegalEntities",
        "Companies",
        "CostCenters",
        "DepartmentsV2",
        "ExchangeRateTypes",
        "FiscalCalendarYears",
        "DeliveryTerms",
        "DataManagementEntities",
        "MyLeaveRequests",
        "SecurityRoles",
    ),
}
"""Name of a cut → its entity sets."""


def cut(whole: Model, sets: Sequence[str]) -> Model:
    """Return these sets alone. Bindings to the others stay behind, to nothing, as they do in real cuts."""
    kept = {name: whole.entity_sets[name] for name in sets}
    names = {entity_set.type for entity_set in kept.values()}
    types = {
        name: _within(whole.entity_types[name], names) for name in names_in_order(whole, names)
    }
    operations = tuple(o for o in whole.operations if o.bound_to and o.bound_to.name in names)
    used = {p.type.name for t in types.values() for p in t.properties}
    used |= {p.type.name for o in operations for p in o.parameters}
    enums = {name: enum for name, enum in whole.enum_types.items() if name in used}
    return Model(
        namespace=whole.namespace,
        entity_types=types,
        enum_types=enums,
        entity_sets=kept,
        operations=operations,
    )


def names_in_order(whole: Model, names: set[str]) -> Iterator[str]:
    return (name for name in whole.entity_types if name in names)


def _within(entity_type: EntityType, names: set[str]) -> EntityType:
    kept = tuple(n for n in entity_type.navigations if n.target in names)
    return msgspec.structs.replace(entity_type, navigations=kept)
