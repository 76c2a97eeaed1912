"""A small shop, with one of everything that a schema may hold."""

from __future__ import annotations

import decimal
from typing import Any

from schema.catalog import Catalog
from schema.model.records import (
    ComplexType,
    Operation,
    OperationImport,
    OperationKind,
    Parameter,
    Singleton,
    TypeRef,
)
from schema.types.build import ODataSchema, build_schema
from tests.support.small_models import (
    FINOPS,
    NO_YES,
    DictResolvers,
    entity,
    enum,
    model,
    nav,
    prop,
    qualified,
)

PLACE = ComplexType(
    name=qualified("Place"), properties=(prop("Zip"), prop("Spot", "Edm.Geography"))
)
SHOP = model(
    entity(
        "CustomerV3",
        prop("dataAreaId", nullable=False),
        prop("CustomerAccount", nullable=False),
        prop("CreditLimit", "Edm.Decimal"),
        prop("Version", "Edm.Int64"),
        prop("OnHold", "NoYes"),
        prop("Status", "Status"),
        prop("Since", "Edm.DateTimeOffset", ax_type="Date"),
        prop("Home", "Place"),
        prop("Tags", "Collection(Edm.String)"),
        nav("Group", "Group"),
        nav("Orders", "Order", many=True),
        key=("dataAreaId", "CustomerAccount"),
        label="Customers",
    ),
    entity("Group", prop("Name", nullable=False), key=("Name",)),
    entity("Order", prop("Number", nullable=False), key=("Number",), open=True),
    entity("ReturnOrder", prop("Reason"), base="Order"),
    NO_YES,
    enum("Status", "Open", "ClosedForGood"),
    sets={"CustomersV3": "CustomerV3", "Groups": "Group", "Orders": "Order"},
    complex_types={PLACE.name: PLACE},
    singletons={"Me": Singleton(name="Me", type=qualified("Group"))},
    operations=(
        Operation(
            name=qualified("Total"),
            kind=OperationKind.FUNCTION,
            parameters=(Parameter(name="Day", type=TypeRef("Edm.Date"), nullable=False),),
            returns=TypeRef("Edm.Decimal"),
        ),
    ),
    imports={
        "Total": OperationImport(
            name="Total", kind=OperationKind.FUNCTION, operation=qualified("Total")
        )
    },
)


def shop(roots: dict[str, Any] | None = None, **extra: Any) -> ODataSchema:
    return build_schema(Catalog(SHOP, FINOPS), DictResolvers(roots), **extra)


CUSTOMER = {
    "__typename": "CustomerV3",
    "id": "QzE=",
    "customerAccount": "C1",
    "creditLimit": decimal.Decimal("100.50"),
    "version": 2**60,
    "onHold": True,
    "status": "CLOSED_FOR_GOOD",
    "since": None,
    "home": {"__typename": "Place", "zip": "8000", "spot": {"type": "Point"}},
    "tags": ["a", "b"],
    "group": None,
    "orders": {"nodes": [{"__typename": "ReturnOrder", "number": "1", "reason": "broken"}]},
}
