"""The schema in figures."""

from __future__ import annotations

from schema.catalog import Catalog
from schema.model.records import Operation, OperationImport, OperationKind, Singleton, TypeRef
from schema.types.printing import Stats, stats
from tests.support.small_models import FINOPS, entity, enum, model, nav, prop, qualified
from tests.support.writing import action, writes


def test_the_api_is_counted_with_all_findings() -> None:
    name = qualified("F")
    shop = model(
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

    assert stats(Catalog(shop, FINOPS)) == Stats(
        entity_sets=1,
        singletons=1,
        functions=1,
        root_fields=6,
        mutations=0,
        types={
            "object": 2,
            "connection": 2,
            "edge": 2,
            "where": 2,
            "order_by": 2,
            "enum": 1,
            "filter": 3,
        },
        fields=8,
        input_fields=0,
        enums=1,
        enum_values=2,
        findings=("The reader mended something.",),
    )


def test_what_writing_adds_is_counted_with_its_findings() -> None:
    code = prop("Code", nullable=False)
    mutations = writes(
        entity("A", code, prop("Name"), key=("Code",)),
        sets={"As": "A"},
        operations=(action("Post", bound_to=TypeRef(qualified("A"))),) * 2,
    )

    counted, without = stats(mutations.catalog, mutations), stats(mutations.catalog)
    assert counted.mutations == len(mutations) == 10
    assert {k: n for k, n in counted.types.items() if k not in without.types} == {
        "create_input": 1,
        "patch": 1,
        "key": 1,
        "update_input": 1,
        "delete_input": 1,
        "payload": 1,
        "payloads": 1,
        "operation_payload": 2,
    }
    assert counted.input_fields == len(("code", "name")) + 1 + 1 + 3 + 2
    assert counted.findings == (
        "Mutation.A.Post: the GraphQL name aPost is taken by Mutation.A.Post; it is named aPost_2 in Mutation.",
    )
