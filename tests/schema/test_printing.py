"""The schema in figures."""

from __future__ import annotations

from schema.catalog import Catalog
from schema.model import Operation, OperationImport, OperationKind, Singleton, TypeRef
from schema.printing import Stats, stats
from tests.support.apis import FINOPS, entity, enum, model, nav, prop, qualified


def test_the_api_is_counted_with_all_findings() -> None:
    name = qualified("F")
    found = model(
        entity("A", prop("Id"), prop("Kind", "Kind"), nav("Bs", "B", many=True), key=("Id",)),
        entity("B", prop("On", "Edm.DateTimeOffset")),
        enum("Kind", "One", "Two"),
        enum("Unused", "X"),
        sets={"As": "A"},
        singletons={"Me": Singleton(name="Me", type=qualified("A"))},
        operations=(
            Operation(name=name, kind=OperationKind.FUNCTION, returns=TypeRef("Edm.String")),
        ),
        imports={"F": OperationImport(name="F", kind=OperationKind.FUNCTION, operation=name)},
        findings=("The reader mended something.",),
    )

    assert stats(Catalog(found, FINOPS)) == Stats(
        entity_sets=1,
        singletons=1,
        functions=1,
        root_fields=6,
        types={
            "object": 2,
            "connection": 2,
            "edge": 2,
            "where": 2,
            "order_by": 2,
            "enum": 1,
            "filter": 3,
        },
        fields=6,
        enums=1,
        enum_values=2,
        findings=(
            "The reader mended something.",
            "A.Id: GraphQL name id is taken by a name of the gateway's own; it is id_2.",
        ),
    )
