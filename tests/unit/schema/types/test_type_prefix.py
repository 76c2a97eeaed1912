"""A prefix of types: the schema is what it was but for the names, and those that gateways share stay as they are."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    DocumentNode,
    NamedTypeNode,
    NameNode,
    StringValueNode,
    TypeDefinitionNode,
    Visitor,
    parse,
    print_ast,
    print_schema,
    visit,
)

from schema.catalog import RESERVED_TYPES, Catalog
from schema.catalog.naming import decode_naming, encode_naming
from schema.catalog.records import ServiceInfo
from schema.introspection import print_subgraph, print_types
from schema.types.build import ODataSchema, build_schema
from schema.types.federation import Federation
from schema.why.reads import why
from schema.writes import WriteRules, Writes
from tests.support.introspections import (
    EVERYTHING,
    assert_same,
    build_eagerly,
    introspect_with_gateway,
    introspect_with_graphql_core,
)
from tests.support.metadata_documents import CUSTOMERS, TRIPS, model_of
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    DictResolvers,
    entity,
    model,
    prop,
    qualified,
)

DOCUMENTS = {CUSTOMERS: FINOPS, TRIPS: GENERIC}
SERVICES = WriteRules(services=(ServiceInfo("post", "a/b/post"),))
SHARED = {*RESERVED_TYPES, *(f"{name}Filter" for name in RESERVED_TYPES)}
"""What no metadata names: types of the gateway's own, scalars and their filters."""


def api(name: str, **prefix: Any) -> ODataSchema:
    catalog = Catalog(model_of(name), DOCUMENTS[name], **prefix)
    writes = Writes(catalog, SERVICES)
    return build_schema(catalog, DictResolvers(), writes=writes, federation=Federation())


def printed(schema: ODataSchema, *, federated: bool) -> DocumentNode:
    again = schema.copy_for(schema.catalog.fresh_copy(), federated=federated)
    return parse("".join(print_subgraph(again) if federated else print_types(again)))


class Bare(Visitor):
    """Blanks descriptions, and puts a prefix before types."""

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self._prefix = prefix

    def enter(self, node: Any, _key: Any, parent: Any, *_: Any) -> Any:
        if isinstance(node, StringValueNode) and getattr(parent, "description", None) is node:
            return StringValueNode(value="…")
        if isinstance(node, NameNode) and isinstance(parent, NamedTypeNode | TypeDefinitionNode):
            is_shared = node.value in SHARED
            return node if is_shared else NameNode(value=f"{self._prefix}{node.value}")
        return None


@pytest.mark.heavy
@pytest.mark.parametrize("federated", [False, True], ids=["schema", "subgraph"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_all_is_as_without_but_for_the_names_of_types(name: str, federated: bool) -> None:
    plain = visit(printed(api(name), federated=federated), Bare("Eu"))
    found = visit(printed(api(name, type_prefix="Eu"), federated=federated), Bare())

    assert print_ast(found) == print_ast(plain)


@pytest.mark.heavy
def test_what_is_told_of_it_is_what_it_is() -> None:
    schema = api(CUSTOMERS, type_prefix="Eu", prefix="eu")
    core = build_eagerly(schema.core)

    assert_same(
        introspect_with_gateway(schema, EVERYTHING), introspect_with_graphql_core(core, EVERYTHING)
    )
    assert "type EuCustomerV3Payload" in print_schema(core)
    assert "\n  customerV3: EuCustomerV3\n" in print_schema(core)


CAT = entity("Cat", prop("Id", nullable=False), prop("Page", "Info"), key=("Id",))


def test_it_goes_before_clashes_renames_and_kept_names() -> None:
    cats = model(
        CAT,
        entity("cat", prop("Id", nullable=False), key=("Id",)),
        entity("Info", prop("Id", nullable=False), key=("Id",)),
        sets={"Cats": "Cat", "Others": "cat", "Infos": "Info"},
    )
    given: Any = {"type_prefix": "Page", "renames": {"Cat": "Feline"}}
    made = Catalog(cats, FINOPS, **given)
    kept = Catalog(cats, FINOPS, naming=decode_naming(encode_naming(made.naming())), **given)

    for catalog in (made, kept):
        names = [catalog.reference_name(qualified(n)) for n in ("Cat", "cat", "Info")]
        assert names == ["PageFeline", "PageCat", "PageInfo_2"]
        assert list(catalog.roots)[3:6] == ["feline", "cat", "info_2"]


def test_why_knows_prefixed_types() -> None:
    schema = api(CUSTOMERS, type_prefix="Eu")

    assert why(schema.catalog, "EuCustomerV3").startswith("EuCustomerV3\n")
    assert why(schema.catalog, "EuCustomerV3Patch", schema.writes).startswith("EuCustomerV3Patch\n")
